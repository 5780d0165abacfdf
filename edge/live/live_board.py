"""Keeps what a running inspection says of itself, and serves it at ``<state>/live.sock``; a part costs it a few microseconds."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np

from edge.clock import Clock
from edge.engines.base import Inference
from edge.errors import OutputError
from edge.line.part_feed import Seen
from edge.live.live_status import (
    MAGIC,
    SOCKET,
    STAGE_BOUNDS_MS,
    STATUS,
    VIEW,
    LiveProduct,
    LiveStatus,
    LiveView,
    StageTimes,
)
from edge.live.message import packed
from edge.live.newest_server import Answer, NewestServer
from edge.products.product import Product
from edge.storage.event_chain import canonical
from edge.supervision.line_states import LineStates
from edge.verdict import Outcome, Verdict
from edge.version import product_version


class LiveBoard:
    """``part`` is for the thread of the inspection; the server's thread reads what it left, which nobody changes.

    camera, lines: in words. station_sha256: of the station file's content. triggers: counts by name. lost: what could not be kept,
    by name. Where the board cannot be served it says so through ``say``, once.
    """

    def __init__(
        self,
        state: Path,
        states: LineStates,
        camera: str,
        lines: str,
        shadow: bool,
        triggers: Callable[[], dict[str, int]],
        lost: Callable[[], dict[str, int]],
        clock: Clock,
        say: Callable[[str], None],
        station_sha256: str = "",
        temperatures: Callable[[], dict[str, float]] = dict,
    ) -> None:
        self._states, self._camera, self._lines, self._shadow = states, camera, lines, shadow
        self._triggers, self._lost, self._clock = triggers, lost, clock
        self._station_sha256, self._temperatures = station_sha256, temperatures
        self._started_ns = clock.wall_ns()
        self._outcomes: Counter[str] = Counter()
        self._stages: dict[str, tuple[list[int], list[float]]] = {}
        self._product: Product | None = None
        self._drift = ""
        self._last: tuple[int, Verdict, Seen, Inference | None, Product] | None = None
        self._parts = 0
        self._asked = count()
        self._server: NewestServer | None = None
        try:
            self._server = NewestServer(state / SOCKET, {STATUS: self._status_answer, VIEW: self._view_answer}, clock)
        except OutputError as error:
            say(str(error))

    def product(self, product: Product) -> None:
        """What is inspected from now on."""
        self._product = product

    def part(self, verdict: Verdict, seen: Seen, inference: Inference | None, product: Product) -> None:
        """A part was judged. Its picture and its map are held, and must not be written to any more."""
        self._outcomes[verdict.outcome.value] += 1
        for stage, milliseconds in verdict.stage_ms.items():
            counts, total = self._stages.setdefault(stage, ([0] * (len(STAGE_BOUNDS_MS) + 1), [0.0]))
            counts[bisect_left(STAGE_BOUNDS_MS, milliseconds)] += 1
            total[0] += milliseconds
        self._drift = product.drift.short if product.drift is not None else ""
        self._product = product
        self._parts += 1
        self._last = (self._parts, verdict, seen, inference, product)
        if self._server is not None:
            self._server.renewed()

    def status(self) -> LiveStatus:
        """All but the pictures. Any thread."""
        last, product = self._last, self._product
        assert product is not None
        record = product.slot.record
        shown = LiveProduct(
            recipe=product.recipe, model_id=record.model_id, precision=product.precision, runtime=product.bound.runtime,
            calibration_serial=record.serial, threshold=record.threshold, promise=record.promise.describe(),
        )  # fmt: skip
        return LiveStatus(
            version=product_version(),
            started_wall_ns=self._started_ns,
            wall_ns=self._clock.wall_ns(),
            number=self._parts,
            state=self._states.state.value,
            faults=self._states.faults,
            weaknesses=self._states.weaknesses,
            camera=self._camera,
            lines=self._lines,
            shadow=self._shadow,
            product=shown,
            outcomes={outcome.value: self._outcomes[outcome.value] for outcome in Outcome},
            triggers=self._triggers(),
            lost=self._lost(),
            stages={
                stage: StageTimes(counts=list(counts), total_ms=total[0]) for stage, (counts, total) in list(self._stages.items())
            },
            drift=self._drift,
            drift_figures=product.drift.of_late() if product.drift is not None else {},
            temperatures=self._temperatures(),
            settings=self._settings(shown),
            verdict=last[1].to_record() if last is not None else None,
        )  # fmt: skip

    @property
    def failure(self) -> str:
        """Why nothing is shown any more; empty while it is, and where it never was."""
        return (self._server.failure or "") if self._server is not None else ""

    def close(self) -> None:
        """Show no more; may be called twice."""
        if self._server is not None:
            self._server.close()

    def _settings(self, shown: LiveProduct) -> str:
        decides = {"station": self._station_sha256, **shown.model_dump(exclude={"promise"})}
        return hashlib.sha256(canonical(decides).encode()).hexdigest()

    def _status_answer(self) -> Answer | None:
        if self._product is None:
            return None
        return Answer(next(self._asked), [packed(MAGIC, self.status().model_dump_json())])

    def _view_answer(self) -> Answer | None:
        last = self._last
        if last is None:
            return None
        number, verdict, seen, inference, product = last
        image = seen.frame.image if seen.frame is not None else np.zeros((0, 0, 3), np.uint8)
        heat = inference.anomaly_map if inference is not None else np.zeros((0, 0), np.float32)
        region = product.view.region
        header = LiveView(
            verdict=verdict.to_record(),
            width=image.shape[1], height=image.shape[0], map_width=heat.shape[1], map_height=heat.shape[0],
            region=(region.x, region.y, region.width, region.height) if region is not None else None,
        )  # fmt: skip
        content = [np.ascontiguousarray(array).data.cast("B") for array in (image, heat) if array.size]
        return Answer(number, [packed(MAGIC, header.model_dump_json()), *content])
