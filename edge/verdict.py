"""What the inspection says of one part."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class Outcome(Enum):
    """PASS lets the part go on. REJECT and FAULT both drive the reject line; FAULT means "not known to be good"."""

    PASS = "PASS"
    REJECT = "REJECT"
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class Scores:
    """The engine's answer for one image; see METHOD: L1, L2 and L = λ1·L1 + λ2·L2 (eqs. 3 to 5).

    ``map_mean``, the mean of the anomaly map, is not a number where any position is not: a maximum may pass over a NaN.
    """

    feature_score: float
    reconstruction_score: float
    score: float
    map_mean: float
    brightness: float
    saturation: float
    sharpness: float

    def finite(self) -> bool:
        """True if every figure is a finite number."""
        return all(math.isfinite(value) for value in asdict(self).values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """One part, one verdict.

    Times are monotonic nanoseconds, except ``wall_ns``. ``margin`` = score − threshold: negative for a pass.
    ``reason`` is empty for a PASS, and says in one line why a part is rejected or at fault. ``degraded`` says what the engine
    stands in for and why, empty where it is the one that was asked for. ``shadow``: recorded only, no line acts on it.
    ``recipe``: of the product it was judged as, empty where the station has one only.
    """

    part_id: int
    outcome: Outcome
    reason: str
    source: str
    trigger_ns: int
    exposed_ns: int | None
    decided_ns: int
    wall_ns: int
    scores: Scores | None
    threshold: float | None
    calibration_serial: int | None
    stage_ms: dict[str, float] = field(default_factory=dict)
    degraded: str = ""
    shadow: bool = False
    recipe: str = ""

    @property
    def margin(self) -> float | None:
        """Score − threshold; at or above 0 is a reject."""
        if self.scores is None or self.threshold is None:
            return None
        return self.scores.score - self.threshold

    def to_record(self) -> dict[str, Any]:
        """Plain values for JSON; a figure that is not finite becomes null, since JSON has no NaN."""
        record = asdict(self)
        record["outcome"] = self.outcome.value
        record["margin"] = self.margin
        record["stage_ms"] = {stage: round(value, 3) for stage, value in self.stage_ms.items()}
        cleaned = finite_or_none(record)
        assert isinstance(cleaned, dict)
        return cleaned

    def to_json(self) -> str:
        """The verdict as one line of JSON, in ASCII so that no file name can break it."""
        return json.dumps(self.to_record(), allow_nan=False)


def finite_or_none(value: Any) -> Any:
    """``value`` and all within, with null for a figure that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite_or_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(item) for item in value]
    return value
