"""Rows that are chained by hash, so that a change to any of them shows in it or in the next one. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64
"""Stands for the hash before the first row."""


def canonical(content: dict[str, Any]) -> str:
    """``content`` as JSON in the one form that is hashed: keys sorted, no spaces, ASCII, no NaN."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def chained(previous: str, content: str) -> str:
    """sha256, in hex, of the hash before and this row's text."""
    return hashlib.sha256(previous.encode("ascii") + content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Break:
    """The first row that is not what was written: its number, and what is wrong with it."""

    seq: int
    what: str


def first_break(rows: Iterable[tuple[object, object, object]]) -> Break | None:
    """Check (seq, content, hash) of every row in the order of seq, which counts from 1; None where all is as it was written."""
    previous, expected = GENESIS, 1
    for seq, content, digest in rows:
        if not isinstance(seq, int) or seq != expected:
            return Break(expected, f"is missing; the next one there is row {seq}")
        if not isinstance(content, str) or not isinstance(digest, str):
            return Break(seq, "is not text")
        if chained(previous, content) != digest:
            return Break(seq, "was changed, or a row before it was exchanged")
        if _numbered(content) != seq:
            return Break(seq, "carries another row's number")
        previous, expected = digest, expected + 1
    return None


def _numbered(content: str) -> object:
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found.get("seq") if isinstance(found, dict) else None
