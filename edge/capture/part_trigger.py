"""A picture of each part that the station's trigger sees, exposed after it, with the station's light."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from edge.cameras.base import Camera
from edge.cameras.shared_frames import SharedFrames
from edge.capture.capture_trigger import LOOK_FOR_STOP_S, CaptureTrigger, IntervalTrigger
from edge.clock import Clock
from edge.gpio.open_line import open_line
from edge.line.line_config import SAFE
from edge.line.strobe import Strobe
from edge.station_config import StationConfig
from edge.triggers.base import Trigger
from edge.triggers.open_trigger import open_trigger

EVERY_S = 0.5


class PartTrigger:
    """Of several parts that came meanwhile only the newest can still be seen. seen: gets the time of each, monotonic nanoseconds.

    lead_ns: exposure may begin so long before a frame's time stamp.
    """

    def __init__(self, trigger: Trigger, lead_ns: int, seen: Callable[[int], None]) -> None:
        self._trigger, self._lead_ns, self._seen = trigger, lead_ns, seen
        self.after_ns = 0

    def wait(self, stop: threading.Event) -> bool:
        while not stop.is_set():
            events = self._trigger.wait(LOOK_FOR_STOP_S)
            for event in events:
                self._seen(event.at_ns)
            if events:
                self.after_ns = events[-1].at_ns + self._lead_ns
                return not stop.is_set()
        return False


def part_or_interval(
    station: StationConfig, state: Path, camera: Camera, every_s: float | None, clock: Clock, stack: ExitStack
) -> tuple[CaptureTrigger, str]:
    """(trigger, in words): the station's own, unless ``every_s`` says an interval or another program holds camera and trigger.

    What needs closing is put on ``stack``. Raises LineOpenError.
    """
    if every_s is not None or isinstance(camera, SharedFrames) or not camera.live:
        return IntervalTrigger(EVERY_S if every_s is None else every_s, clock), ""
    trigger = open_trigger(station.trigger, station.lines.backend, state, clock)
    if trigger is None:
        return IntervalTrigger(EVERY_S, clock), ""
    stack.callback(trigger.close)
    light = open_line("strobe", station.lines.strobe, SAFE["strobe"], station.lines.backend, clock)
    strobe = Strobe(light, station.strobe.lead_ms, station.strobe.duration_ms, clock)
    stack.callback(strobe.close)
    lead_ns = station.timing.lead_ns(station.camera.frames_per_second)
    light_lead_ns = round(station.strobe.lead_ms * 1e6)
    return PartTrigger(
        trigger, lead_ns, lambda at_ns: strobe.fire(at_ns + light_lead_ns)
    ), f"a picture for each part at {trigger.name}"
