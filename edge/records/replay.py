"""Inspecting a recorded run again: the calibration of each part, the line's part in its verdict, and what came out differently."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from edge.bundle import Bundle
from edge.decision import decide
from edge.errors import SlotError
from edge.records.recorded_run import RecordedPart, RecordedRun
from edge.slots.calibration_slot import CalibrationSlot
from edge.verdict import Outcome, Scores, Verdict, finite_or_none


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one part: which field, what was recorded, what the replay gave."""

    part_id: int
    field: str
    recorded: str
    replayed: str

    def describe(self) -> str:
        """In words."""
        return f"part {self.part_id}: {self.field} was {self.recorded}, is {self.replayed}"


class ReplayedSlots:
    """In place of a slot watcher: ``take`` is called once before each part and gives the slot of that part where it changes."""

    def __init__(self, run: RecordedRun, bundle: Bundle) -> None:
        self._parts = iter(run.parts)
        serials = dict.fromkeys(part.calibration_serial for part in run.parts)
        if not serials:
            raise SlotError(f"{run.folder}: has no parts, and so no calibration; record again")
        self._slots = {serial: run.slot(bundle, serial) for serial in serials}
        self.first: CalibrationSlot = self._slots[next(iter(serials))]
        """What the first part was judged by."""
        self._serial = self.first.record.serial
        self.refused: list[str] = []

    def take(self) -> CalibrationSlot | None:
        """The slot to change to, if any."""
        part = next(self._parts, None)
        if part is None or part.calibration_serial == self._serial:
            return None
        self._serial = part.calibration_serial
        return self._slots[self._serial]

    def answer(self, slot: CalibrationSlot, refusal: str = "") -> None:
        """What became of it; a refusal shows in the verdicts that follow."""
        if refusal:
            self.refused.append(f"calibration {slot.record.serial}: {refusal}")

    def close(self, wait_s: float = 0) -> None:
        """Nothing looks."""


class ReplayedLine:
    """In place of the line: drives nothing, and repeats its part in the verdicts.

    A FAULT that the picture's scores do not explain came from outside it: a deadline, the age of the picture, the part behind it.
    Those are told as recorded; everything else is what the engine says now. Parts are numbered from ``first_part_id``.
    """

    def __init__(self, run: RecordedRun, first_part_id: int = 0) -> None:
        self._run, self._first = run, first_part_id

    def decide(self, part_id: int, outcome: Outcome, reason: str, seen_ns: int) -> tuple[Outcome, str]:  # noqa: ARG002
        """The outcome that counts, and its reason."""
        part = self._run.parts[part_id - self._first]
        return (Outcome.FAULT, part.verdict.reason) if from_outside(part) else (outcome, reason)

    def fault_all(self, reason: str) -> None:
        """Nothing is on its way."""

    def close(self) -> None:
        """Nothing is driven."""


def from_outside(part: RecordedPart) -> bool:
    """True for a FAULT although the scores of the picture, which are all there, say PASS or REJECT."""
    scores, threshold = part.verdict.scores, part.verdict.threshold
    if part.outcome() is not Outcome.FAULT or scores is None or threshold is None:
        return False
    if any(value is None for value in scores.values()):
        return False
    return decide(Scores(**{name: value for name, value in scores.items() if value is not None}), threshold)[0] is not Outcome.FAULT


def differences(run: RecordedRun, verdicts: Iterable[Verdict]) -> list[Difference]:
    """What of the verdicts, in the order of the parts, is not as recorded: outcome, calibration, threshold, figures bit for bit.

    Reasons are not compared, since they tell times. Figures are where both have some; a part at fault may have none.
    """
    found: list[Difference] = []
    replayed = list(verdicts)
    for part, verdict in zip(run.parts, replayed, strict=False):
        found += _of_one(part, verdict)
    if len(replayed) != len(run.parts):
        last = run.parts[-1].part_id if run.parts else -1
        found.append(Difference(last, "the number of verdicts", str(len(run.parts)), str(len(replayed))))
    return found


def _of_one(part: RecordedPart, verdict: Verdict) -> list[Difference]:
    pairs: list[tuple[str, object, object]] = [
        ("outcome", part.verdict.outcome, verdict.outcome.value),
        ("calibration", part.calibration_serial, verdict.calibration_serial),
        ("threshold", part.verdict.threshold, finite_or_none(verdict.threshold)),
    ]
    recorded = part.verdict.scores
    if recorded is not None and verdict.scores is not None:
        now = finite_or_none(asdict(verdict.scores))  # as the run has them: null for what is not finite
        pairs += [(name, recorded.get(name), value) for name, value in now.items()]
    elif recorded is not None and part.outcome() is not Outcome.FAULT:
        pairs.append(("scores", "there", "none"))
    return [Difference(part.part_id, name, f"{before}", f"{now}") for name, before, now in pairs if before != now]
