"""The TensorRT engine over stand-ins of TensorRT and PyCUDA that keep their rules: faults, deadlines, giving everything back."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.clock import ManualClock
from edge.engines.build_observer import BuildObserver
from edge.engines.cuda_device import CudaDevice
from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.engines.tensorrt_builder import BuildSettings, build_plan
from edge.engines.tensorrt_pycuda import DEADLINE_MS, FIRST_RUNS, FIRST_RUNS_DEADLINE_MS, TensorRTEngine, runtime_name
from edge.errors import ConfigError, EngineError, PlanError
from edge.preprocess import preprocess
from edge.slots.calibration_tensors import CalibrationTensors
from tests.standins.machine import Machine
from tests.tiny_bundle import SHAPE, part_image

NEUTRAL = CalibrationTensors.neutral(SHAPE)
INSPECTED_BYTES = 4 * (3 + 64 + 1 + 3)
"""Three scores, the map, its mean and three figures of image quality."""
CALIBRATION_BYTES = sum(array.nbytes for _, array in NEUTRAL.items())
FEATURE_BYTES = 4 * 2 * 8 * 8
Open = Callable[..., TensorRTEngine]


def picture(seed: int = 0, defect: bool = False) -> np.ndarray:
    return preprocess(part_image(seed, defect), 64, 64)


@pytest.fixture
def model(bundle_dir: Path) -> bytes:
    return (bundle_dir / "model.fp32.onnx").read_bytes()


@pytest.fixture
def device(machine: Machine) -> Iterator[CudaDevice]:
    with CudaDevice() as opened:
        yield opened


@pytest.fixture
def plan(device: CudaDevice, model: bytes) -> bytes:
    with device.active():
        return build_plan(model, "fp32", BuildSettings(), BuildObserver()).plan


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def open_plan(device: CudaDevice, plan: bytes, clock: ManualClock) -> Open:
    return lambda **options: TensorRTEngine(plan, SHAPE, device, clock=clock, **options)


def test_scores_are_onnx_runtimes_and_nothing_else_comes_to_the_host(machine: Machine, open_plan: Open, bundle_dir: Path) -> None:
    with open_plan() as engine, OnnxRuntimeEngine(bundle_dir / "model.fp32.onnx", SHAPE) as reference:
        for one in (engine, reference):
            one.bind(NEUTRAL)
        assert sum(machine.gpu.uploads) == CALIBRATION_BYTES
        for seed in range(3):
            machine.gpu.uploads.clear()
            machine.gpu.downloads.clear()
            assert engine.infer(picture(seed)).scores == reference.infer(picture(seed)).scores
            assert machine.gpu.uploads == [64 * 64 * 3]
            assert sum(machine.gpu.downloads) == INSPECTED_BYTES
        machine.gpu.downloads.clear()
        feature, grey = engine.read_feature(picture())
        expected, expected_grey = reference.read_feature(picture())
        assert np.array_equal(feature, expected)
        assert grey == expected_grey
        assert sum(machine.gpu.downloads) == INSPECTED_BYTES + FEATURE_BYTES


def test_mapped_memory_copies_neither_image_nor_scores(machine: Machine, open_plan: Open) -> None:
    with open_plan() as copied, open_plan(image_memory="mapped") as mapped:
        copied.bind(NEUTRAL)
        expected = copied.infer(picture(1)).scores
        mapped.bind(NEUTRAL)
        machine.gpu.uploads.clear()
        machine.gpu.downloads.clear()
        assert mapped.infer(picture(1)).scores == expected
        assert machine.gpu.uploads == []
        assert machine.gpu.downloads == []


def test_results_are_the_callers_own(open_plan: Open) -> None:
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        first = engine.infer(picture(0, defect=True)).anomaly_map
        kept = first.copy()
        engine.infer(picture(1))
        assert np.array_equal(first, kept)
    assert np.array_equal(first, kept)


def test_from_the_second_image_on_a_graph_is_launched_and_a_new_calibration_enters_it(machine: Machine, open_plan: Open) -> None:
    machine.install(graphs=True)
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        first = engine.infer(picture(2)).scores
        assert not engine.uses_graph
        assert engine.infer(picture(2)).scores == first
        assert engine.uses_graph
        assert engine.infer(picture(3)).scores != first
        launched = machine.gpu.launches
        engine.bind(NEUTRAL.with_weights(2.0, 0.0))
        assert engine.infer(picture(2)).scores.score == pytest.approx(2 * first.feature_score)
        assert machine.gpu.launches == launched
        assert machine.gpu.graph_launches == 3
        assert engine.read_feature(picture())[0].shape == (2, 8, 8)


@pytest.mark.parametrize("refuses", ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate"])
def test_where_no_graph_can_be_recorded_images_are_launched_call_by_call(machine: Machine, open_plan: Open, refuses: str) -> None:
    machine.install(graphs=True, graph_refuses=refuses)
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        scores = [engine.infer(picture()).scores for _ in range(4)]
        assert len(set(scores)) == 1
        assert not engine.uses_graph
        assert machine.gpu.graph_launches == 0


def test_a_recording_that_fails_half_way_does_not_leave_the_stream_recording(machine: Machine, open_plan: Open) -> None:
    machine.install(graphs=True)
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        expected = engine.infer(picture()).scores
        machine.faults.execute_fails = True
        with pytest.raises(EngineError, match="TensorRT did not run"):
            engine.infer(picture())
        assert machine.gpu.capture is None
        machine.faults.execute_fails = False
        with engine._device.active():
            engine._stream.is_done()  # the upload of the failed run
        assert engine.infer(picture()).scores == expected
        assert not engine.uses_graph


def test_a_graph_that_does_not_launch_is_an_error_with_cudas_text(machine: Machine, open_plan: Open) -> None:
    machine.install(graphs=True, graph_refuses="cuGraphLaunch")
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        engine.infer(picture())
        with pytest.raises(EngineError, match="CUDA failed: CUDA_ERROR_INVALID_VALUE"):
            engine.infer(picture())


def test_a_gpu_that_hangs_misses_the_deadline_and_its_buffers_are_left_alone(
    machine: Machine, open_plan: Open, clock: ManualClock
) -> None:
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        for _ in range(FIRST_RUNS + 1):
            expected = engine.infer(picture(1)).scores
        machine.gpu.hangs = True
        started = clock.monotonic_ns()
        with pytest.raises(EngineError, match=f"did not score the image within {DEADLINE_MS} ms"):
            engine.infer(picture(2))
        assert 0 <= (clock.monotonic_ns() - started) / 1e6 - DEADLINE_MS < 1
        for _ in range(2):
            with pytest.raises(EngineError, match="has not finished an earlier image"):
                engine.infer(picture(3))
        with pytest.raises(EngineError, match="has not finished an earlier image"):
            engine.bind(NEUTRAL)
        machine.gpu.hangs = False
        with pytest.raises(EngineError):  # looked at for the first time, it is still busy
            engine.bind(NEUTRAL)
        engine.bind(NEUTRAL)
        assert engine.infer(picture(1)).scores == expected


def test_the_first_runs_may_take_longer_and_not_for_ever(machine: Machine, open_plan: Open, clock: ManualClock) -> None:
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        machine.gpu.hangs = True
        with pytest.raises(EngineError, match=f"did not score the image within {FIRST_RUNS_DEADLINE_MS} ms"):
            engine.infer(picture())
        machine.gpu.hangs = False


def test_closing_while_the_gpu_hangs_returns_and_frees_nothing_under_it(
    monkeypatch: pytest.MonkeyPatch, model: bytes, clock: ManualClock
) -> None:
    machine = Machine(monkeypatch).install()
    device = CudaDevice()
    with device.active():
        plan = build_plan(model, "fp32", BuildSettings(), BuildObserver()).plan
    engine = TensorRTEngine(plan, SHAPE, device, clock=clock)
    given_back: list[str] = []
    engine.close_with(lambda: given_back.append("context"))
    engine.bind(NEUTRAL)
    machine.gpu.hangs = True
    with pytest.raises(EngineError):
        engine.infer(picture())
    held = machine.gpu.bytes_held
    engine.close()
    del engine
    gc.collect()
    assert machine.gpu.bytes_held == held > 0
    assert given_back == []
    assert len(machine.gpu.objects) == 2
    assert machine.gpu.violations == []


def test_a_context_that_broke_gives_errors_and_closes(machine: Machine, open_plan: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        machine.gpu.broken = "cuStreamQuery failed: an illegal memory access was encountered"
        for _ in range(2):
            with pytest.raises(EngineError, match=r"CUDA failed: .*illegal memory access.*restart edge-inspect"):
                engine.infer(picture())
    assert len(machine.gpu.objects) == 0
    monkeypatch.setattr(machine.gpu, "_blocks", {})  # what the driver takes back with the process


def test_a_run_that_tensorrt_refuses_is_an_error_and_no_old_score(machine: Machine, open_plan: Open) -> None:
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        engine.infer(picture())
        machine.faults.execute_fails = True
        for _ in range(2):
            with pytest.raises(EngineError, match=r"TensorRT did not run: enqueueV3: launch failed|has not finished"):
                engine.infer(picture())
        machine.faults.execute_fails = False
        engine._require_open()


def test_what_the_gpu_did_not_write_is_not_a_number(machine: Machine, open_plan: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        assert engine.infer(picture()).scores.finite()
        for memory in engine._memory.values():
            monkeypatch.setattr(memory, "download", lambda stream: None)
        assert not engine.infer(picture()).scores.finite()


@pytest.mark.parametrize("allocations", range(0, 38, 3))
def test_memory_that_runs_out_at_any_point_is_told_and_given_back(machine: Machine, open_plan: Open, allocations: int) -> None:
    machine.gpu.allocations_left = allocations
    with pytest.raises(EngineError, match="CUDA failed: cuMemAlloc failed: out of memory"):
        open_plan()
    assert machine.gpu.bytes_held == 0
    assert len(machine.gpu.objects) == 0
    machine.gpu.allocations_left = None
    with open_plan() as engine:
        engine.bind(NEUTRAL)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"no_runtime": True}, "cannot load the plan .*nullptr"),
        ({"no_context": True}, "cannot load the plan .createExecutionContext: out of memory"),
        ({"takes_no_address": "anomaly_map"}, "takes no address for anomaly_map"),
    ],
)
def test_a_start_that_fails_gives_everything_back(
    machine: Machine, open_plan: Open, fault: dict[str, object], message: str
) -> None:
    for name, value in fault.items():
        setattr(machine.faults, name, value)
    with pytest.raises(PlanError, match=message):
        open_plan()
    assert machine.gpu.bytes_held == 0
    assert len(machine.gpu.objects) == 0


def test_a_plan_of_another_version_is_refused(machine: Machine, device: CudaDevice, plan: bytes) -> None:
    machine.install("11.4.0.106")
    with pytest.raises(PlanError, match=r"not compatible, expecting version 11\.4"):
        TensorRTEngine(plan, SHAPE, device)


@pytest.mark.parametrize("change", [{"centers": 17}, {"map_height": 16}, {"height": 128}, {"feature_width": 4}])
def test_a_plan_of_another_graph_is_refused(open_plan: Open, device: CudaDevice, plan: bytes, change: dict[str, int]) -> None:
    with pytest.raises(PlanError, match="are not those of the bundle's graph"):
        TensorRTEngine(plan, SHAPE.model_copy(update=change), device)


def test_another_thread_is_refused(open_plan: Open) -> None:
    with open_plan() as engine:
        engine.bind(NEUTRAL)
        caught: list[Exception] = []

        def use() -> None:
            try:
                engine.infer(picture())
            except EngineError as error:
                caught.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert "belongs to the thread that opened it" in str(caught[0])
        assert engine.infer(picture()).scores.finite()


def test_no_gpu_and_no_pycuda_are_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.gpu.broken = "cuInit failed: no CUDA-capable device is detected"
    with pytest.raises(EngineError, match="no CUDA device can be opened: cuInit failed"):
        CudaDevice()
    machine.gpu.broken = ""
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(ConfigError, match=r"pip install 'edge-inspect\[jetson\]'"):
        CudaDevice()


def test_a_device_that_was_closed_is_not_used(machine: Machine) -> None:
    device = CudaDevice()
    device.close()
    device.close()
    with pytest.raises(EngineError, match="was given back"), device.active():
        pass


def test_the_runtimes_name_is_that_of_version_and_gpu() -> None:
    assert runtime_name("10.3.0", "Orin (nvgpu)", "8.7") == "tensorrt-10.3.0-orin-nvgpu-sm8.7"
