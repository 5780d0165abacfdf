"""edge-build as a technician sees it, over stand-ins of TensorRT and PyCUDA."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge.engines.build_cli import main
from edge.engines.plan_cache import PLAN, PlanCache
from edge.errors import BuildStoppedError
from tests.standins.machine import Machine
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture
def bundle_dir(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle", precisions=("fp32", "fp16", "int8", "int8-cpu"), references=2)


def build(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def row(err: str, precision: str) -> str:
    (line,) = (line for line in err.splitlines() if f"│ {precision} " in line)
    return line


def test_every_precision_is_built_checked_and_told(machine: Machine, bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(bundle_dir) == 0
    err = capsys.readouterr().err
    for precision in ("fp32", "fp16", "int8"):
        assert "built, checked" in row(err, precision)
        assert "strong" in row(err, precision)
    assert "int8-cpu" not in err
    assert "tiny: plans of TensorRT 10.3.0 for Orin (stand-in) sm8.7" in err
    assert len(PlanCache(bundle_dir.parent).all()) == 3
    assert build(bundle_dir, "--precision", "fp16,int8") == 0
    assert "there, checked" in row(capsys.readouterr().err, "fp16")
    assert machine.faults.builds == 3


def test_force_builds_again_and_settings_make_another_plan(
    machine: Machine, bundle_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (bundle_dir, "--precision", "fp16")
    assert build(*arguments) == 0
    assert build(*arguments, "--force") == 0
    assert machine.faults.builds == 2
    assert "built, checked" in row(capsys.readouterr().err.split("tiny: plans")[-1], "fp16")
    assert len(PlanCache(bundle_dir.parent).all()) == 1
    assert build(*arguments, "--workspace-mb", "64", "--optimization-level", "5") == 0
    assert len(PlanCache(bundle_dir.parent).all()) == 2


def test_one_that_fails_does_not_keep_the_others_from_being_built(
    machine: Machine, bundle_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.faults.build_gives_none = 2
    assert build(bundle_dir, "--precision", "fp16,fp32") == 1
    err = capsys.readouterr().err
    assert "FAILED" in row(err, "fp16")
    assert "built, checked" in row(err, "fp32")
    (told,) = (line for line in err.splitlines() if line.startswith("edge-build: "))
    assert told.startswith("edge-build: fp16: ")
    assert "could not find any implementation" in told


def test_weak_typing_shows_in_the_table(machine: Machine, bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine.faults.refuses_strong_typing = "no"
    assert build(bundle_dir, "--precision", "fp16") == 0
    err = capsys.readouterr().err
    assert "weak" in row(err, "fp16")
    assert "refuses strong typing (node_7 (Mul): no)" in err


def test_a_plan_that_cannot_be_kept_is_a_failure_here(
    machine: Machine, bundle_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert build(bundle_dir, "--precision", "fp16") == 1
    assert "could not be kept" in capsys.readouterr().err


def test_a_broken_plan_is_replaced(machine: Machine, bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(bundle_dir, "--precision", "fp16") == 0
    (stored,) = PlanCache(bundle_dir.parent).all()
    (stored.path / PLAN).write_bytes(b"torn")
    capsys.readouterr()
    assert build(bundle_dir, "--precision", "fp16") == 0
    assert "built, checked" in row(capsys.readouterr().err, "fp16")


def test_prune(machine: Machine, bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(bundle_dir, "--precision", "fp16") == 0
    machine.install("11.4.0.106")
    assert build(bundle_dir, "--precision", "fp16", "--prune") == 0
    (kept,) = PlanCache(bundle_dir.parent).all()
    assert kept.record.key.tensorrt == "11.4.0.106"
    assert "pruned 2 from" in capsys.readouterr().err  # a plan and its timing cache


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--precision", "fp8"), "has no fp8 model"),
        (("--precision", "int8-cpu"), "for ONNX Runtime on a CPU and has no plan"),
        (("--precision", ","), "expected names by commas"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    machine: Machine, bundle_dir: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert build(bundle_dir, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_without_tensorrt_it_says_what_to_install(
    bundle_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    assert build(bundle_dir) == 2
    assert "edge-inspect[jetson]" in capsys.readouterr().err


def test_without_a_gpu_it_says_so_once(machine: Machine, bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine.gpu.broken = "cuInit failed: no CUDA-capable device is detected"
    assert build(bundle_dir) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no CUDA device can be opened: cuInit failed" in line


def test_being_stopped_leaves_nothing(
    machine: Machine, bundle_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise BuildStoppedError("stopped")

    monkeypatch.setattr("edge.engines.open_tensorrt.build_plan", stopped)
    assert build(bundle_dir) == 130
    assert "interrupted; nothing half-written was left" in capsys.readouterr().err
    assert PlanCache(bundle_dir.parent).all() == []
