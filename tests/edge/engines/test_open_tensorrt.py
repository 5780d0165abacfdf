"""Finding, building and proving plans, over stand-ins of TensorRT and PyCUDA."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from edge.bundle import MANIFEST, Bundle, open_bundle
from edge.engines.build_observer import BuildObserver
from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.engines.open_engine import open_engine
from edge.engines.open_tensorrt import open_tensorrt
from edge.engines.plan_cache import PLAN, PlanCache
from edge.engines.tensorrt_builder import BuildSettings
from edge.errors import BuildStoppedError, BundleError, ConfigError, EngineError, HashMismatchError, PlanError
from edge.slots.calibration_tensors import CalibrationTensors
from tests.standins.machine import Machine
from tests.tiny_bundle import SHAPE, write_tiny_bundle

NEUTRAL = CalibrationTensors.neutral(SHAPE)


class Heard(BuildObserver):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.stop = False

    def say(self, text: str) -> None:
        self.said.append(text)

    def stopped(self) -> bool:
        return self.stop


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_bundle(write_tiny_bundle(tmp_path / "tiny", precisions=("fp32", "fp16", "int8-cpu"), references=2))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_the_first_start_builds_and_the_next_one_does_not(machine: Machine, bundle: Bundle, state: Path, heard: Heard) -> None:
    for _ in range(2):
        with open_tensorrt(bundle, "fp16", state, heard) as engine:
            assert engine.degraded == ""
            with pytest.raises(EngineError, match="has no calibration"):
                engine.infer(np.zeros((64, 64, 3), np.uint8))
    assert machine.faults.builds == 1
    assert len(heard.said) == 1
    assert "building the fp16 plan for Orin (stand-in) with TensorRT 10.3.0" in heard.said[0]
    with open_tensorrt(bundle, "fp32", state, heard):
        pass
    assert machine.faults.builds == 2
    assert machine.faults.timing_caches == [b"", b"timings of a stand-in"]


def test_another_tensorrt_builds_again_and_the_old_plan_stays(machine: Machine, bundle: Bundle, state: Path) -> None:
    for version in ("10.3.0", "11.4.0.106", "10.3.0"):
        machine.install(version)
        with open_tensorrt(bundle, "fp16", state):
            pass
    assert machine.faults.builds == 2


def test_a_plan_whose_bytes_changed_is_not_loaded_but_built_again(
    machine: Machine, bundle: Bundle, state: Path, heard: Heard
) -> None:
    with open_tensorrt(bundle, "fp16", state):
        pass
    (stored,) = PlanCache(state).all()
    content = bytearray((stored.path / PLAN).read_bytes())
    content[-1] ^= 1
    (stored.path / PLAN).write_bytes(content)
    with open_tensorrt(bundle, "fp16", state, heard) as engine:
        assert engine.degraded == ""
    assert machine.faults.builds == 2
    assert "sha256 differs" in heard.said[0]
    assert PlanCache(state).all()[0].read()


def test_a_plan_that_computes_wrongly_is_not_kept(machine: Machine, bundle: Bundle, state: Path) -> None:
    machine.faults.scale = 1.05
    with pytest.raises(PlanError, match=r"no fp16 plan works on Orin .*reference0.npy scores"):
        open_tensorrt(bundle, "fp16", state)
    assert PlanCache(state).all() == []
    machine.faults.scale = float("nan")
    with pytest.raises(PlanError, match="scores nan"):
        open_tensorrt(bundle, "fp16", state)
    machine.faults.scale = 1.0
    with open_tensorrt(bundle, "fp16", state):
        pass


def test_a_precision_may_have_a_tolerance_of_its_own(machine: Machine, bundle: Bundle, state: Path) -> None:
    content = yaml.safe_load((bundle.path / MANIFEST).read_text())
    content["precision_tolerance"] = {"fp16": 0.1}
    (bundle.path / MANIFEST).write_text(yaml.safe_dump(content))
    machine.faults.scale = 1.05
    with open_tensorrt(open_bundle(bundle.path), "fp16", state):
        pass
    with pytest.raises(PlanError):
        open_tensorrt(open_bundle(bundle.path), "fp32", state)


def test_a_stored_plan_that_no_longer_agrees_is_rebuilt_once(machine: Machine, bundle: Bundle, state: Path, heard: Heard) -> None:
    with open_tensorrt(bundle, "fp16", state):
        pass
    content = yaml.safe_load((bundle.path / MANIFEST).read_text())
    for reference in content["reference_images"]:
        reference["score"] *= 2
    (bundle.path / MANIFEST).write_text(yaml.safe_dump(content))
    with pytest.raises(PlanError, match="no fp16 plan works"):
        open_tensorrt(open_bundle(bundle.path), "fp16", state, heard)
    assert machine.faults.builds == 2
    assert len(PlanCache(state).all()) == 1


def test_the_last_plan_that_worked_runs_where_a_new_one_cannot_be_built(
    machine: Machine, bundle: Bundle, state: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_tensorrt(bundle, "fp16", state):
        pass
    monkeypatch.setattr("edge.engines.open_tensorrt.l4t_release", lambda: "R36.5.0")
    machine.faults.build_gives_none = 2
    with open_tensorrt(bundle, "fp16", state, heard) as engine:
        assert engine.degraded.startswith("an earlier fp16 plan, built under L4T none")
        assert "could not find any implementation" in engine.degraded
        engine.bind(NEUTRAL)
        assert engine.runtime == "tensorrt-10.3.0-orin-stand-in-sm8.7"
    assert any(engine.degraded in line for line in heard.said)


def test_a_plan_built_with_other_settings_is_found_by_whoever_does_not_ask(machine: Machine, bundle: Bundle, state: Path) -> None:
    with open_tensorrt(bundle, "fp16", state, settings=BuildSettings(512, 5)):
        pass
    with open_tensorrt(bundle, "fp16", state):
        pass
    assert machine.faults.builds == 1
    with open_tensorrt(bundle, "fp16", state, settings=BuildSettings(512, 4)):
        pass
    assert machine.faults.builds == 2


def test_rebuilding_that_fails_keeps_the_plan_that_works(machine: Machine, bundle: Bundle, state: Path) -> None:
    with open_tensorrt(bundle, "fp16", state):
        pass
    kept = PlanCache(state).all()
    machine.faults.build_gives_none = 2
    with open_tensorrt(bundle, "fp16", state, rebuild=True) as engine:
        assert "could not find any implementation" in engine.degraded
    assert PlanCache(state).all() == kept


def test_what_was_built_while_waiting_is_used(
    machine: Machine, bundle: Bundle, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_tensorrt(bundle, "fp16", state):
        pass
    finds = [None]
    real = PlanCache.find
    monkeypatch.setattr(PlanCache, "find", lambda *a, **k: finds.pop() if finds else real(*a, **k))

    @contextmanager
    def waited(*_: object) -> Iterator[bool]:
        yield True

    monkeypatch.setattr(PlanCache, "building", waited)
    with open_tensorrt(bundle, "fp16", state):
        pass
    assert machine.faults.builds == 1


def test_two_processes_that_start_at_once_build_one_plan(bundle: Bundle, state: Path) -> None:
    code = (
        "import pytest; from pathlib import Path; from tests.standins.machine import Machine\n"
        "from edge.bundle import open_bundle; from edge.engines.open_tensorrt import open_tensorrt\n"
        "machine = Machine(pytest.MonkeyPatch()).install(); print('ready', flush=True); input()\n"
        f"with open_tensorrt(open_bundle(Path({str(bundle.path)!r})), 'fp16', Path({str(state)!r})): pass\n"
        "machine.assert_clean(); print(machine.faults.builds)\n"
    )
    pipe = subprocess.PIPE
    both = [subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for child in both:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in both:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    builds = [int(child.communicate()[0]) for child in both]
    assert [child.returncode for child in both] == [0, 0]
    assert sum(builds) == 1
    assert len(PlanCache(state).all()) == 1


def test_a_full_disk_does_not_keep_the_line_from_running(
    machine: Machine, bundle: Bundle, state: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with open_tensorrt(bundle, "fp16", state, heard) as engine:
        engine.bind(NEUTRAL)
    assert "was not kept" in heard.said[-1]
    assert PlanCache(state).all() == []


def test_a_model_that_changed_since_the_bundle_was_opened_is_not_built(machine: Machine, bundle: Bundle, state: Path) -> None:
    bundle.model_path("fp16").write_bytes(b"another")
    with pytest.raises(PlanError, match="changed since the bundle was opened"):
        open_tensorrt(bundle, "fp16", state)
    assert machine.faults.builds == 0
    with pytest.raises(HashMismatchError):
        bundle.verified_model("fp16")


def test_stopping_a_build(machine: Machine, bundle: Bundle, state: Path, heard: Heard) -> None:
    heard.stop = True
    with pytest.raises(BuildStoppedError):
        open_tensorrt(bundle, "fp16", state, heard)
    assert PlanCache(state).all() == []


def test_what_cannot_run_is_refused_before_anything_is_built(machine: Machine, bundle: Bundle, state: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="for ONNX Runtime on a CPU"):
        open_tensorrt(bundle, "int8-cpu", state)
    with pytest.raises(BundleError, match="has no int8 model"):
        open_tensorrt(bundle, "int8", state)
    unproved = open_bundle(write_tiny_bundle(tmp_path / "unproved"))
    with pytest.raises(BundleError, match="no reference images, so no TensorRT plan can be checked"):
        open_tensorrt(unproved, "fp32", state)
    assert machine.gpu.used == set()


def test_auto_takes_tensorrt_where_it_is_and_never_something_else_when_that_fails(
    machine: Machine, bundle: Bundle, state: Path
) -> None:
    with open_engine(bundle, "fp16", state=state) as engine:
        assert engine.runtime.startswith("tensorrt-")
    for precision, choice in (("int8-cpu", "auto"), ("fp16", "onnxruntime")):
        with open_engine(bundle, precision, state=state, choice=choice) as engine:  # type: ignore[arg-type]
            assert isinstance(engine, OnnxRuntimeEngine)
    machine.faults.scale = 2.0
    with pytest.raises(PlanError):
        open_engine(bundle, "fp32", state=state)
    machine.gpu.broken = "cuInit failed: system not yet initialized"
    with pytest.raises(EngineError, match="cuInit failed"):
        open_engine(bundle, "fp32", state=state)
    machine.gpu.broken = ""


def test_auto_is_onnx_runtime_where_there_is_no_tensorrt(bundle: Bundle, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with open_engine(bundle, "fp32", state=state) as engine:
        assert isinstance(engine, OnnxRuntimeEngine)
    with pytest.raises(ConfigError, match="TensorRT or PyCUDA is not installed"):
        open_engine(bundle, "fp32", state=state, choice="tensorrt")


def test_half_of_tensorrt_is_told(
    machine: Machine, bundle: Bundle, state: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with open_engine(bundle, "fp32", state=state, observer=heard) as engine:
        assert isinstance(engine, OnnxRuntimeEngine)
    (line,) = heard.said
    assert line.startswith("TensorRT is here and is not used: ")
    assert "pip install 'edge-inspect[jetson]'" in line
