"""What a PLC reads and writes by Modbus, as one table; docs/plant.md shows it, and a test compares them. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from edge.live.live_status import LiveStatus
from edge.plant.outbox import KILLED
from edge.plant.part_result import PartResult
from edge.supervision.states import OUTPUTS, State
from edge.verdict import Outcome

MAP_VERSION = 1
SEQUENCES = 65_535
STATES = ("offline", *(state.value for state in State))
OUTCOMES = ("none", *(outcome.value for outcome in Outcome))
ACTIONS = ("none", "passed", "rejected", "late", "unknown", "untracked")


class Kind(Enum):
    """How a value lies in registers: big-endian, the high word first. ``value`` is its code for struct."""

    U16 = "H"
    U32 = "I"
    U64 = "Q"
    F32 = "f"

    @property
    def words(self) -> int:
        """Registers it takes."""
        return struct.calcsize(f">{self.value}") // 2


@dataclass(frozen=True, slots=True)
class Register:
    """One value. writable: by the PLC."""

    address: int
    name: str
    kind: Kind
    meaning: str
    writable: bool = False


FLAGS = ("ready", "ok", "fault", "shadow", "result", "armed", "drift")
"""Bits of the register ``flags``, the lowest first."""

REGISTERS = (
    Register(0, "trigger", Kind.U16, "0, then another number for each part: each triggers one", True),
    Register(1, "acknowledge", Kind.U16, "the sequence of the result that was taken: the next one is shown", True),
    Register(10, "map_version", Kind.U16, f"{MAP_VERSION}"),
    Register(11, "heartbeat", Kind.U16, "changes as long as the inspection answers, at least once a second"),
    Register(12, "state", Kind.U16, ", ".join(f"{number} {name}" for number, name in enumerate(STATES))),
    Register(13, "flags", Kind.U16, ", ".join(f"bit {number} {name}" for number, name in enumerate(FLAGS))),
    Register(14, "trigger_taken", Kind.U16, "the last number that triggered a part"),
    Register(15, "trigger_refused", Kind.U16, "the last number that the inspection did not take"),
    Register(16, "passed_parts", Kind.U32, "verdicts PASS since the start of the inspection"),
    Register(18, "rejected_parts", Kind.U32, "verdicts REJECT"),
    Register(20, "fault_parts", Kind.U32, "verdicts FAULT"),
    Register(22, "triggers", Kind.U32, "triggers that made a part"),
    Register(24, "calibration", Kind.U32, "serial of the calibration in use"),
    Register(26, "settings", Kind.U32, "checksum of all that decides: the same, and nobody has changed anything"),
    Register(28, "waiting", Kind.U32, "about how many results wait to be shown"),
    Register(40, "sequence", Kind.U16, "of the result below, 0: none; differs from one result to the next"),
    Register(41, "outcome", Kind.U16, ", ".join(f"{number} {name}" for number, name in enumerate(OUTCOMES))),
    Register(42, "action", Kind.U16, ", ".join(f"{number} {name}" for number, name in enumerate(ACTIONS))),
    Register(43, "missing", Kind.U16, f"parts missing before this one; {SEQUENCES}: so many or more, or it is not known how many"),
    Register(44, "part_id", Kind.U32, "number of the part"),
    Register(46, "time", Kind.U64, "when it was recorded, milliseconds since 1970 in UTC"),
    Register(50, "score", Kind.F32, "NaN where there is none"),
    Register(52, "threshold", Kind.F32, "at or above it is a REJECT"),
    Register(54, "feature_score", Kind.F32, ""),
    Register(56, "reconstruction_score", Kind.F32, ""),
    Register(58, "result_calibration", Kind.U32, "serial of the calibration that judged it; 0: none"),
    Register(60, "sequence_again", Kind.U16, "the same as sequence, or the result was changed while it was read"),
)
LENGTH = max(one.address + one.kind.words for one in REGISTERS)
BY_NAME = {one.name: one for one in REGISTERS}


def sequence(part: PartResult) -> int:
    """1…65535: the same for the same part after any restart, another one for the next part, and for a part of other records."""
    return (int(part.place.records_id[:4] or "0", 16) + part.part_id) % SEQUENCES + 1


def line_values(status: LiveStatus | None) -> dict[str, float]:
    """Of the registers that tell of the line, but for those of triggers and results; flags as a number."""
    if status is None:
        return {"map_version": MAP_VERSION}
    driven = OUTPUTS[State(status.state)]
    bits = (driven.ready, driven.ok, driven.fault, status.shadow, False, False, bool(status.drift))
    return {
        "map_version": MAP_VERSION,
        "heartbeat": status.wall_ns // 100_000_000 % 65_536,
        "state": STATES.index(status.state),
        "flags": sum(bit << number for number, bit in enumerate(bits)),
        "passed_parts": status.outcomes["PASS"],
        "rejected_parts": status.outcomes["REJECT"],
        "fault_parts": status.outcomes["FAULT"],
        "triggers": status.triggers.get("accepted", 0),
        "calibration": status.product.calibration_serial,
        "settings": int(status.settings[:8] or "0", 16),
    }


def result_values(part: PartResult | None) -> dict[str, float]:
    """Of the registers that show a result."""
    if part is None:
        return {}
    number = sequence(part)
    missing = 0 if part.gap is None or part.gap.reason == KILLED else part.part_id - part.gap.expected
    return {
        "sequence": number,
        "sequence_again": number,
        "outcome": OUTCOMES.index(part.outcome),
        "action": ACTIONS.index(part.action),
        "missing": 0 if part.gap is None else min(missing, SEQUENCES) if missing > 0 else SEQUENCES,
        "part_id": part.part_id,
        "time": (part.place.wall_ns or 0) // 1_000_000,
        "score": _figure(part.score),
        "threshold": _figure(part.threshold),
        "feature_score": _figure(part.feature_score),
        "reconstruction_score": _figure(part.reconstruction_score),
        "result_calibration": part.calibration_serial or 0,
    }


def encode(values: Mapping[str, float]) -> list[int]:
    """All LENGTH registers; what is not given is 0. Numbers too large for their registers go on from 0."""
    registers = [0] * LENGTH
    for name, value in values.items():
        one = BY_NAME[name]
        if one.kind is not Kind.F32:
            value = int(value) % (1 << 16 * one.kind.words)
        words = struct.unpack(f">{one.kind.words}H", struct.pack(f">{one.kind.value}", value))
        registers[one.address : one.address + one.kind.words] = words
    return registers


def decode(registers: list[int], first: int = 0) -> dict[str, float]:
    """Values of the registers that lie whole in ``registers``, which begin at address ``first``."""
    found = {}
    for one in REGISTERS:
        words = registers[one.address - first : one.address - first + one.kind.words] if one.address >= first else []
        if len(words) == one.kind.words:
            found[one.name] = struct.unpack(f">{one.kind.value}", struct.pack(f">{one.kind.words}H", *words))[0]
    return found


def _figure(value: float | None) -> float:
    return math.nan if value is None else max(-3.4e38, min(3.4e38, value))
