"""A GPU that is none: memory by address, streams that work only when looked at, and faults to order."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST_ADDRESS = 0x7F00_0000_0000
ALIGNMENT = 256


class Violation(AssertionError):  # noqa: N818 - what a test fails with
    """A rule of the real API was broken."""


class Gpu:
    """Faults: ``allocations_left`` (None: no limit), ``hangs``, ``broken`` (text of a sticky error)."""

    def __init__(self, name: str = "Orin (stand-in)", compute_capability: tuple[int, int] = (8, 7)) -> None:
        self.name, self.compute_capability = name, compute_capability
        self.violations: list[str] = []
        self.allocations_left: int | None = None
        self.hangs = False
        self.broken = ""
        self.used: set[tuple[str, str]] = set()
        """(class, name) of everything of TensorRT that was called."""
        self.retained = 0
        self.initialised = False
        self.downloads: list[int] = []
        """Bytes of every copy to the host, in order."""
        self.uploads: list[int] = []
        self.launches = 0
        self.graph_launches = 0
        self.objects: weakref.WeakSet[Any] = weakref.WeakSet()
        """Streams and events that are alive."""
        self.streams: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.capture: tuple[int, list[Callable[[], None]]] | None = None
        self._blocks: dict[int, NDArray[np.uint8]] = {}
        self._next = FIRST_ADDRESS
        self._local = threading.local()

    def violate(self, text: str) -> None:
        """Note it, so that a test fails even where the product swallows the exception, and raise."""
        self.violations.append(text)
        raise Violation(text)

    @property
    def contexts(self) -> list[Any]:
        """This thread's stack of contexts."""
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        stack: list[Any] = self._local.stack
        return stack

    def allocate(self, size: int, memory: NDArray[np.uint8] | None = None) -> int:
        """The address of ``size`` new bytes, filled with 0xCD, or of ``memory`` as the GPU sees it."""
        address = self._next
        self._next += (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT + ALIGNMENT
        self._blocks[address] = np.full(size, 0xCD, np.uint8) if memory is None else memory
        return address

    def release(self, address: int) -> None:
        if self._blocks.pop(address, None) is None:
            self.violate(f"memory at {address:#x} freed twice")

    @property
    def bytes_held(self) -> int:
        """Of memory that has not been freed, page-locked memory included."""
        return sum(block.nbytes for block in self._blocks.values())

    def at(self, address: int, size: int) -> NDArray[np.uint8]:
        """The live block at ``address``; it must be a block's start, and large enough."""
        block = self._blocks.get(address)
        if block is None:
            self.violate(f"use of memory at {address:#x}, which was freed or never allocated")
        assert block is not None
        if block.nbytes < size:
            self.violate(f"{size} bytes at {address:#x}, where {block.nbytes} were allocated")
        return block[:size]

    def put(self, stream: int, work: Callable[[], None]) -> None:
        """Queue work, or record it where the stream is being captured."""
        if stream not in self.streams:
            self.violate(f"work on stream {stream:#x}, which does not exist or was destroyed")
        if self.capture is not None and self.capture[0] == stream:
            self.capture[1].append(work)
        else:
            self.streams[stream].queue.append(work)

    def settle(self, stream: Any) -> bool:
        """True where nothing is left to do. Looked at for the first time it is still busy; then all of it is done at once."""
        if self.hangs:
            return not stream.queue
        if stream.queue and not stream.looked_at:
            stream.looked_at = True
            return False
        stream.looked_at = False
        while stream.queue:
            stream.queue.pop(0)()
        return True
