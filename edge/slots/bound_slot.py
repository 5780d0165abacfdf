"""An engine and the slot it is bound to, changed together: no verdict has the tensors of one slot and the threshold of another."""

from __future__ import annotations

from edge.engines.base import Engine, Inference
from edge.errors import EngineError, SlotError
from edge.frame import Image
from edge.slots.calibration_slot import CalibrationSlot


class BoundSlot:
    """For the one thread that uses the engine. ``engine`` is bound to ``slot`` already, and passed its self-test."""

    def __init__(self, engine: Engine, slot: CalibrationSlot) -> None:
        self._engine, self._slot = engine, slot
        self._sound = True

    @property
    def slot(self) -> CalibrationSlot:
        """What scores and judges."""
        return self._slot

    @property
    def degraded(self) -> str:
        """What the engine stands in for and why; empty where it is the one that was asked for."""
        return self._engine.degraded

    @property
    def runtime(self) -> str:
        """As Engine.runtime."""
        return self._engine.runtime

    def close(self) -> None:
        """Give the engine back; may be called twice."""
        self._engine.close()

    def change_to(self, slot: CalibrationSlot) -> None:
        """Bind ``slot`` and test it; raises SlotError where that fails, and then the old one is bound again and stays.

        Where the old one cannot be bound again either, ``infer`` raises until it can.
        """
        try:
            self._bind(slot)
        except Exception as error:  # whatever an engine throws; the old slot goes on
            reason = str(error) or type(error).__name__
            try:
                self._restore()
            except EngineError as worse:
                reason += f"; {worse}"
            raise SlotError(reason) from error
        self._slot = slot

    def test(self) -> None:
        """Bind the slot once more and score its reference images; raises EngineError where they do not come out as recorded."""
        self._restore()

    def infer(self, image: Image) -> Inference:
        """Score uint8 height×width×3 with ``slot``; raises EngineError, also while the engine may hold anything else."""
        if not self._sound:
            self._restore()
        return self._engine.infer(image)

    def _restore(self) -> None:
        try:
            self._bind(self._slot)
        except Exception as error:
            raise EngineError(
                f"calibration {self._slot.record.serial} could not be bound again ({error}): every part is at fault until it can; "
                "if that stays, start edge-inspect anew"
            ) from error

    def _bind(self, slot: CalibrationSlot) -> None:
        self._sound = False
        self._engine.bind(slot.tensors)
        slot.self_test(self._engine)
        self._sound = True
