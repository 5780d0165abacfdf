"""What all live pages show, gathered once however many watch, and only while somebody does.

A viewer holds no queue: it knows which version of each topic it has seen, and gets the newest. Who is slow misses some.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.clock import Clock
from edge.errors import NotRunningError, RecordsError
from edge.live.live_reader import LiveReader
from edge.live.live_status import LiveStatus
from edge.page.live_picture import LivePicture
from edge.page.page_config import PageConfig
from edge.page.shift_counts import ShiftCounts, shift_start
from edge.records.part_records import FILE, FOLDER
from edge.records.record_query import RecordQuery

POINTS = 500
REJECTS = 8
TICK_S = 0.25
"""From one look at the inspection to the next; a part that comes meanwhile is counted, and its picture passed over."""
RECORDS_EVERY_S = 0.5
BEAT_S = 10.0
"""A sign of life for viewers when there is no news."""
PICTURES = 3
"""So many are held, for viewers that are still fetching the one before."""
PICTURE_SHARE = 10
"""Fetching a picture may take one part in so many of the time."""
Point = tuple[int, str | None, float | None, float | None]


class TooManyViewersError(Exception):
    """No more live pages are served at the same time."""


class LiveFeed:
    """A thread of its own gathers; ``follow`` is for the server's loop, ``picture`` for any thread."""

    def __init__(self, state: Path, config: PageConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._reader = LiveReader(state, clock)
        self._records = state / FOLDER / FILE
        self._topics: dict[str, tuple[int, str]] = {}
        self._points: OrderedDict[int, tuple[int, Point]] = OrderedDict()
        self._pictures: OrderedDict[int, LivePicture] = OrderedDict()
        self._shift: ShiftCounts | None = None
        self._version = 0
        self._lock = threading.Lock()
        self._viewers = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self._watched, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._gather, name="live feed", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin, in the server's ``loop``."""
        self._loop, self._news = loop, asyncio.Event()
        self._thread.start()

    def close(self) -> None:
        """Stop; may be called twice."""
        self._stop.set()
        self._watched.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        if self._news is not None:
            self._news.set()

    @property
    def full(self) -> bool:
        """No more live pages are served now."""
        return self._viewers >= self._config.viewers

    def picture(self, part_id: int) -> LivePicture | None:
        """Of one of the last parts that were shown."""
        with self._lock:
            return self._pictures.get(part_id)

    async def follow(self, still_allowed: Callable[[], bool]) -> AsyncIterator[str]:
        """Server-sent events until the viewer goes or is no longer allowed; raises TooManyViewersError before the first."""
        if self.full:
            raise TooManyViewersError
        self._viewers += 1
        self._watched.set()
        seen, looked = 0, time.monotonic()
        try:
            while not self._stop.is_set():
                assert self._news is not None
                news = self._news
                events, seen = self._newer(seen)
                if events:
                    yield events
                try:
                    await asyncio.wait_for(news.wait(), BEAT_S)
                except asyncio.TimeoutError:  # before Python 3.11 it is not the built-in one
                    yield ": still here\n\n"
                if time.monotonic() - looked >= BEAT_S:
                    looked = time.monotonic()
                    if not await asyncio.to_thread(still_allowed):
                        yield "event: ended\ndata: {}\n\n"
                        return
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._watched.clear()

    def _newer(self, seen: int) -> tuple[str, int]:
        with self._lock:
            events = [f"event: {topic}\ndata: {text}\n\n" for topic, (version, text) in self._topics.items() if version > seen]
            points = [point for version, point in self._points.values() if version > seen]
            version = self._version
        if points or not seen:
            events.append(f"event: points\ndata: {json.dumps({'most': POINTS, 'points': points, 'anew': not seen})}\n\n")
        return "".join(events), version

    def _gather(self) -> None:
        next_records = next_picture = 0.0
        while not self._stop.is_set():
            if not self._watched.is_set():
                self._reader.close()
                with self._lock:  # what is old by the time somebody comes
                    self._topics.clear()
                self._watched.wait()
                continue
            began = time.monotonic()
            try:
                if began >= next_records:
                    next_records = began + RECORDS_EVERY_S
                    self._look_at_records()
                self._publish("status", {"running": True, **_shown(self._reader.status())})
                if began >= next_picture:
                    worked = time.thread_time()  # without the wait for a part
                    self._look_at_picture()
                    next_picture = time.monotonic() + PICTURE_SHARE * (time.thread_time() - worked)
            except NotRunningError as error:
                self._publish("status", {"running": False, "message": str(error)})
            except Exception as error:  # a page that shows nothing new says so, and tries again
                self._publish("status", {"running": False, "message": f"{type(error).__name__}: {error}"})
            self._stop.wait(max(0.02, TICK_S - (time.monotonic() - began)))
        self._reader.close()

    def _look_at_picture(self) -> None:
        seen = self._reader.view(round(TICK_S * 1000))
        if seen is None:
            return
        picture = LivePicture(seen)
        with self._lock:
            self._pictures[picture.part_id] = picture
            while len(self._pictures) > PICTURES:
                self._pictures.popitem(last=False)
        self._publish("picture", {"part_id": picture.part_id, "there": seen.image.size > 0, "heat": seen.anomaly_map.size > 0})

    def _look_at_records(self) -> None:
        now = datetime.fromtimestamp(self._clock.wall_ns() / 1e9)
        began = shift_start(now, self._config.shifts)
        since_ns = round(began.timestamp() * 1e9)
        if self._shift is None or self._shift.since_ns != since_ns:
            self._shift = ShiftCounts(self._records, since_ns)
        try:
            query = RecordQuery(self._records)
            newest, rejected = query.newest(POINTS), query.rejected(REJECTS)
            counts = self._shift.outcomes()
        except RecordsError as error:
            self._publish("records", {"there": False, "message": str(error)})
            return
        self._take_points([row[:4] for row in reversed(newest) if row[1] is not None])
        times = sorted(row[4] / 1e6 for row in newest if row[4] is not None and row[4] >= 0)
        latency = {} if not times else {"median": times[len(times) // 2], "most": times[-1], "parts": len(times)}
        self._publish(
            "records",
            {
                "there": True, "since": began.strftime("%H:%M"), "counts": counts, "latency_ms": latency,
                "rejects": [_reject(row) for row in rejected],
            },
        )  # fmt: skip

    def _take_points(self, points: list[Point]) -> None:
        with self._lock:
            changed = [point for point in points if self._points.get(point[0], (0, None))[1] != point]
            if not changed:
                return
            self._version += 1
            for point in changed:
                self._points[point[0]] = (self._version, point)
            while len(self._points) > POINTS:
                self._points.popitem(last=False)
        self._tell()

    def _publish(self, topic: str, content: dict[str, Any]) -> None:
        text = json.dumps(content, allow_nan=False, ensure_ascii=False)
        with self._lock:
            if self._topics.get(topic, (0, ""))[1] == text:
                return
            self._version += 1
            self._topics[topic] = (self._version, text)
        self._tell()

    def _tell(self) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the server is ending
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        """All who wait go on; who comes later waits for the next."""
        assert self._news is not None
        self._news.set()
        self._news = asyncio.Event()


def _shown(status: LiveStatus) -> dict[str, Any]:
    verdict = status.verdict or {}
    shown = {name: verdict.get(name) for name in ("part_id", "outcome", "reason", "threshold", "margin", "wall_ns", "stage_ms")}
    return {
        "state": status.state, "faults": status.faults, "weaknesses": status.weaknesses, "shadow": status.shadow,
        "lines": status.lines, "camera": status.camera, "product": status.product.model_dump(), "since_start": status.outcomes,
        "lost": sum(status.lost.values()), "drift": status.drift, "verdict": None if status.verdict is None else shown,
        "scores": verdict.get("scores"), "triggers": status.triggers,
    }  # fmt: skip


def _reject(row: dict[str, Any]) -> dict[str, Any]:
    names = ("part_id", "outcome", "reason", "score", "threshold", "action")
    moment = datetime.fromtimestamp(row["wall_ns"] / 1e9).strftime("%H:%M:%S")
    return {**{name: row[name] for name in names}, "time": moment, "picture": bool(row["image"])}
