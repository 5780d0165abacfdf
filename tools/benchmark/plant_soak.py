"""A soak with a plant beside it: is every part in the records once, and once at every peer, and does a frame take longer?"""

from __future__ import annotations

import json
import math
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console, Group
from rich.table import Table

from edge.clock import SystemClock
from edge.errors import ConfigError
from edge.line.station_view import station_view
from edge.live.companions import plant_companion
from edge.records.part_records import FILE, FOLDER
from edge.station_config import StationConfig
from tools.benchmark.plant_peers import PROTOCOLS, REPORT, broker_command, plant_config
from tools.benchmark.report_files import write_report
from tools.benchmark.soak import measure_soak
from tools.benchmark.soak_account import Soak
from tools.benchmark.stand_in_engine import StandInEngine, stand_in_slot
from tools.page_run import free_port

NAME = "plant"
CATCH_UP_S = 300.0
READY_S = 30.0
PAIR_PARTS = 500


@dataclass(frozen=True)
class PlantSoak:
    """soak: of the inspection. heard, outages: as the peers tell. pairs: median milliseconds from trigger to verdict, without a
    plant and with all its protocols, in turns. said: by the companion, of a plant that was killed.
    """

    soak: Soak
    heard: dict[str, dict[str, int]]
    outages: dict[str, int]
    pairs: list[tuple[float, float]]
    said: list[str]

    @property
    def failures(self) -> list[str]:
        """What is not as it must be; a part that is told again after a kill is the same part, by its key."""
        found = list(self.soak.failures)
        for name in PROTOCOLS:
            one = self.heard.get(name, {})
            if one.get("parts") != self.soak.parts or any(one[what] for what in ("out of order", "gaps", "strangers")):
                found.append(f"{name}: {one or 'nothing'} of {self.soak.parts} parts")
        return found

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        record = asdict(self) | {"soak": self.soak.to_json(), "failures": self.failures}
        if self.pairs:
            record["difference_ms"] = self._differences()
        return record

    def tables(self) -> list[Table]:
        """For people: what the peers heard, and the pairs."""
        heard = Table(title="NOT AS IT MUST BE: " + "; ".join(self.failures) if self.failures else "every part came once, in order")
        for heading in ("peer", "parts", "again, after a kill or an outage", "out of order", "gaps", "outages"):
            heard.add_column(heading, justify="left" if heading == "peer" else "right")
        for name, one in self.heard.items():
            heard.add_row(name, *(str(one[what]) for what in ("parts", "again", "out of order", "gaps")), str(self.outages[name]))
        heard.add_row("records", str(self.soak.records), "0", "0", "0", f"{self.outages.get('plant killed', 0)} kills of the plant")
        tables = [heard]
        if self.pairs:
            pairs = Table(title="trigger to verdict, median milliseconds: " + self._in_words())
            for heading in ("pair", "without a plant", "with all protocols"):
                pairs.add_column(heading, justify="right")
            for number, (off, on) in enumerate(self.pairs, 1):
                pairs.add_row(str(number), f"{off:.3f}", f"{on:.3f}")
            tables.append(pairs)
        return tables

    def table(self) -> Group:
        """For people."""
        return Group(*self.tables(), *self.soak.tables())

    def write(self, out: Path) -> None:
        """plant.json and plant.md in ``out``; raises OutputError."""
        said = "\n".join(f"- {one}" for one in (*self.soak.said, *self.said))
        write_report(out, NAME, self.to_json(), [*self.tables(), *self.soak.tables()], said)

    def _differences(self) -> dict[str, float]:
        difference = np.array([on - off for off, on in self.pairs])
        off = np.array([off for off, _ in self.pairs])
        return {
            "median": float(np.median(difference)), "least": float(difference.min()), "most": float(difference.max()),
            "spread without": float(off.max() - off.min()),
        }  # fmt: skip

    def _in_words(self) -> str:
        found = self._differences()
        return (
            f"{found['median']:+.3f} with a plant ({found['least']:+.3f} to {found['most']:+.3f}); those without one differ by "
            f"up to {found['spread without']:.3f}"
        )


