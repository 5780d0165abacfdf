"""Part records as rows of a CSV file, safe to be opened in a spreadsheet."""

from __future__ import annotations

import time
from typing import Any

from edge.records.record_query import COLUMNS

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula."""
HEADER = ("time", *COLUMNS)


def csv_row(row: dict[str, Any]) -> tuple[Any, ...]:
    """The values of ``row``, whose keys are COLUMNS, under HEADER. time: UTC."""
    return (utc(row["wall_ns"]), *(_harmless(row[name]) for name in COLUMNS))


def utc(wall_ns: int) -> str:
    """As in all records."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_ns / 1e9))


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
