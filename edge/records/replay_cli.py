"""edge-inspect --replay: a recorded run inspected again, and whether every verdict comes out as it was."""

from __future__ import annotations

import argparse
import threading

from rich.console import Console

from edge.bundle import open_bundle
from edge.cameras.lasting_camera import LastingCamera
from edge.cameras.recorded import RecordedCamera
from edge.clock import SystemClock
from edge.engines.base import Inference
from edge.engines.build_observer import ConsoleObserver
from edge.engines.open_engine import open_chosen_engine
from edge.errors import EXIT_FAILED, EXIT_OK
from edge.inspection_loop import InspectionLoop
from edge.line.part_feed import FreeFeed, Seen
from edge.line.station_view import station_view
from edge.products.product import CurrentProduct, Product
from edge.records.recorded_run import read_run
from edge.records.replay import ReplayedLine, ReplayedSlots, differences
from edge.slots.bound_slot import BoundSlot
from edge.storage.locations import bundle_path
from edge.verdict import Verdict

SHOWN = 20


def replay(options: argparse.Namespace, console: Console, stop: threading.Event) -> int:
    """Inspect the run ``options.replay`` again, with no line and nothing kept; EXIT_FAILED where a verdict differs.

    Raises InputError where run and bundle do not belong together.
    """

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    run, clock = read_run(options.replay), SystemClock()
    bundle = open_bundle(bundle_path(options.bundle))
    run.require(bundle)
    slots, verdicts = ReplayedSlots(run, bundle), list[Verdict]()
    view = station_view(run.station(), bundle.manifest.graph)
    camera = RecordedCamera(run, clock)
    say(run.describe())

    def report(verdict: Verdict, _seen: Seen, _inference: Inference | None) -> None:
        verdicts.append(verdict)

    with open_chosen_engine(bundle, options, run.header.precision, ConsoleObserver(console, stop)) as engine:
        if engine.runtime != run.header.runtime:
            say(
                f"recorded on {run.header.runtime}, replayed on {engine.runtime}: figures may differ in their last digits", "yellow"
            )
        engine.bind(slots.first.tensors)
        current = CurrentProduct(Product(BoundSlot(engine, slots.first), view, run.header.precision, slots))
        feed = FreeFeed(LastingCamera(camera, lambda: camera, clock), current.preprocess, clock, 1)
        loop = InspectionLoop(feed, current, ReplayedLine(run), clock, 2**40, report)
        loop.run(stop, len(run.parts))
    found = differences(run, verdicts)
    for one in found[:SHOWN]:
        say(one.describe(), "yellow")
    if found:
        say(f"{len(found)} differences in {len(run.parts)} parts", "red")
        return EXIT_FAILED
    say(f"{len(run.parts)} parts: every verdict and every figure as recorded")
    return EXIT_OK
