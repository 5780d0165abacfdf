"""What the active slot would say of the images that set the new threshold: is the new calibration a change at all?"""

from __future__ import annotations

from dataclasses import dataclass

from calibration.derive import Derived
from calibration.prepared_images import prepared_images
from calibration.run_normal_images import Progress
from edge.decision import decide
from edge.engines.base import Engine
from edge.errors import InputError, NotCalibratedError
from edge.line.station_view import StationView
from edge.slots.calibration_slot import SlotStore
from edge.verdict import Outcome


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """serial, threshold: of the slot that was active. images: that set the new threshold; ``shared`` of them had a part in it, too.

    before, after: how many of these the old calibration rejects, and the new one (by statistics they did not enter).
    """

    serial: int
    threshold: float
    images: int
    shared: int
    before: int
    after: int

    def describe(self) -> str:
        """In words."""
        words = f"calibration {self.serial} rejects {self.before} of the {self.images} images that set the threshold, the new one "
        shared = f"; {self.shared} of them had a part in the old one, too" if self.shared else ""
        return f"{words}{self.after}{shared}"


def compare_with_active(
    store: SlotStore, engine: Engine, view: StationView, precision: str, derived: Derived, progress: Progress
) -> BeforeAfter | str:
    """Score the images again under the active slot, which stays bound; why not, in words, where it cannot be compared."""
    try:
        slot = store.current(precision, engine.runtime, view.view)
    except NotCalibratedError:
        return "there was no calibration before"
    except InputError as error:
        return f"the calibration before cannot be compared: {str(error).split(';')[0]}"
    engine.bind(slot.tensors)
    before = 0
    for picture in prepared_images(view, [image.path for image in derived.judged]):
        scores = engine.infer(picture).scores
        before += decide(scores, slot.record.threshold)[0] is not Outcome.PASS
        progress()
    old = {digest for job in slot.record.images.values() for digest in job}
    shared = sum(image.sha256 in old for image in derived.judged)
    after = sum(image.score >= derived.threshold for image in derived.judged)
    return BeforeAfter(slot.record.serial, slot.record.threshold, len(derived.judged), shared, before, after)
