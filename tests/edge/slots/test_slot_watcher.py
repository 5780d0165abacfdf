"""A running inspection takes another slot between two parts, or refuses it and goes on with its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import open_bundle
from edge.clock import SystemClock
from edge.engines.base import Inference
from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.line.part_feed import Seen
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.slots.calibration_tensors import CalibrationTensors
from edge.slots.slot_pointer import CURRENT
from edge.slots.slot_record import content_sha256
from edge.slots.slot_watcher import SlotWatcher
from edge.verdict import Outcome, Verdict
from tests.edge.test_inspection_loop import Bench, ScriptedCamera
from tests.tiny_bundle import SHAPE, part_image

GOOD = part_image(3)


class FailingEngine(OnnxRuntimeEngine):
    """The real engine, whose next ``failing_binds`` fail after the tensors were half copied."""

    failing_binds = 0

    def _bind_impl(self, tensors: CalibrationTensors) -> None:
        if self.failing_binds > 0:
            self.failing_binds -= 1
            self._values["feature_weight"] = self._runtime.OrtValue.ortvalue_from_numpy(np.zeros(1, np.float32))
            raise RuntimeError("the device is out of memory")
        super()._bind_impl(tensors)


class ChangingBench(Bench):
    """The loop with a watcher that looks after each part; ``after[i]`` is done before it looks for the i-th time."""

    def __init__(self, bundle_dir: Path) -> None:
        super().__init__(bundle_dir)
        self.engine.close()
        bundle = open_bundle(bundle_dir)
        self.engine = FailingEngine(bundle.model_path(), SHAPE)
        self.engine.bind(self.slot.tensors)
        self.store = SlotStore(bundle_dir.parent, bundle)
        self.told: list[str] = []
        self.after: dict[int, Callable[[], object]] = {}
        self.slots = SlotWatcher(
            self.store, "fp32", self.engine.runtime, self.view.view, self.slot, lambda text, _: self.told.append(text), self.clock
        )
        self.slots.poll()

    def activate(self, serial: int) -> None:
        with self.store.writing():
            self.store.activate(self.store.load(serial), "tester", "")

    def inspect(self, parts: int) -> list[tuple[Outcome, int | None]]:
        """(outcome, serial) of so many good parts; the score and threshold of each verdict must be of its serial's slot."""
        self.verdicts = []

        def report(verdict: Verdict, _seen: Seen, _inference: Inference | None) -> None:
            self.verdicts.append(verdict)
            self.after.pop(verdict.part_id, lambda: None)()
            self.slots.poll()

        camera = ScriptedCamera([GOOD] * parts, self.clock)
        loop, _ = self.loop(camera, lambda: camera, report, self.slots)
        loop.run(threading.Event())
        self.slots.poll()
        for verdict in self.verdicts:
            assert verdict.calibration_serial is not None
            slot = self.store.load(verdict.calibration_serial)
            assert verdict.threshold == slot.record.threshold
            if verdict.scores is not None:
                assert verdict.scores.score == self.score(slot)
        return [(verdict.outcome, verdict.calibration_serial) for verdict in self.verdicts]

    def score(self, slot: CalibrationSlot) -> float:
        with OnnxRuntimeEngine(self.store.bundle.model_path(), SHAPE) as engine:
            engine.bind(slot.tensors)
            return engine.infer(self.view.preprocess(GOOD)).scores.score


@pytest.fixture
def bench(two_slots_dir: Path) -> Iterator[ChangingBench]:
    """Slot 1 runs, slot 2 is there too: other images, another threshold, other scores."""
    store = SlotStore(two_slots_dir.parent, open_bundle(two_slots_dir))
    with store.writing():
        store.activate(store.load(1), "tester", "")
    made = ChangingBench(two_slots_dir)
    assert made.store.load(2).record.threshold != made.slot.record.threshold
    assert made.score(made.store.load(2)) != made.score(made.slot)
    yield made
    made.reject.close()
    made.engine.close()


PASS, FAULT = Outcome.PASS, Outcome.FAULT


def test_another_slot_is_taken_between_two_parts_and_back_again(bench: ChangingBench) -> None:
    bench.after = {1: lambda: bench.activate(2), 3: lambda: bench.activate(1)}
    assert bench.inspect(6) == [(PASS, 1), (PASS, 1), (PASS, 2), (PASS, 2), (PASS, 1), (PASS, 1)]
    assert [line[:28] for line in bench.told] == ["calibration 2 taken: thresho", "calibration 1 taken: thresho"]
    assert [verdict.part_id for verdict in bench.verdicts] == list(range(6))


def test_a_change_taken_back_before_it_was_taken_changes_nothing(bench: ChangingBench) -> None:
    def there_and_back() -> None:
        bench.activate(2)
        bench.slots.poll()
        bench.activate(1)

    bench.after = {0: there_and_back}
    assert bench.inspect(3) == [(PASS, 1)] * 3
    assert bench.told == []


