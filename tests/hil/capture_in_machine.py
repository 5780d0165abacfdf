"""Runs in the test machine: edge-capture on /dev/video0, alone and while edge-inspect holds it; prints one line of JSON."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

from edge.cameras.v4l2 import CONTROLS

MODULE = [sys.executable, "-m"]
# vivid's pattern moves, but is as sharp everywhere: all of it is kept.
CAPTURE = [*MODULE, "edge.capture.capture_cli", "--every", "0.1", "--same-below", "0"]


def controls_now() -> dict[str, float]:
    capture = cv2.VideoCapture("/dev/video0", cv2.CAP_V4L2)
    try:
        return {name: capture.get(control.prop) for name, control in CONTROLS.items()}
    finally:
        capture.release()


def main() -> None:
    bundle, out = sys.argv[1], Path(tempfile.mkdtemp())
    station = out / "station.yaml"
    station.write_text("camera: {width: 640, height: 360, read_timeout_ms: 5000}")
    options = ["--station", str(station), "--out", str(out), "--bundle", bundle]

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([*CAPTURE, *options, *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    alone = run("--camera", "0", "--frames", "3", "--session", "alone")
    held = controls_now()
    time.sleep(2.2)  # vivid's automatic gain moves every second
    still_held = controls_now()
    calibrated = subprocess.run(
        [*MODULE, "calibration.cli", "--camera", "0", "--frames", "20", "--every", "0.05", "--same-below", "0", "--bundle", bundle,
         "--station", str(station), "--center", "bundle"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    brighter = out / "brighter.yaml"
    brighter.write_text("camera: {width: 640, height: 360, gain: 200}")
    refused = subprocess.run(
        [*MODULE, "edge.cli", "--camera", "0", "--bundle", bundle, "--station", str(brighter), "--dry-run", "--max-frames", "1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    inspection = subprocess.Popen(
        [*MODULE, "edge.cli", "--camera", "0", "--bundle", bundle, "--station", str(station), "--dry-run"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert inspection.stdout is not None
    inspection.stdout.readline()
    busy = run("--camera", "0", "--frames", "1", "--session", "busy")
    shared = run("--camera", "inspect", "--frames", "3", "--session", "shared")
    inspection.send_signal(signal.SIGTERM)
    verdicts, words = inspection.communicate()
    picture = cv2.imread(str(out / "shared" / "000003.png"))
    result = {
        "held": held,
        "still_held": still_held,
        "calibrated": [calibrated.returncode, calibrated.stderr],
        "refused": [refused.returncode, refused.stderr],
        "alone": alone,
        "busy": busy,
        "shared": shared,
        "shared_size": picture.shape if picture is not None else None,
        "record": (out / "alone" / "session.yaml").read_text() if (out / "alone" / "session.yaml").exists() else "",
        "inspection": [inspection.returncode, len(verdicts.splitlines()), words],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
