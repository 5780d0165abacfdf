"""The builder over a stand-in of TensorRT; ``tests/nvidia`` runs it over NVIDIA's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.engines.build_observer import BuildObserver
from edge.engines.cuda_device import CudaDevice
from edge.engines.tensorrt_builder import BuildSettings, BuiltPlan, build_plan
from edge.errors import BuildStoppedError, ConfigError, PlanError
from tests.standins.machine import Machine
from tests.standins.tensorrt_standin import VERSIONS

Build = Callable[..., BuiltPlan]


class Heard(BuildObserver):
    def __init__(self, stop_after: int | None = None) -> None:
        self.said: list[str] = []
        self.steps: list[tuple[str, int, int]] = []
        self._left = stop_after

    def say(self, text: str) -> None:
        self.said.append(text)

    def step(self, phase: str, done: int, total: int) -> None:
        self.steps.append((phase, done, total))

    def stopped(self) -> bool:
        if self._left is None:
            return False
        self._left -= 1
        return self._left < 0


@pytest.fixture
def build(machine: Machine, bundle_dir: Path) -> Iterator[Build]:
    """Builds the tiny bundle's model."""
    model = (bundle_dir / "model.fp32.onnx").read_bytes()
    with CudaDevice() as device, device.active():
        yield lambda precision="fp32", observer=None, cache=b"", content=model: build_plan(
            content, precision, BuildSettings(), observer or BuildObserver(), cache
        )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_version_builds_strongly_typed_without_tf32(machine: Machine, build: Build, version: str, precision: str) -> None:
    machine.install(version)
    built = build(precision)
    assert built.plan
    assert built.weak_typing == ""
    assert all(flags > 0 for flags in machine.faults.network_flags)
    assert machine.faults.cleared_flags == [{"TF32"}]
    assert machine.faults.builder_flags == [set()]


def test_progress_is_that_of_the_outermost_phase(build: Build) -> None:
    heard = Heard()
    build(observer=heard)
    assert {phase for phase, _, _ in heard.steps} == {"Building engine"}
    done = [done for _, done, _ in heard.steps]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == 4
    assert heard.said == []


def test_the_timing_cache_is_used_again_and_a_bad_one_costs_only_time(machine: Machine, build: Build) -> None:
    cache = build().timing_cache
    assert cache
    assert build(cache=cache).plan
    assert build(cache=b"torn in a power cut").plan
    assert build(cache=b"other GPU").plan
    assert machine.faults.timing_caches == [b"", cache, b"", b""]


@pytest.mark.parametrize(("precision", "flags"), [("fp32", set()), ("fp16", {"FP16"}), ("int8", {"FP16", "INT8"})])
def test_10_3_falls_back_to_weak_typing_and_says_why(machine: Machine, build: Build, precision: str, flags: set[str]) -> None:
    machine.faults.refuses_strong_typing = "Mul: all inputs must have the same type"
    heard = Heard()
    built = build(precision, heard)
    assert built.weak_typing == "node_7 (Mul): Mul: all inputs must have the same type"
    assert len(heard.said) == 1
    assert built.weak_typing in heard.said[0]
    assert machine.faults.network_flags[-1] == 0
    assert machine.faults.builder_flags == [flags]


@pytest.mark.parametrize("version", [one for one in VERSIONS if one != "10.3.0"])
def test_where_strong_typing_is_complete_a_refusal_is_a_fault_of_the_graph(machine: Machine, build: Build, version: str) -> None:
    machine.install(version).faults.refuses_strong_typing = "no"
    with pytest.raises(PlanError, match=r"cannot build the fp16 plan: node_7 \(Mul\): no; export again"):
        build("fp16")
    assert machine.faults.builds == 0


def test_an_unknown_precision_has_no_weak_typing(machine: Machine, build: Build) -> None:
    machine.faults.refuses_strong_typing = "no"
    with pytest.raises(PlanError, match="cannot build the fp8 plan"):
        build("fp8")


def test_the_parsers_errors_come_in_one_line(machine: Machine, build: Build) -> None:
    machine.install("11.4.0.106").faults.parser_error = "No importer\nregistered for op: Foo"
    with pytest.raises(PlanError) as caught:
        build()
    text = str(caught.value)
    assert "\n" not in text
    assert "node_0 (Foo): No importer registered for op: Foo; node_1 (Foo)" in text
    assert "and 2 more" in text


def test_what_is_no_model_is_refused(build: Build) -> None:
    with pytest.raises(PlanError, match=r"Failed to parse the ONNX model.*with weak typing: Failed"):
        build(content=b"not a model")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"build_gives_none": 2}, "could not find any implementation"),
        ({"build_raises": "std::bad_alloc"}, "std::bad_alloc"),
        ({"no_builder": True}, "CUDA initialization failure"),
    ],
)
def test_a_build_that_fails_says_why(machine: Machine, build: Build, fault: dict[str, object], message: str) -> None:
    for name, value in fault.items():
        setattr(machine.faults, name, value)
    with pytest.raises(PlanError, match=message):
        build()


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_a_build_can_be_stopped_and_is_not_tried_in_another_way(machine: Machine, build: Build, steps: int) -> None:
    with pytest.raises(BuildStoppedError, match="nothing of it was kept"):
        build(observer=Heard(stop_after=steps))
    assert machine.faults.builds == 1


def test_without_tensorrt_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ConfigError, match="--engine onnxruntime"):
        build_plan(b"", "fp32", BuildSettings(), BuildObserver())
