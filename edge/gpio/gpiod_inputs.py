"""Real inputs through libgpiod 2: one request for each chip, edges stamped by the kernel on CLOCK_MONOTONIC."""

from __future__ import annotations

import errno
import select
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from edge.clock import Clock
from edge.errors import LineError, LineOpenError
from edge.gpio.board_pins import line_address
from edge.gpio.debounce import Debounce
from edge.gpio.gpiod_chips import CONSUMER, FoundLine, find_line, import_gpiod, refused
from edge.gpio.input_lines import Edge, InputLines
from edge.line.line_config import InputConfig

BUFFERED = 1024
"""Edges that the kernel keeps for us, for each chip."""
READ_AT_ONCE = 256
NO_DEBOUNCE = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, 524)
"""What a kernel or chip answers that cannot debounce; 524 is the kernel's own ENOTSUPP, which leaks through."""


@dataclass
class _Input:
    """One line. words: for people. lag_ns: its stamps come so much after its edges. seen: the kernel's number of the last."""

    name: str
    words: str
    config: InputConfig
    found: FoundLine
    lag_ns: int = 0
    seen: int = 0
    debounce: Debounce | None = None


@dataclass
class _Chip:
    """One request. inputs: by offset."""

    path: str
    inputs: dict[int, _Input] = field(default_factory=dict)
    request: Any = None


class GpiodInputs(InputLines):
    """Requests ``configs``'s lines; raises LineOpenError, and then holds none.

    only: lines of which rising (True) or falling (False) edges alone are wanted. Of those the kernel tells even a pulse that is
    over before it looks; where it tells both edges, it looks at the level to say which one it was.

    The kernel tells a debounced edge when the level has stood still, so the period is taken off its stamp. Where it cannot
    debounce, we do.
    """

    def __init__(self, configs: Mapping[str, InputConfig], clock: Clock, only: Mapping[str, bool] | None = None) -> None:
        super().__init__(tuple(f"{name} input ({config.describe()})" for name, config in configs.items()))
        self._gpiod, self._clock, self._only = import_gpiod(), clock, dict(only or {})
        self._chips: dict[str, _Chip] = {}
        for name, config in configs.items():
            words = f"{name} input ({config.describe()})"
            found = find_line(self._gpiod, line_address(config, words, output=False), words)
            chip = self._chips.setdefault(found.path, _Chip(found.path))
            one = chip.inputs.setdefault(found.offset, _Input(name, words, config, found))
            if one.name != name:
                raise LineOpenError(f"{one.words} and {words} are the same line; give each a line of its own")
        self._poll = select.poll()
        self._by_handle: dict[int, _Chip] = {}
        try:
            for chip in self._chips.values():
                self._request(chip)
                self._poll.register(chip.request.fd, select.POLLIN)
                self._by_handle[chip.request.fd] = chip
        except BaseException:
            self.close()
            raise

    def _request(self, chip: _Chip) -> None:
        try:
            self._request_with(chip, by_kernel=True)
        except OSError as error:
            wanted = any(one.config.debounce_ms for one in chip.inputs.values())
            if not wanted or error.errno not in NO_DEBOUNCE:
                raise self._refused(chip, error) from error
            try:
                self._request_with(chip, by_kernel=False)
            except OSError as second:
                raise self._refused(chip, second) from second

    def _request_with(self, chip: _Chip, *, by_kernel: bool) -> None:
        settings = {offset: self._settings(one, by_kernel) for offset, one in chip.inputs.items()}
        chip.request = self._gpiod.request_lines(chip.path, consumer=CONSUMER, config=settings, event_buffer_size=BUFFERED)
        for offset, one in chip.inputs.items():
            period_ns = round(one.config.debounce_ms * 1e6)
            if by_kernel:
                one.lag_ns = period_ns
            elif period_ns:
                one.debounce = Debounce(period_ns, bool(chip.request.get_value(offset)))

    def _settings(self, one: _Input, by_kernel: bool) -> Any:
        line, config = self._gpiod.line, one.config
        only = self._only.get(one.name) if by_kernel or not config.debounce_ms else None
        return self._gpiod.LineSettings(
            direction=line.Direction.INPUT,
            edge_detection={None: line.Edge.BOTH, True: line.Edge.RISING, False: line.Edge.FALLING}[only],
            bias=getattr(line.Bias, config.bias.upper()),
            active_low=config.active == "low",
            debounce_period=timedelta(milliseconds=config.debounce_ms if by_kernel else 0),
            event_clock=line.Clock.MONOTONIC,
        )

    def _refused(self, chip: _Chip, error: OSError) -> Exception:
        held = [one for one in chip.inputs.values() if one.found.user] or list(chip.inputs.values())
        return refused(", ".join(one.words for one in held), held[0].found.user, error)

    def _all(self) -> list[_Input]:
        return [one for chip in self._chips.values() for one in chip.inputs.values()]

    def _wait_impl(self, timeout_s: float) -> list[Edge]:
        due = [one.debounce.due_ns() for one in self._all() if one.debounce is not None]
        times = [max(0, time - self._clock.monotonic_ns()) / 1e9 for time in due if time is not None]
        ready = self._poll.poll(min([timeout_s, *times]) * 1000)
        read_until = self._clock.monotonic_ns()
        edges: list[Edge] = []
        for handle, events in ready:
            chip = self._by_handle[handle]
            if not events & select.POLLIN:
                raise LineError(f"{', '.join(self.names)}: {chip.path} is gone; is its chip still there?")
            read, last_ns = self._read(chip)
            edges += read
            if last_ns is not None:  # more may be waiting
                read_until = min(read_until, last_ns)
        for one in self._all():
            if one.debounce is not None:
                edges += one.debounce.settled(read_until)
        return sorted(
            (edge for edge in edges if self._only.get(edge.line, edge.rising) == edge.rising), key=lambda edge: edge.at_ns
        )

    def _read(self, chip: _Chip) -> tuple[list[Edge], int | None]:
        """(edges, the time of the last one where there may be more to read)."""
        try:
            events = chip.request.read_edge_events(READ_AT_ONCE)
        except OSError as error:
            raise LineError(f"{', '.join(self.names)}: cannot be read: {error.strerror}; is its chip still there?") from error
        edges: list[Edge] = []
        for event in events:
            one = chip.inputs[event.line_offset]
            rising = event.event_type is type(event).Type.RISING_EDGE
            edge = Edge(one.name, event.timestamp_ns - one.lag_ns, rising, event.line_seqno - one.seen - 1)
            one.seen = event.line_seqno
            edges += [edge] if one.debounce is None else one.debounce.edge(edge)
        return edges, events[-1].timestamp_ns if len(events) >= READ_AT_ONCE else None

    def _levels_impl(self) -> Mapping[str, bool]:
        try:
            return {
                one.name: bool(chip.request.get_value(offset))
                for chip in self._chips.values()
                for offset, one in chip.inputs.items()
            }
        except OSError as error:
            raise LineError(f"{', '.join(self.names)}: cannot be read: {error.strerror}; is its chip still there?") from error

    def _close_impl(self) -> None:
        for chip in self._chips.values():
            if chip.request is not None:
                chip.request.release()
                chip.request = None
