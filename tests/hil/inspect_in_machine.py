"""Runs inside the test machine: edge-inspect on /dev/video0 and the simulated chip; prints what it saw as one line of JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import gpiod

STATION = """
camera: {source: "0", width: %d, height: 360, read_timeout_ms: 5000}
lines: {reject: {chip: edge-sim, line: reject}, ready: {chip: edge-sim, line: ready}}
"""


def start(bundle: Path, folder: Path, width: int, frames: int) -> subprocess.Popen[str]:
    station = folder / f"station{width}.yaml"
    station.write_text(STATION % width)
    options = ["--bundle", str(bundle), "--station", str(station), "--max-frames", str(frames)]
    command = [sys.executable, "-m", "edge.cli", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    bundle = Path(sys.argv[1])
    label, _, chip = os.environ["EDGE_INSPECT_GPIO_SIM"].partition(":")

    first = start(bundle, folder, 640, 1_000_000)
    assert first.stdout is not None
    lines = [first.stdout.readline()]
    with gpiod.Chip(f"/dev/{Path(chip).name}") as opened:
        assert opened.get_info().label == label
        info = opened.get_line_info("reject")
    levels = {name: Path(chip, f"sim_gpio{offset}", "value").read_text().strip() for name, offset in (("reject", 3), ("ready", 4))}
    busy = start(bundle, folder, 640, 1).communicate()[1]
    first.send_signal(signal.SIGTERM)
    rest, errors = first.communicate()
    printed = [json.loads(line) for line in (lines[0] + rest).splitlines()]
    records = [record for record in printed if record.get("event") != "drift"]
    wrong_size = start(bundle, folder, 333, 1).communicate()[1]
    print(errors, busy, wrong_size)
    result = {
        "exit_code": first.returncode,
        "outcomes": [record["outcome"] for record in records],
        "source": records[0]["source"],
        "while_running": {"consumer": info.consumer, "reject_level": levels["reject"], "ready_level": levels["ready"]},
        "busy": busy.strip(),
        "wrong_size": wrong_size.strip(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