def test_a_damaged_slot_is_refused_and_told_once(bench: ChangingBench) -> None:
    def damage() -> None:
        bench.activate(2)
        path = bench.store.slot_path(2) / "centers_0.npy"
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    bench.after = {0: damage}
    assert bench.inspect(4) == [(PASS, 1)] * 4
    (line,) = bench.told
    assert "centers_0.npy is not the file" in line
    assert line.endswith("calibration 1 stays")


def test_a_slot_of_another_runtime_or_view_is_refused(bench: ChangingBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.slots._key = ("fp32", "tensorrt-10.3", bench.view.view)
    bench.after = {0: lambda: bench.activate(2)}
    assert bench.inspect(2) == [(PASS, 1)] * 2
    assert "was calibrated for runtime onnxruntime" in bench.told[0]


def test_a_slot_that_fails_its_self_test_is_refused_and_the_old_one_is_bound_again(bench: ChangingBench) -> None:
    """Slot 3 is whole by its hashes; only the engine's scores say that it is not what it claims."""
    record = bench.store.record(2).model_dump()
    record["reference_images"][0]["score"] += 1.0
    record["content_sha256"] = content_sha256({**record, "frame_size": list(record["frame_size"])})
    folder = bench.store.slot_path(2)
    with bench.store.writing():
        bench.store.adopt(record, {name: (folder / name).read_bytes() for name in record["files"]})
    bench.after = {0: lambda: bench.activate(3)}
    assert bench.inspect(4) == [(PASS, 1)] * 4
    (line,) = bench.told
    assert line.startswith("calibration 3 is refused")
    assert "self-test" in line


def test_an_engine_that_cannot_be_bound_keeps_the_old_slot(bench: ChangingBench) -> None:
    def fail_once() -> None:
        bench.activate(2)
        bench.engine.failing_binds = 1

    bench.after = {0: fail_once}
    assert bench.inspect(3) == [(PASS, 1)] * 3
    assert "out of memory; calibration 1 stays" in bench.told[0]


def test_until_the_old_slot_is_bound_again_every_part_is_at_fault(bench: ChangingBench) -> None:
    def fail_for_a_while() -> None:
        bench.activate(2)
        bench.engine.failing_binds = 4  # the new one, the old one, and the old one again for two parts

    bench.after = {0: fail_for_a_while}
    assert bench.inspect(5) == [(PASS, 1), (FAULT, 1), (FAULT, 1), (PASS, 1), (PASS, 1)]
    assert bench.verdicts[1].scores is None
    assert "could not be bound again" in bench.verdicts[1].reason
    assert len(bench.told) == 1


def test_a_good_slot_ends_the_faults_of_a_bad_one(bench: ChangingBench) -> None:
    def fail() -> None:
        bench.activate(2)
        bench.engine.failing_binds = 3

    bench.after = {0: fail, 1: lambda: (bench.activate(1), bench.activate(2))}
    assert bench.inspect(4) == [(PASS, 1), (FAULT, 1), (PASS, 2), (PASS, 2)]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_in_whatever_order_no_verdict_mixes_two_slots(bench: ChangingBench, seed: int) -> None:
    """``inspect`` recomputes each score with the slot that the verdict names."""
    chance = np.random.default_rng(seed)

    def something() -> None:
        if chance.random() < 0.7:
            bench.activate(int(chance.integers(1, 3)))
        if chance.random() < 0.4:
            bench.slots.poll()
        if chance.random() < 0.4:
            bench.engine.failing_binds = int(chance.integers(1, 5))

    bench.after = dict.fromkeys(range(60), something)
    outcomes = bench.inspect(61)
    assert {serial for _, serial in outcomes} == {1, 2}
    assert {outcome for outcome, _ in outcomes} == {PASS, FAULT}
    assert len(outcomes) == 61


def test_a_pointer_that_is_gone_is_told_once(bench: ChangingBench) -> None:
    bench.after = {0: (bench.store.folder / CURRENT).unlink}
    assert bench.inspect(3) == [(PASS, 1)] * 3
    assert len(bench.told) == 1
    assert "not calibrated" in bench.told[0]


def test_a_slot_whose_folder_is_gone_while_it_runs_goes_on(bench: ChangingBench, tmp_path: Path) -> None:
    path = bench.store.slot_path(2)
    bench.after = {
        0: lambda: bench.activate(2),
        1: lambda: path.rename(tmp_path / "away"),
        3: lambda: (tmp_path / "away").rename(path),
    }
    assert bench.inspect(4) == [(PASS, 1), (PASS, 2), (PASS, 2), (PASS, 2)]


def test_the_thread_sees_a_change_and_stops(bench: ChangingBench) -> None:
    told, heard = [], threading.Event()

    def tell(text: str, bad: bool) -> None:
        told.append((text, bad))
        heard.set()
        raise OSError("the terminal is gone")

    key = ("fp32", bench.engine.runtime, bench.view.view)
    slots = SlotWatcher(bench.store, *key, bench.slot, tell, SystemClock())
    (bench.store.folder / CURRENT).unlink()  # before the first look: one that falls between look and load is told twice
    with slots:
        assert heard.wait(10)
        heard.clear()
        slots.answer(bench.slot)
        assert heard.wait(10)
    assert [bad for _, bad in told] == [True, False]
    assert not slots._thread.is_alive()
