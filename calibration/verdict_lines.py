"""The JSON lines of edge-inspect, read back."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edge.errors import ConfigError
from edge.verdict import Scores

FIGURES = tuple(field.name for field in fields(Scores))
LATEST_NS = 1 << 63
"""No clock gives more, and no calendar of a machine can tell its date."""


@dataclass(frozen=True, slots=True)
class LoggedPart:
    """A part that got scores. wall_ns: when, nanoseconds since the epoch."""

    wall_ns: int
    serial: int
    threshold: float
    scores: Scores


@dataclass(frozen=True)
class Logged:
    """parts: the newest of calibration ``serial``, in order. faults: its verdicts without scores. others: of other calibrations.

    unreadable: lines that are no record, such as the last one before a power cut.
    """

    serial: int
    parts: list[LoggedPart]
    faults: int
    others: int
    unreadable: int


def read_logged(paths: list[Path], serial: int | None, newest: int) -> Logged:
    """Verdicts of calibration ``serial``, None for the one of the last verdict; at most ``newest`` parts are kept.

    paths: logs in the order they were written. Memory is bounded by ``newest`` for each serial. Raises ConfigError.
    """
    parts: dict[int, deque[LoggedPart]] = {}
    faults: Counter[int] = Counter()
    verdicts: Counter[int] = Counter()
    unreadable, last = 0, serial
    for record in _records(paths):
        if "event" in record:
            continue
        try:
            one, which = _part(record), _number(record["calibration_serial"])
        except (KeyError, TypeError, ValueError, OverflowError):
            unreadable += 1
            continue
        last = which if serial is None else serial
        verdicts[which] += 1
        if one is None:
            faults[which] += 1
        else:
            parts.setdefault(which, deque(maxlen=newest)).append(one)
    if last is None or not verdicts[last]:
        what = "verdicts" if serial is None else f"verdicts of calibration {serial}"
        there = f"; there are of: {', '.join(map(str, sorted(verdicts)))}" if verdicts else ""
        raise ConfigError(f"{paths[-1]}: expected {what}, found none{there}; give the file of edge-inspect --verdicts")
    return Logged(last, list(parts.get(last, ())), faults[last], verdicts.total() - verdicts[last], unreadable)


def _records(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Every line as a mapping; what is none comes as an empty one."""
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    try:
                        record = json.loads(line)
                    except (ValueError, RecursionError):
                        record = None
                    yield record if isinstance(record, dict) else {}
        except OSError as error:
            raise ConfigError(f"{path}: cannot read it: {error.strerror}; give the file of edge-inspect --verdicts") from error


def _part(record: dict[str, Any]) -> LoggedPart | None:
    """None for a verdict without scores, or with one that was not finite. Raises KeyError, TypeError, ValueError, OverflowError."""
    given = record["scores"]
    if given is None or any(given[name] is None for name in FIGURES):
        return None
    scores = Scores(**{name: _number(given[name], float) for name in FIGURES})
    serial, wall_ns = _number(record["calibration_serial"]), _number(record["wall_ns"])
    if not 0 <= wall_ns < LATEST_NS:
        raise ValueError(f"expected nanoseconds since the epoch, got {wall_ns}")
    return LoggedPart(wall_ns, serial, _number(record["threshold"], float), scores) if scores.finite() else None


def _number(value: Any, kind: type[Any] = int) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {value!r}")
    return kind(value)
