from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import ManualClock, SystemClock
from edge.engines.build_observer import BuildObserver
from edge.engines.plan_cache import LOCK, PLAN, RECORD, PlanCache, PlanKey, l4t_release
from edge.engines.tensorrt_builder import BuiltPlan
from edge.errors import BuildStoppedError, OutputError, PlanError

KEY = PlanKey(
    tensorrt="10.3.0", l4t="R36.4.3", gpu="Orin", sm="8.7", onnx_sha256="aa", precision="fp16", shapes={"image": [1, 64, 64, 3]},
    flags="tf32=off",
)  # fmt: skip
OTHER: dict[str, object] = {
    "tensorrt": "10.16.1.11", "l4t": "R39.2", "gpu": "Thor", "sm": "11.0", "onnx_sha256": "bb", "precision": "fp32",
    "shapes": {"image": [1, 32, 64, 3]}, "flags": "workspace_mb=5",
}  # fmt: skip


def built(plan: bytes = b"code", cache: bytes = b"timings") -> BuiltPlan:
    return BuiltPlan(plan, cache, "", 1.5)


def other(*fields: str) -> PlanKey:
    return KEY.model_copy(update={field: OTHER[field] for field in fields})


class Stopped(BuildObserver):
    def stopped(self) -> bool:
        return True


def test_a_plan_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    PlanCache(tmp_path).store(KEY, built(), 7)
    found = PlanCache(tmp_path).find(KEY)
    assert found is not None
    assert found.read() == b"code"
    assert found.record.key == KEY
    assert found.record.created_ns == 7
    assert found.path.name == KEY.digest()


@pytest.mark.parametrize("field", list(OTHER))
def test_whatever_differs_makes_it_another_plan(tmp_path: Path, field: str) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, built(), 1)
    assert cache.find(other(field)) is None
    assert other(field).digest() != KEY.digest()
    cache.store(other(field), built(b"other"), 2)
    assert cache.find(KEY).read() == b"code"  # type: ignore[union-attr]


@given(st.sets(st.sampled_from(sorted(OTHER))))
def test_what_runs_here_and_what_is_the_same_model(fields: set[str]) -> None:
    changed = other(*fields)
    assert KEY.runs_here(changed) == (not fields & {"tensorrt", "gpu", "sm"})
    assert KEY.same_model(changed) == (fields <= {"l4t", "flags"})
    assert (changed.digest() == KEY.digest()) == (not fields)


def test_the_newest_is_found_however_it_was_built(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, built(b"old"), 1)
    cache.store(other("flags"), built(b"new"), 2)
    cache.store(other("l4t"), built(b"other release"), 3)
    assert cache.find(KEY, any_flags=True).read() == b"new"  # type: ignore[union-attr]
    assert cache.find(KEY).read() == b"old"  # type: ignore[union-attr]
    assert [one.read() for one in cache.relatives(KEY)] == [b"other release", b"new", b"old"]


@pytest.mark.parametrize("harm", ["flip", "cut", "grow", "remove"])
def test_bytes_that_are_not_those_stored_are_never_handed_out(tmp_path: Path, harm: str) -> None:
    stored = PlanCache(tmp_path).store(KEY, built(), 1)
    file = stored.path / PLAN
    if harm == "remove":
        file.unlink()
    else:
        file.write_bytes({"flip": b"cod\x00", "cut": b"co", "grow": b"code!"}[harm])
    with pytest.raises(PlanError, match=r"sha256 differs|cannot read"):
        stored.read()


@pytest.mark.parametrize("text", ["", "key: [", "plan_sha256: aa\n", "\x00"])
def test_a_torn_record_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    cache = PlanCache(tmp_path)
    (cache.store(KEY, built(), 1).path / RECORD).write_text(text)
    assert cache.find(KEY) is None
    cache.store(KEY, built(b"again"), 2)
    assert cache.find(KEY).read() == b"again"  # type: ignore[union-attr]


def test_a_record_under_another_name_is_not_believed(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, built(), 1).path.rename(cache.folder / other("sm").digest())
    assert cache.all() == []


def test_storing_that_fails_leaves_the_old_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, built(), 1)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            cache.store(KEY, built(b"new"), 2)
    assert [one.read() for one in cache.all()] == [b"code"]
    assert [path.name for path in cache.folder.iterdir()] == [KEY.digest()]


