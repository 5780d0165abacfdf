"""Parts that come at a known pitch: a gap of several pitches means that some were not seen. Pure."""

from __future__ import annotations

MOST_PITCHES = 16
"""After a longer gap the line stood still or ran empty."""


class PitchWatch:
    """pitch, at: nanoseconds or counts. tolerance: share of a pitch, below one half, that a part may be early or late."""

    def __init__(self, pitch: float, tolerance: float) -> None:
        if pitch <= 0 or not 0 < tolerance < 0.5:
            raise ValueError(f"expected a pitch above 0 and a tolerance between 0 and 0.5, got {pitch} and {tolerance}")
        self._pitch, self._tolerance = pitch, tolerance
        self._last: int | None = None

    def missed(self, at: int) -> int:
        """A part came at ``at``: how many should have come since the last one; 0 where the gap is no whole number of pitches."""
        last, self._last = self._last, at
        if last is None:
            return 0
        pitches = (at - last) / self._pitch
        whole = round(pitches)
        return whole - 1 if 2 <= whole <= MOST_PITCHES and abs(pitches - whole) <= self._tolerance else 0
