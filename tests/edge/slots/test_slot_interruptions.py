"""Whatever interrupts a writer, the active slot is the old one or the new one, whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.bundle import open_bundle
from edge.errors import OutputError, SlotError
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.slots.slot_activations import FILE
from edge.slots.slot_pointer import CURRENT
from edge.slots.slot_retention import superfluous

BY_THE_STORE = {"serial", "format_version", "content_sha256", "reference_images", "files"}


def store_of(bundle_dir: Path) -> SlotStore:
    return SlotStore(bundle_dir.parent, open_bundle(bundle_dir))


def write_another(store: SlotStore, like: CalibrationSlot) -> CalibrationSlot:
    """What calibrate does at its end: a new slot of this content, made active."""
    references = list(zip(like.pictures, like.record.reference_images, strict=True))
    with store.writing():
        slot = store.add(like.record.model_dump(exclude=BY_THE_STORE), like.tensors, references, {"histogram.png": bytes(20_000)})
        store.activate(slot, "writer", "interrupted at times")
    return slot


def assert_whole(store: SlotStore, contents: set[str]) -> int:
    """Every slot there is whole and of these contents, one of them is active, and the record agrees; returns its serial."""
    active = store.active_serial()
    assert active in store.serials()
    for serial in store.serials():
        assert store.load(serial).record.content_sha256 in contents
    history = store.history()
    effective = [one for one, done in zip(history.activations, history.took_effect(active), strict=True) if done]
    assert effective[-1].to_serial == active
    return active


@contextmanager
def interrupted_at(step: int, error: BaseException, and_after: bool) -> Iterator[Callable[[], bool]]:
    """The ``step``-th call that changes the disk fails, and with ``and_after`` every later one; yields whether it came to that."""
    calls = 0
    with pytest.MonkeyPatch.context() as monkeypatch:

        def failing(owner: Any, name: str) -> None:
            real = getattr(owner, name)

            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == step or (and_after and calls > step):
                    raise error
                return None if name == "fsync" else real(*arguments, **options)  # the disk's own time is not the matter here

            monkeypatch.setattr(owner, name, call)

        for owner, name in (
            (os, "fsync"),
            (os, "write"),
            (Path, "rename"),
            (Path, "symlink_to"),
            (Path, "write_text"),
            (Path, "write_bytes"),
        ):
            failing(owner, name)
        yield lambda: calls >= step


@pytest.mark.parametrize("and_after", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), KeyboardInterrupt()], ids=["fails", "interrupted"])
def test_a_fault_at_any_step_leaves_the_old_slot_or_the_new_one(two_slots_dir: Path, error: BaseException, and_after: bool) -> None:
    store = store_of(two_slots_dir)
    kinds = [store.load(1), store.load(2)]
    contents = {slot.record.content_sha256 for slot in kinds}
    step = 0
    while True:
        step += 1
        before = store.active_serial()
        with interrupted_at(step, error, and_after) as came_to_it:
            try:
                new = write_another(store, kinds[step % 2])
            except (OutputError, KeyboardInterrupt) as told:
                after = store.active_serial()
                if "the old one stays active" in str(told):
                    assert after == before
                assert came_to_it()
            else:
                assert not came_to_it()
                after = new.record.serial
            reached = came_to_it()
        assert assert_whole(store, contents) == after
        for serial in superfluous(store, 2):
            shutil.rmtree(store.slot_path(serial))
        if not reached:
            break
    assert step > 20
    with store.writing():  # what was left half-written is cleared away by the next writer
        pass
    assert {path.name for path in store.folder.glob(".*")} == {".lock"}


WRITER = """
import json, os, random, signal, sys, time
from pathlib import Path
from edge.slots.slot_retention import superfluous
from tests.edge.slots.test_slot_interruptions import assert_whole, store_of, write_another

store, chance, kills = store_of(Path(sys.argv[1])), random.Random(0), int(sys.argv[2])
kinds = [store.load(1), store.load(2)]
contents = {slot.record.content_sha256 for slot in kinds}
half_written = 0
start = time.monotonic()
write_another(store, kinds[0])
longest = 2 * (time.monotonic() - start)
for kill in range(kills):
    before = store.active_serial()
    child = os.fork()
    if child == 0:
        while True:
            write_another(store, chance.choice(kinds))
            with store.writing():
                for serial in superfluous(store, 2):
                    store.remove(serial)
    time.sleep(chance.uniform(0.0, longest))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    half_written += len([path for path in store.folder.glob(".*") if path.name != ".lock"])
    assert assert_whole(store, contents) >= before
print(json.dumps({"half_written": half_written, "last": store.active_serial()}))
"""


def test_a_killed_writer_never_harms_the_active_slot(two_slots_dir: Path) -> None:
    """kill -9 at 30 moments of a process that adds, activates and removes all the time."""
    command = [sys.executable, "-c", WRITER, str(two_slots_dir), "30"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["half_written"] > 0  # some kills struck in the middle
    assert found["last"] > 3  # and some after it was done
    assert len(store_of(two_slots_dir).serials()) < 12


def test_another_process_excludes_a_writer_until_it_is_killed(two_slots_dir: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.edge.slots.test_slot_interruptions import store_of\n"
        "with store_of(Path(sys.argv[1])).writing(): print('held', flush=True); time.sleep(60)"
    )
    store = store_of(two_slots_dir)
    with subprocess.Popen([sys.executable, "-c", code, str(two_slots_dir)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SlotError, match="another calibration is running"):
            write_another(store, store.load(1))
        assert store.active_serial() == 2
        other.kill()
        other.wait()
        assert write_another(store, store.load(1)).record.serial == 3


def test_what_a_name_stands_for_is_on_the_disk_before_the_name(two_slots_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut keeps what was synced and may keep any later rename, so the order of both is the proof."""
    store = store_of(two_slots_dir)
    events: list[tuple[str, str]] = []
    fsync, rename = os.fsync, Path.rename

    def traced_fsync(handle: int) -> None:
        events.append(("sync", Path(os.readlink(f"/proc/self/fd/{handle}")).name))
        fsync(handle)

    def traced_rename(path: Path, target: Path) -> Path:
        events.append(("name", Path(target).name))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(Path, "rename", traced_rename)
    slot = write_another(store, store.load(1))
    named = events.index(("name", "000003"))
    synced = {name for kind, name in events[:named] if kind == "sync"}
    assert {path.name for path in slot.path.iterdir()} <= synced
    rest = [event for event in events[named + 1 :] if event[1] in ("tiny", FILE, CURRENT)]
    assert rest == [("sync", "tiny"), ("sync", FILE), ("name", CURRENT), ("sync", "tiny")]
