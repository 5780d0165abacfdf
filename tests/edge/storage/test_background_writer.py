"""Whatever the disk does, who adds never waits, nothing is lost unseen, and memory stays bounded."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edge.storage.background_writer import MOST_AT_ONCE, BackgroundWriter


class Disk:
    """Takes batches while it is let; says what is wrong otherwise."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.error: Exception | None = None
        self.taken: list[int] = []
        self.batches: list[int] = []
        self.attempts = 0
        self.told: list[str] = []

    def write(self, batch: list[int]) -> None:
        self.open.wait(10)
        self.attempts += 1
        if self.error is not None:
            raise self.error
        self.taken += batch
        self.batches.append(len(batch))


@contextmanager
def writer_to(disk: Disk, capacity: int = 100, retry_s: float | None = None) -> Iterator[BackgroundWriter[int]]:
    writer = BackgroundWriter[int]("records", disk.write, disk.told.append, capacity, weigh=lambda one: one, retry_s=retry_s)
    try:
        yield writer
    finally:
        disk.open.set()
        assert writer.close(5)


def test_everything_is_written_in_order_in_bounded_batches() -> None:
    disk = Disk()
    with writer_to(disk, capacity=10**9) as writer:
        disk.open.clear()
        for item in range(3 * MOST_AT_ONCE):
            assert writer.add(item)
        disk.open.set()
        assert writer.flush(5)
        assert disk.taken == list(range(3 * MOST_AT_ONCE))
        assert max(disk.batches) <= MOST_AT_ONCE
    assert disk.told == []
    assert writer.dropped == 0


def test_what_does_not_fit_is_counted_and_told_once_and_room_comes_back() -> None:
    disk = Disk()
    with writer_to(disk) as writer:
        disk.open.clear()
        assert not writer.add(101)
        assert writer.add(40, share=0.5)
        assert not writer.add(11, share=0.5)
        assert writer.add(60)
        assert not writer.add(1)
        disk.open.set()
        assert writer.flush(5)
        assert writer.add(100)
        assert writer.flush(5)
    assert disk.taken == [40, 60, 100]
    assert writer.dropped == 3
    assert disk.told == ["records: the disk was too slow; 3 lost since the start"]


def test_a_full_disk_is_tried_again_until_there_is_room_and_nothing_is_lost() -> None:
    disk = Disk()
    disk.error = OSError(errno.ENOSPC, "No space left on device")
    with writer_to(disk, retry_s=0.001) as writer:
        writer.add(1)
        while disk.attempts < 3:
            threading.Event().wait(0.001)
        assert isinstance(writer.failure, OSError)
        disk.error = None
        writer.add(2)
        assert writer.flush(5)
        assert writer.failure is None
    assert disk.taken == [1, 2]
    assert len(disk.told) == 2
    assert "No space left on device; free space or check the disk; inspection goes on without" in disk.told[0]
    assert "written again; 0 lost" in disk.told[1]


def test_without_retry_and_for_faults_of_the_program_a_batch_is_dropped_and_the_next_is_tried() -> None:
    for error, retry_s, kind in ((OSError("gone"), None, "gone"), (TypeError("wrong"), 0.001, "unexpected TypeError: wrong")):
        disk = Disk()
        disk.error = error
        with writer_to(disk, retry_s=retry_s) as writer:
            writer.add(1)
            assert writer.flush(5)
            disk.error = None
            writer.add(2)
        assert (disk.taken, writer.dropped, disk.attempts) == ([2], 1, 2)
        assert kind in disk.told[0]


def test_closing_over_a_disk_that_stays_full_counts_what_is_lost() -> None:
    disk = Disk()
    disk.error = OSError(errno.ENOSPC, "full")
    with writer_to(disk, retry_s=60) as writer:
        for item in (1, 2, 3):
            writer.add(item)
    assert writer.dropped == 3
    assert not writer.add(4)


def test_closing_over_a_disk_that_hangs_gives_up_and_counts() -> None:
    disk = Disk()
    with writer_to(disk) as writer:
        disk.open.clear()
        for item in (1, 2, 3):
            writer.add(item)
        assert not writer.close(0.01)
        assert writer.dropped == 3
        assert isinstance(writer.failure, TimeoutError)
        assert writer.flush(0)
