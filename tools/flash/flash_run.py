"""Runs a plan's steps with NVIDIA's scripts, keeps what each said, and goes on where an earlier run ended.

Which devices are done is known from NVIDIA's own logs (initrdlog/flash_<USB port>_<n>_<time>.log), one a device.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from edge.console.plain_table import say
from edge.errors import EdgeInspectError, FlashError
from edge.storage.durable_files import write_file
from tools.flash.boards import FLASH
from tools.flash.flash_plan import FlashPlan, Step
from tools.flash.host import SYS_USB, RecoveryDevice, require_devices, require_packages
from tools.flash.stage import require_root, stage

DONE = re.compile(r"Flash is successful|The target .* has been flashed successfully", re.IGNORECASE)
LOG_NAME = re.compile(r"flash_(?P<port>[\d.-]+)_(?P<number>\d+)_.*\.log")
SHOWN = 100
TAIL = 3


class StepFailedError(EdgeInspectError):
    """A script of NVIDIA's ended with an error."""


@dataclass(frozen=True, slots=True)
class DeviceResult:
    """What became of one device. log: NVIDIA's own, of this device."""

    port: str
    serial: str
    flashed: bool
    words: str
    log: str


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person must have said."""

    erase: bool
    license: bool

    def require(self) -> None:
        """Raise FlashError for what was not said."""
        if not self.erase:
            raise FlashError("flashing erases everything on the device; say --yes-erase if that is meant")
        if not self.license:
            raise FlashError(
                "NVIDIA's software comes under NVIDIA's licence (Linux_for_Tegra/LICENSE, and on the device); say --accept-license "
                "if you accept it, since nobody is asked on the device"
            )


class FlashRun:
    """One run of ``plan``. logs: where logs, and what was done, are kept. usb: where the kernel lists USB devices."""

    def __init__(self, plan: FlashPlan, logs: Path, console: Console, usb: Path = SYS_USB) -> None:
        self._plan, self._logs, self._console, self._usb = plan, logs, console, usb
        self._record = logs / f"plan-{plan.identity}.json"

    def run(self, consent: Consent) -> list[DeviceResult]:
        """One result a device. Raises FlashError before anything is changed, StepFailedError where a step failed as a whole."""
        consent.require()
        require_root("flashing")
        require_packages()
        devices = require_devices(self._plan.board, self._plan.mass, self._usb)
        self._logs.mkdir(parents=True, exist_ok=True)
        results: list[DeviceResult] = []
        for step in self._plan.steps:
            if step.name in self._done():
                say(self._console, f"{step.words}: done by an earlier run")
            elif step.name == "stage":
                changed = stage(self._plan.manifest, self._plan.bsp.rootfs)
                say(self._console, f"{step.words}: {len(changed)} changed")
                if changed:
                    self._forget_images()
            elif step.name == "flash":
                results = self._flash(step, devices)
            else:
                code, log = self._execute(step)
                if code != 0:
                    raise StepFailedError(
                        f"{step.words}: {step.command[0]} ended with {code}: {_tail(log)}; all it said is in {log}"
                    )
                if step.name == "images":
                    self._keep_done("images")
        return results

    def _flash(self, step: Step, devices: list[RecoveryDevice]) -> list[DeviceResult]:
        folder = self._plan.bsp.path / "initrdlog"
        before = set(folder.glob("*.log"))
        code, log = self._execute(step)
        if step.command[0] == f"./{FLASH}":
            words = "flashed" if code == 0 else f"ended with {code}: {_tail(log)}"
            return [DeviceResult(devices[0].port, devices[0].serial, code == 0, words, str(log))]
        own = {match["port"]: one for one in sorted(set(folder.glob("*.log")) - before) if (match := LOG_NAME.fullmatch(one.name))}
        return [self._result(one, own.get(one.port), code, log) for one in devices]

    def _result(self, device: RecoveryDevice, own: Path | None, code: int, log: Path) -> DeviceResult:
        if own is None:
            return DeviceResult(
                device.port, device.serial, False, f"NVIDIA's script ended with {code} and wrote no log of it", str(log)
            )
        flashed = DONE.search(own.read_text(encoding="utf-8", errors="replace")) is not None
        return DeviceResult(device.port, device.serial, flashed, "flashed" if flashed else _tail(own), str(own))

    def _execute(self, step: Step) -> tuple[int, Path]:
        """Exit code and log. What the script says is shown by its last line, and kept whole."""
        log = self._logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{step.name}.log"
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as bars, log.open("ab") as file:
            task = bars.add_task(step.words)
            if not self._console.is_terminal:
                say(self._console, f"{step.words} …")
            with subprocess.Popen(
                step.command, cwd=self._plan.bsp.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process:
                assert process.stdout is not None
                try:
                    for line in process.stdout:
                        file.write(line)
                        bars.update(task, description=f"{step.words}: {_plain(line)[:SHOWN]}".replace("[", r"\["))
                except BaseException:
                    process.terminate()
                    raise
            file.flush()
            os.fsync(file.fileno())
        return process.returncode, log

    def _done(self) -> list[str]:
        try:
            return list(json.loads(self._record.read_text(encoding="utf-8"))["done"])
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _keep_done(self, name: str) -> None:
        write_file(self._record, json.dumps({"done": sorted({*self._done(), name})}).encode())

    def _forget_images(self) -> None:
        """They hold another root file system than the one that was just changed."""
        for one in self._logs.glob("plan-*.json"):
            one.unlink()


def _tail(log: Path) -> str:
    lines = [plain for line in log.read_bytes().splitlines() if (plain := _plain(line))]
    errors = [line for line in lines if "error" in line.lower()]
    return " | ".join((errors or lines)[-TAIL:]) or "it said nothing"


def _plain(line: bytes) -> str:
    """Without control codes, which a script of another's may send to the terminal."""
    return "".join(c for c in line.decode(errors="replace").strip() if c.isprintable())


def results_record(results: list[DeviceResult]) -> list[dict[str, object]]:
    """For JSON."""
    return [asdict(one) for one in results]
