"""Runs in the test machine: what /dev/video0 says of when its frames were taken; prints one line of JSON."""

from __future__ import annotations

import json
from pathlib import Path

from edge.cameras.v4l2 import open_v4l2
from edge.clock import SystemClock
from edge.station_config import CameraConfig

FRAMES = 20


def main() -> None:
    clock = SystemClock()
    with open_v4l2(Path("/dev/video0"), CameraConfig(width=640, height=360), clock) as camera:
        seen = [(camera.read(5000), clock.monotonic_ns()) for _ in range(FRAMES)]
    stamps = [frame.driver_ns for frame, _ in seen]
    print(json.dumps({"stamps": stamps, "exposed": [f.exposed_ns for f, _ in seen], "read": [read_ns for _, read_ns in seen]}))


if __name__ == "__main__":
    main()