def test_a_process_killed_at_any_time_leaves_the_old_plan_or_the_new(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, built(), 1)
    code = (
        "import sys; from pathlib import Path; from tests.edge.engines.test_plan_cache import *\n"
        "print('ready', flush=True)\n"
        f"for i in range(10**6): PlanCache(Path({str(tmp_path)!r})).store(KEY, built(b'code' * 50_000), 2 + i)\n"
    )
    for attempt in range(3):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        threading.Event().wait(0.03 + 0.017 * attempt)
        child.kill()
        child.wait()
        child.stdout.close()
        # Between the two renames of a replacement there may be none; what is there is whole.
        for stored in cache.all():
            assert stored.read() in (b"code", b"code" * 50_000)
    cache.store(KEY, built(), 1)
    assert cache.find(KEY).read() == b"code"  # type: ignore[union-attr]
    with cache.building(BuildObserver(), SystemClock()):
        cache.prune(KEY, {"aa"})
    assert sorted(path.name for path in cache.folder.iterdir()) == sorted([KEY.digest(), LOCK])


def test_the_timing_cache_is_of_one_tensorrt_and_gpu(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    assert cache.timing_cache(KEY) == b""
    cache.folder.mkdir()
    cache.keep_timing_cache(KEY, b"measured")
    cache.keep_timing_cache(KEY, b"")
    assert cache.timing_cache(other("onnx_sha256", "flags")) == b"measured"
    assert cache.timing_cache(other("gpu")) == b""


def test_two_do_not_build_at_once(tmp_path: Path) -> None:
    cache, said = PlanCache(tmp_path), []

    class Waiting(BuildObserver):
        def say(self, text: str) -> None:
            said.append(text)
            os.close(held)  # the other process ends

    cache.folder.mkdir()
    held = os.open(cache.folder / LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    with cache.building(Waiting(), ManualClock()) as waited:
        assert waited
    assert len(said) == 1
    assert "another process is building" in said[0]
    with cache.building(BuildObserver(), ManualClock()) as waited:
        assert not waited


def test_waiting_ends_when_told_to_stop_and_after_an_hour(tmp_path: Path) -> None:
    cache, clock = PlanCache(tmp_path), ManualClock()
    with cache.building(BuildObserver(), clock):
        with pytest.raises(BuildStoppedError), cache.building(Stopped(), clock):
            pass
        with pytest.raises(PlanError, match="for an hour"), cache.building(BuildObserver(), clock):
            pass
    assert clock.monotonic_ns() / 1e9 == pytest.approx(3600, abs=1)


def test_the_right_to_build_ends_with_the_process(tmp_path: Path) -> None:
    code = (
        "import time; from pathlib import Path; from tests.edge.engines.test_plan_cache import *\n"
        f"with PlanCache(Path({str(tmp_path)!r})).building(BuildObserver(), SystemClock()):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    with PlanCache(tmp_path).building(BuildObserver(), ManualClock()) as waited:
        assert not waited


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with (
        pytest.raises(OutputError, match="choose another --state"),
        PlanCache(tmp_path / "state").building(BuildObserver(), ManualClock()),
    ):
        pass


def test_prune_keeps_the_plan_in_use_and_the_one_before_it(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    cache.store(KEY, built(), 3)
    cache.store(other("flags"), built(), 2)
    cache.store(other("l4t"), built(), 1)  # a third of the same model
    cache.store(other("precision"), built(), 1)
    cache.store(other("onnx_sha256"), built(), 9)
    for field in ("tensorrt", "gpu", "sm"):
        cache.store(other(field), built(), 9)
    (cache.folder / ".half.written").mkdir()
    cache.keep_timing_cache(KEY, b"x")
    cache.keep_timing_cache(other("gpu"), b"x")
    with cache.building(BuildObserver(), ManualClock()):
        removed = cache.prune(KEY, {"aa"})
    assert {one.record.key.digest() for one in cache.all()} == {KEY.digest(), other("flags").digest(), other("precision").digest()}
    assert len(removed) == 7
    assert cache.timing_cache(KEY) == b"x"
    assert cache.timing_cache(other("gpu")) == b""


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\nmore\n", "R36.4.3"),
        ("# R38 (release), REVISION: 2.0, GCID: 1", "R38.2.0"),
        ("", "none"),
        ("something else", "none"),
        ("\x80", "none"),
    ],
)
def test_the_l4t_release(tmp_path: Path, text: str, release: str) -> None:
    (tmp_path / "nv_tegra_release").write_text(text, encoding="latin-1")
    assert l4t_release(tmp_path / "nv_tegra_release") == release
    assert l4t_release(tmp_path / "absent") == "none"
