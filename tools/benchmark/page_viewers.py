"""What open live pages cost a part: blocks of parts with and without viewers, in turns, in one run of the program itself."""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from rich.table import Table

from edge.pictures.image_file import list_images
from edge.slots.calibration_slot import SlotStore
from tools.page_run import PageRun, page_run

DEADLINE_MS = 2000
WARM = 10
"""Parts before the first block."""
SETTLE_S = 2.0
"""Between opening or closing the pages and the first part that counts."""
GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class PageViewers:
    """pairs: (median from trigger to verdict without, with viewers), milliseconds, of each pair of blocks; cpu_pairs: the
    same of the CPU time that edge-inspect itself took for a part, which other load on the machine changes little.

    page_parts: parts that the page counted in the end, recorded: those of the records; drawn: parts that each viewer was given for
    its trend, of all that came while it watched; faults: why parts were at fault, figures left out, → how many.
    """

    viewers: int
    parts: int
    pairs: list[tuple[float, float]]
    cpu_pairs: list[tuple[float, float]]
    most_without_ms: float
    most_with_ms: float
    page_parts: int
    recorded: int
    pictures: int
    drawn: list[int]
    faults: dict[str, int]

    @property
    def failures(self) -> list[str]:
        """Why the run proves nothing."""
        return [] if self.page_parts == self.recorded else [f"the page counted {self.page_parts} of {self.recorded} parts"]

    @property
    def added_ms(self) -> float:
        """Median over the pairs of what viewers add."""
        return statistics.median(after - before for before, after in self.pairs)

    def table(self) -> Table:
        """For people."""
        table = Table("", "without", f"{self.viewers} viewers", box=None)
        for number, (before, after) in enumerate(self.pairs, 1):
            table.add_row(f"median of pair {number}, ms", f"{before:.2f}", f"{after:.2f}")
        table.add_row("longest, ms", f"{self.most_without_ms:.1f}", f"{self.most_with_ms:.1f}")
        table.add_row("added, median over the pairs, ms", "", f"{self.added_ms:+.2f}")
        cpu = (f"{statistics.median(column):.2f}" for column in zip(*self.cpu_pairs, strict=True))
        table.add_row("CPU of edge-inspect a part, ms", *cpu)
        table.add_row("parts recorded, counted by the page", str(self.recorded), str(self.page_parts))
        for reason, count in self.faults.items():
            table.add_row(f"of them FAULT, {reason}", str(count), "")
        table.add_row("pictures fetched", "", str(self.pictures))
        for line in self.failures:
            table.add_row(line)
        return table

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {**asdict(self), "added_ms": self.added_ms}


def measure_page_viewers(store: SlotStore, images: Path, viewers: int, pairs: int, parts: int, every_s: float) -> PageViewers:
    """``parts`` a block, one every ``every_s``, two blocks a pair. The viewers are threads of this process, on the same machine."""
    blocks: dict[bool, list[list[float]]] = {False: [], True: []}
    cpu: dict[bool, list[float]] = {False: [], True: []}
    pictures, drawn = 0, []
    files = list(islice(cycle(list_images(images)), WARM + 2 * pairs * parts))
    with page_run(store, files, DEADLINE_MS) as run:
        run.trigger(WARM, every_s)
        last = run.settle()
        for number in range(2 * pairs):
            watched = number % 4 in (1, 2)  # without, with, with, without: a slow drift hits both alike
            open_pages = [_Viewer(run) for _ in range(viewers if watched else 0)]
            time.sleep(SETTLE_S)
            before_ms = run.inspection_cpu_ms()
            run.trigger(parts, every_s)
            first, last = last, run.settle()
            cpu[watched].append((run.inspection_cpu_ms() - before_ms) / max(1, last - first))
            for page in open_pages:
                pictures += page.close()
                drawn.append(len(page.points))
            block = [row[4] / 1e6 for row in run.query().newest(last - first) if row[4] is not None]
            blocks[watched].append(block)
        counter = _Viewer(run)
        total = run.query().shift(0, 2**62)
        counter.wait_for(total.parts)
        counter.close()
    medians = {watched: [statistics.median(block) for block in found] for watched, found in blocks.items()}
    longest = {watched: max(max(block) for block in found) for watched, found in blocks.items()}
    return PageViewers(
        viewers, parts, list(zip(medians[False], medians[True], strict=True)), list(zip(cpu[False], cpu[True], strict=True)),
        longest[False], longest[True], counter.counted, total.parts, pictures, drawn, total.reasons,
    )  # fmt: skip


class _Viewer:
    """One open live page: reads every event and fetches every picture it is told of."""

    def __init__(self, run: PageRun) -> None:
        self._run = run
        self._connection = http.client.HTTPConnection("127.0.0.1", run.port, timeout=60)
        self._connection.request("GET", "/live/events", headers={"Cookie": run.cookie})
        self._answer = self._connection.getresponse()
        self._stop = threading.Event()
        self._pictures = self.counted = 0
        self.points: set[int] = set()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def wait_for(self, parts: int) -> None:
        """Until so many are counted, for some seconds."""
        end = time.monotonic() + GRACE_S
        while self.counted < parts and time.monotonic() < end:
            time.sleep(0.1)

    def close(self) -> int:
        """How many pictures it got."""
        self._stop.set()
        with suppress(OSError):
            sock = self._connection.sock
            if sock is not None:
                sock.shutdown(2)
        self._thread.join(GRACE_S)
        self._answer.close()
        self._connection.close()
        return self._pictures

    def _watch(self) -> None:
        event = ""
        with suppress(OSError, ValueError, http.client.HTTPException):
            while not self._stop.is_set():
                text = self._answer.readline().decode()
                if not text:
                    return
                if text.startswith("event: "):
                    event = text[7:].strip()
                elif text.startswith("data: "):
                    self._take(event, json.loads(text[6:]))

    def _take(self, event: str, content: dict[str, Any]) -> None:
        if event == "points":
            self.points |= {point[0] for point in content["points"]}
        elif event == "records" and content["there"]:
            self.counted = sum(content["counts"][name] for name in ("PASS", "REJECT", "FAULT"))
        elif event == "picture":
            status, _, picture = self._run.ask("GET", f"/live/picture/{content['part_id']}?heat=true")
            self._pictures += status == 200 and picture.startswith(b"\xff\xd8")