class _Beside:
    """The plant and its peers, beside a soak."""

    def __init__(self, parts: int, outages: bool) -> None:
        self._parts, self._outages = parts, outages
        self.heard: dict[str, dict[str, int]] = {}
        self.outages: dict[str, int] = {}
        self.said: list[str] = []

    @contextmanager
    def __call__(self, state: Path, first_part_id: int) -> Iterator[None]:
        ports = [free_port() for _ in range(5)]
        companion = plant_companion(plant_config(ports), state, first_part_id, self.said.append, SystemClock())
        command = [
            sys.executable,
            "-m",
            "tools.benchmark.plant_peers",
            str(state),
            str(state),
            str(self._parts),
            str(first_part_id),
        ]
        command += [",".join(map(str, ports)), str(int(self._outages))]
        companion.start()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as peers:
            try:
                _until_served(ports)
                yield
                peers.wait(CATCH_UP_S)
            except subprocess.TimeoutExpired:
                pass  # the peers tell what is missing
            finally:
                peers.terminate()
                peers.wait()
                companion.close()
                if (state / REPORT).is_file():
                    report = json.loads((state / REPORT).read_text())
                    self.heard, self.outages = report["heard"], report["outages"]


class _Timed:
    """``beside``, or nothing, beside a soak; afterwards the median time from trigger to verdict, as its records have it."""

    def __init__(self, beside: _Beside | None) -> None:
        self._beside = beside
        self.median_ms = math.nan

    @contextmanager
    def __call__(self, state: Path, first_part_id: int) -> Iterator[None]:
        with self._beside(state, first_part_id) if self._beside is not None else nullcontext():
            yield
        with closing(sqlite3.connect(f"file:{state / FOLDER / FILE}?mode=ro", uri=True)) as connection:
            took = connection.execute("SELECT decided_ns - trigger_ns FROM parts WHERE outcome <> 'FAULT'").fetchall()
        self.median_ms = float(np.median(took)) / 1e6


def measure_plant(parts: int, rate: float, seed: int, pairs: int, out: Path | None, console: Console) -> PlantSoak:
    """A soak with faults and outages, then ``pairs`` of short ones without. Raises ConfigError where there is no broker."""
    if broker_command() is None:
        raise ConfigError("expected a broker for MQTT, there is no mosquitto; apt-get install mosquitto")

    def soak(count: int, beside: Callable[[Path, int], AbstractContextManager[None]], faults: bool) -> Soak:
        engine, slot = StandInEngine(), stand_in_slot()
        engine.bind(slot.tensors)
        with tempfile.TemporaryDirectory(prefix="plant-", dir=out) as folder:
            view = station_view(StationConfig(), engine.shape)
            return measure_soak(engine, slot, view, count, faults, rate, seed, Path(folder), console, beside)

    beside = _Beside(parts, outages=True)
    result = soak(parts, beside, faults=True)
    found = []
    for number in range(pairs):
        timed = {True: _Timed(_Beside(PAIR_PARTS, outages=False)), False: _Timed(None)}
        for on in (number % 2 == 0, number % 2 == 1):
            soak(PAIR_PARTS, timed[on], faults=False)
        found.append((timed[False].median_ms, timed[True].median_ms))
    measured = PlantSoak(result, beside.heard, beside.outages, found, beside.said)
    if out is not None:
        measured.write(out)
    return measured


def _until_served(ports: list[int]) -> None:
    """So that a soak does not measure how they start."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        with_all = True
        for port in ports:
            with socket.socket() as probe:
                with_all = with_all and probe.connect_ex(("127.0.0.1", port)) == 0
        if with_all:
            return
        time.sleep(0.1)
