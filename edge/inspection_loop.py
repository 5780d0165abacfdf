"""The stages joined: part → engine → decision → line → report. No arithmetic of its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from edge.clock import Clock
from edge.decision import decide
from edge.engines.base import Inference
from edge.errors import EndOfStream, EngineError
from edge.line.part_feed import Seen
from edge.line.part_line import PartLine
from edge.products.product import CurrentProduct, Product
from edge.slots.calibration_slot import CalibrationSlot
from edge.supervision.supervisor import Supervisor
from edge.verdict import Outcome, Verdict


class Feed(Protocol):
    """A PartFeed, read ahead or not."""

    def next(self, stop: threading.Event) -> Seen | None:
        """The next part; None where there is none yet. Raises EndOfStream."""
        ...


class Recipes(Protocol):
    """A RecipeSwitch."""

    def change(self) -> bool:
        """True where the product is another one now."""
        ...


class InspectionLoop:
    """Inspects part after part until told to stop, the source ends, or a line can no longer be driven (LineError).

    Whatever else goes wrong with a part is its FAULT verdict, the line says reject, and the next part is tried.
    ``current`` judges; another calibration of it, and another product that ``recipes`` has ready, is taken between two parts. What
    came before the product did is a FAULT. ``report`` gets every verdict, with what it was made of, after the line took it.
    ``max_age_ms``: a picture older than that when decided is a FAULT. shadow: no line hears of the verdicts, which say so.
    """

    def __init__(
        self,
        feed: Feed,
        current: CurrentProduct,
        line: PartLine,
        clock: Clock,
        max_age_ms: int,
        report: Callable[[Verdict, Seen, Inference | None], None],
        supervisor: Supervisor | None = None,
        recipes: Recipes | None = None,
        shadow: bool = False,
    ) -> None:
        self._feed, self._current, self._line, self._clock = feed, current, line, clock
        self._max_age_ms, self._report, self._recipes = max_age_ms, report, recipes
        self._supervisor, self._shadow = supervisor, shadow
        self._changed_ns: int | None = None
        self.counts: Counter[Outcome] = Counter()

    @property
    def slot(self) -> CalibrationSlot:
        """The one that decides; while a verdict is reported, the one it was made with."""
        return self._current.product.slot

    def run(self, stop: threading.Event, max_parts: int | None = None) -> None:
        """Return on ``stop``, after ``max_parts`` verdicts, or at the end of a recording."""
        while not stop.is_set() and (max_parts is None or self.counts.total() < max_parts):
            if self._recipes is not None and self._recipes.change():
                self._changed_ns = self._clock.monotonic_ns()
            self._current.product.take_slot()
            if self._supervisor is not None:
                self._supervisor.between(self._current.product.bound)
            try:
                seen = self._feed.next(stop)
            except EndOfStream:
                return
            if seen is not None:
                verdict, inference = self._inspect(seen)
                self.counts[verdict.outcome] += 1
                self._report(verdict, seen, inference)

    def _inspect(self, seen: Seen) -> tuple[Verdict, Inference | None]:
        product = self._current.product
        record = product.slot.record
        started = self._clock.monotonic_ns()
        inference: Inference | None = None
        if self._supervisor is not None and (seen.lost or seen.frame is not None):
            self._supervisor.camera(seen.fault if seen.lost else "", product.bound)
        outcome, reason = Outcome.FAULT, seen.fault
        try:
            if seen.image is not None and self._changed_ns is not None and seen.trigger_ns <= self._changed_ns:
                # Its picture may be taken with the settings and the view of the other product, and the part may be one of it.
                reason = f"the part came before the product was changed to {product.recipe}: it is judged by neither"
            elif seen.image is not None:
                inference = product.bound.infer(seen.image)
                inferred = self._clock.monotonic_ns()
                seen.stage_ms["engine"] = (inferred - started) / 1e6
                outcome, reason = self._judge(seen, inference, product)
                seen.stage_ms["decision"] = (self._clock.monotonic_ns() - inferred) / 1e6
        except EngineError as error:
            reason = str(error)
            if self._supervisor is not None:
                self._supervisor.engine_failed(reason)
        except Exception as error:  # not foreseen, and therefore not known to be good
            reason = f"unexpected {type(error).__name__}: {error}"
        exposed_ns = seen.frame.exposed_ns if seen.frame is not None else None
        decided_ns = self._clock.monotonic_ns()
        outcome, reason = self._line.decide(seen.part_id, outcome, reason, decided_ns if exposed_ns is None else exposed_ns)
        return Verdict(
            part_id=seen.part_id,
            outcome=outcome,
            reason=reason,
            source=seen.source,
            trigger_ns=seen.trigger_ns,
            exposed_ns=exposed_ns,
            decided_ns=decided_ns,
            wall_ns=self._clock.wall_ns(),
            scores=inference.scores if inference is not None else None,
            threshold=record.threshold,
            calibration_serial=record.serial,
            stage_ms=seen.stage_ms,
            degraded=product.bound.degraded,
            shadow=self._shadow,
            recipe=product.recipe,
        ), inference

    def _judge(self, seen: Seen, inference: Inference, product: Product) -> tuple[Outcome, str]:
        outcome, reason = decide(inference.scores, product.slot.record.threshold)
        assert seen.frame is not None
        assert seen.image is not None
        health = product.health
        if health is not None:
            moved = health.moved(seen.image)  # always looked at: it remembers the last frames
            frozen = health.frozen(seen.frame.image, seen.frame.driver_ns, seen.frame.still_ns)
            unfit = frozen or health.unfit(inference.scores) or moved
            if unfit:
                return Outcome.FAULT, unfit
        age_ms = (self._clock.monotonic_ns() - seen.frame.exposed_ns) / 1e6
        if age_ms > self._max_age_ms:
            return Outcome.FAULT, f"the picture was {age_ms:.0f} ms old when decided, more than the {self._max_age_ms} allowed"
        return outcome, reason
