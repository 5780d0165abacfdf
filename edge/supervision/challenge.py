"""The challenge part: a known bad one that must be rejected before the line is ready, and again when its time has come. Pure.

It counts only after someone has announced it, since no picture tells a challenge from a part: an empty belt is rejected, too.
"""

from __future__ import annotations

from enum import Enum

from pydantic import Field

from edge.storage.strict_yaml import StrictModel
from edge.verdict import Outcome

HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000


class ChallengeConfig(StrictModel):
    """The known bad part that must be rejected."""

    every_hours: float | None = Field(
        None, gt=0, le=8760, description="a challenge part at the start and so often; none when left out"
    )
    within_s: float = Field(120, gt=0, le=3600, description="from its announcement until it must have come")


class Result(Enum):
    """What a verdict was to the challenge."""

    NONE = "no challenge part"
    PASSED = "the challenge part was rejected, as it must be"
    FAILED = "the challenge part would have been let through"
    AGAIN = "the challenge part could not be judged; present it again"


class Challenge:
    """Times are monotonic nanoseconds, handed in. Due from the start, and again after ``every_hours``, where that is configured."""

    def __init__(self, config: ChallengeConfig) -> None:
        self._every_ns = None if config.every_hours is None else round(config.every_hours * HOUR_NS)
        self._within_ns = round(config.within_s * SECOND_NS)
        self._passed_ns: int | None = None
        self._announced_ns: int | None = None

    def due(self, now_ns: int) -> bool:
        """True while no part may pass before a challenge part was rejected."""
        if self._every_ns is None:
            return False
        return self._passed_ns is None or now_ns - self._passed_ns >= self._every_ns

    def announce(self, now_ns: int) -> None:
        """The next part seen from now on is the challenge part; also when none is due."""
        self._announced_ns = now_ns

    def awaited(self, now_ns: int) -> bool:
        """True from its announcement until it was judged or did not come in time."""
        if self._announced_ns is not None and now_ns - self._announced_ns > self._within_ns:
            self._announced_ns = None
        return self._announced_ns is not None

    def judge(self, outcome: Outcome, seen_ns: int) -> Result:
        """Take a part's own verdict, before anything makes it a FAULT; seen_ns: when it was triggered.

        A part seen before the announcement is none. After FAILED one is due, and the state FAULT, until another one passed.
        """
        if not self.awaited(seen_ns) or self._announced_ns is None or seen_ns < self._announced_ns:
            return Result.NONE
        if outcome is Outcome.FAULT:
            return Result.AGAIN
        self._announced_ns = None
        if outcome is Outcome.REJECT:
            self._passed_ns = seen_ns
            return Result.PASSED
        self._passed_ns = None
        return Result.FAILED

    def demand(self) -> None:
        """Due now: another product, or another calibration."""
        self._passed_ns = None
