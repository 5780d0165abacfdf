"""Shadow mode: the inspection runs beside what decides today, records its verdicts and touches no line that acts on parts.

Untouched means not opened: whoever drives the line drives it on, and where nobody does, its external pull says reject, so that no
part passes on the word of a shadow. ``ready`` and ``ok`` are opened and stay off, since this program answers for nothing.
"""

from __future__ import annotations

from edge.station_config import StationConfig

ACTS_ON_PARTS = ("reject", "stop", "heartbeat")
STAYS_OFF = frozenset({"ready", "ok"})
WORDS = "SHADOW: verdicts are recorded; no line that acts on parts is opened, ready stays off"


def without_acting_lines(station: StationConfig) -> StationConfig:
    """``station`` as it is, or in shadow without its lines that act on parts."""
    if not station.shadow:
        return station
    gone = {name: None for name in ACTS_ON_PARTS if name in type(station.lines).model_fields}
    return station.model_copy(update={"lines": station.lines.model_copy(update=gone)})
