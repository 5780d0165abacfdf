"""A line whose precision has no working plan: the safer one, if it is calibrated, and everybody is told. TensorRT is a stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from calibration.cli import main as calibrate
from edge.bundle import MANIFEST, Bundle, open_bundle
from edge.cli import main as inspect
from edge.engines.base import Engine
from edge.errors import BundleError
from edge.line.station_view import station_view
from edge.slots.calibration_slot import SlotStore
from edge.station_config import load_station
from tests.standins.machine import Machine
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture
def bundle_dir(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle", precisions=("fp32", "fp16", "int8"), references=2)


@pytest.fixture
def parts_dir(tmp_path: Path, write_parts: Callable[..., Path]) -> Path:
    return write_parts(tmp_path / "parts", 2, first_seed=3)


def only_fp32_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plans of every other precision fail the check by the reference images."""
    real = Bundle.self_test

    def strict(self: Bundle, engine: Engine, precision: str = "fp32") -> None:
        if precision != "fp32":
            raise BundleError(f"reference0.npy scores 9 on {precision}, 1 when it was recorded")
        real(self, engine, precision)

    monkeypatch.setattr(Bundle, "self_test", strict)


def run(bundle: Path, parts: Path, precision: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, object]], str]:
    code = inspect(["--camera", f"file://{parts}", "--bundle", str(bundle), "--dry-run", "--precision", precision])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def calibrated(bundle: Path, normal: Path, *precisions: str) -> None:
    for precision in precisions:
        assert calibrate([str(normal), "--bundle", str(bundle), "--precision", precision]) == 0


def test_the_precision_asked_for_runs_where_it_works(
    machine: Machine, bundle_dir: Path, normal_dir: Path, parts_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrated(bundle_dir, normal_dir, "fp32", "fp16")
    code, verdicts, err = run(bundle_dir, parts_dir, "fp16", capsys)
    assert code == 0
    assert [one["degraded"] for one in verdicts] == ["", ""]
    assert "fp16 on tensorrt-10.3.0-orin-stand-in-sm8.7" in err
    assert "NOT AS ASKED" not in err


def test_the_next_one_runs_with_its_own_calibration_and_says_so(
    machine: Machine, bundle_dir: Path, normal_dir: Path, parts_dir: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    calibrated(bundle_dir, normal_dir, "fp32", "fp16")
    capsys.readouterr()
    only_fp32_agrees(monkeypatch)
    code, verdicts, err = run(bundle_dir, parts_dir, "fp16", capsys)
    assert code == 0
    assert [one["outcome"] for one in verdicts] == ["PASS", "PASS"]
    assert {one["calibration_serial"] for one in verdicts} == {1}
    assert all(str(one["degraded"]).startswith("fp32 instead of fp16: ") for one in verdicts)
    assert "NOT AS ASKED: fp32 instead of fp16" in err
    assert "model tiny fp32 on tensorrt" in err


def test_int8_goes_by_fp16_to_fp32(
    machine: Machine, bundle_dir: Path, normal_dir: Path, parts_dir: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    calibrated(bundle_dir, normal_dir, "fp32", "fp16", "int8")
    only_fp32_agrees(monkeypatch)
    code, verdicts, _ = run(bundle_dir, parts_dir, "int8", capsys)
    assert code == 0
    assert all(str(one["degraded"]).startswith("fp32 instead of int8: ") for one in verdicts)


def test_without_a_calibration_of_its_own_the_next_one_does_not_run(
    machine: Machine, bundle_dir: Path, normal_dir: Path, parts_dir: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    calibrated(bundle_dir, normal_dir, "fp16")
    capsys.readouterr()
    only_fp32_agrees(monkeypatch)
    builds = machine.faults.builds
    code, verdicts, err = run(bundle_dir, parts_dir, "fp16", capsys)
    assert code == 2
    assert verdicts == []
    assert "fp32 is not calibrated; see edge-build" in err
    assert machine.faults.builds == builds + 1  # no minutes are spent on what could not run


def test_a_calibration_of_another_runtime_is_none(
    machine: Machine, bundle_dir: Path, normal_dir: Path, parts_dir: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert calibrate([str(normal_dir), "--bundle", str(bundle_dir), "--engine", "onnxruntime"]) == 0
    calibrated(bundle_dir, normal_dir, "fp16")
    only_fp32_agrees(monkeypatch)
    code, _, err = run(bundle_dir, parts_dir, "fp16", capsys)
    assert code == 2
    assert "fp32 is not calibrated for tensorrt-10.3.0-orin-stand-in-sm8.7" in err


def test_slots_of_a_precision_the_newest_first_and_the_broken_left_out(bundle_dir: Path, normal_dir: Path) -> None:
    for precision in ("fp32", "fp16", "fp32", "fp32"):
        assert calibrate([str(normal_dir), "--bundle", str(bundle_dir), "--precision", precision]) == 0
    bundle = open_bundle(bundle_dir)
    store = SlotStore(bundle_dir.parent, bundle)
    view = station_view(load_station(None), bundle.manifest.graph).view
    assert [slot.record.serial for slot in store.calibrated_for("fp32", view)] == [4, 3, 1]
    assert [slot.record.serial for slot in store.calibrated_for("fp16", view)] == [2]
    (store.folder / "000003" / "centers_0.npy").write_bytes(b"torn")
    assert [slot.record.serial for slot in store.calibrated_for("fp32", view)] == [4, 1]
    content = yaml.safe_load((bundle_dir / MANIFEST).read_text())
    content["files"]["model.fp32.onnx"] = "0" * 64
    other = Bundle(bundle.path, bundle.manifest.model_copy(update={"files": content["files"]}))
    assert SlotStore(bundle_dir.parent, other).calibrated_for("fp32", view) == []
