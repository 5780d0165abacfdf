"""What an unattended line does when no plan of its precision works: run the next, safer one, if that is calibrated, and say so."""

from __future__ import annotations

from collections.abc import Callable

from edge.bundle import Bundle
from edge.engines.base import Engine
from edge.errors import BuildStoppedError, PlanError
from edge.slots.calibration_slot import CalibrationSlot

NEXT = {"int8": "fp16", "fp16": "fp32"}


def open_or_next(
    bundle: Bundle,
    precision: str,
    open_one: Callable[[str], Engine],
    calibrated: Callable[[str], list[CalibrationSlot]],
    say: Callable[[str], None],
) -> tuple[Engine, str, CalibrationSlot | None]:
    """The engine, its precision, and where that is not ``precision`` the slot it was calibrated by; its ``degraded`` says why.

    calibrated: slots of a precision, the newest first. Raises PlanError where neither works, so that the line does not start.
    """
    try:
        return open_one(precision), precision, None
    except BuildStoppedError:
        raise
    except PlanError as error:
        reason = str(error)
    following, tried = precision, ""
    while following in NEXT:
        following = NEXT[following]
        slots = calibrated(following) if following in bundle.precisions() else []
        if not slots:
            tried += f"; {following} is not calibrated"
            continue
        say(f"{reason}; trying {following}")
        try:
            engine = open_one(following)
        except BuildStoppedError:
            raise
        except PlanError as error:
            tried += f"; {error}"
            continue
        slot = next((one for one in slots if one.record.runtime == engine.runtime), None)
        if slot is not None:
            engine.degraded = "; ".join(filter(None, (f"{following} instead of {precision}: {reason}", engine.degraded)))
            return engine, following, slot
        engine.close()
        tried += f"; {following} is not calibrated for {engine.runtime}"
    raise PlanError(f"{reason}{tried}; see edge-build, or calibrate another --precision")
