"""Every engine in a process of its own, on the tiny bundle; whatever one does, the others are measured."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from calibration.cli import main as calibrate
from edge.bundle import file_sha256, open_bundle
from edge.errors import EngineError
from tests.tiny_bundle import write_tiny_bundle
from tools.benchmark.board_power import BoardPower
from tools.benchmark.cli import main
from tools.benchmark.engine_process import EngineProcess
from tools.benchmark.engine_worker import Task
from tools.benchmark.engines import EngineBenchmark, EngineFigures, contenders


@pytest.fixture
def bundle_path(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "several", precisions=("fp32", "fp16", "int8", "int8-cpu"), references=2)


@pytest.fixture
def labelled(tmp_path: Path, write_parts: Callable[..., Path]) -> Path:
    write_parts(tmp_path / "set" / "test" / "good", 6, first_seed=900)
    write_parts(tmp_path / "set" / "test" / "square", 4, first_seed=950, defect=True)
    return tmp_path / "set"


@pytest.fixture
def task(bundle_path: Path, labelled: Path, tmp_path: Path) -> Callable[..., Task]:
    def make(precision: str = "fp32", bundle: Path = bundle_path) -> Task:
        return Task(bundle, tmp_path, None, labelled / "test" / "good", labelled, precision, "onnxruntime", 1, "copied")

    return make


def test_each_engine_is_measured_and_an_uncalibrated_one_says_so(
    bundle_path: Path, labelled: Path, normal_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert calibrate([str(normal_dir), "--bundle", str(bundle_path), "--threads", "1"]) == 0
    capfd.readouterr()
    flags = ["--images", str(labelled / "test" / "good"), "--labelled", str(labelled), "--out", str(tmp_path / "out")]
    assert main(["engines", "--bundle", str(bundle_path), *flags, "--rounds", "4", "--calls", "3", "--threads", "1"]) == 0
    out, err = capfd.readouterr()
    result = json.loads(out)
    assert result == json.loads((tmp_path / "out" / "engines.json").read_text())
    assert [(one["precision"], one["engine"]) for one in result["engines"]] == [
        ("fp32", "onnxruntime"), ("fp16", "onnxruntime"), ("int8-cpu", "onnxruntime"),
    ]  # fmt: skip
    for one in result["engines"]:
        engine, call = one["milliseconds"]["engine"], one["milliseconds"]["call"]
        assert 0 < engine["p50"] <= engine["p99"]
        assert engine["p50"] < call["p50"]
        assert one["rounds"] == 4
        assert one["ratio_to_fp32"]["low"] <= one["ratio_to_fp32"]["median"] <= one["ratio_to_fp32"]["high"]
        assert 20 < one["peak_memory_mb"] < 2000
        assert one["model_bytes"] == (bundle_path / f"model.{one['precision']}.onnx").stat().st_size
        assert one["accuracy"]["auroc"] == 1.0
    fp32, fp16, _ = result["engines"]
    assert fp32["ratio_to_fp32"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert (fp32["calibration_serial"], fp32["accuracy"]["misses"], fp32["accuracy"]["good"]) == (1, 0, 6)
    assert (fp16["calibration_serial"], set(fp16["accuracy"])) == (None, {"auroc"})
    if not BoardPower().rails:
        assert all(one["joules"] is None for one in result["engines"])
        assert "not reported" in err
    assert (tmp_path / "out" / "engines.png").read_bytes().startswith(b"\x89PNG")
    assert "1.0000 *" in (tmp_path / "out" / "engines.md").read_text()


def test_an_engine_that_cannot_be_opened_is_told_and_the_others_are_measured(
    bundle_path: Path, labelled: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = bundle_path / "model.fp16.onnx"
    model.write_bytes(b"not a model")
    manifest = bundle_path / "manifest.yaml"
    text = manifest.read_text()
    before = text.split("model.fp16.onnx: ")[1].split()[0]
    manifest.write_text(text.replace(f"model.fp16.onnx: {before}", f"model.fp16.onnx: {file_sha256(model)}"))
    images = str(labelled / "test" / "good")
    assert main(["engines", "--bundle", str(bundle_path), "--images", images, "--rounds", "4", "--calls", "1"]) == 1
    out, err = capfd.readouterr()
    result = json.loads(out)
    assert [one["precision"] for one in result["engines"]] == ["fp32", "int8-cpu"]
    assert [one["precision"] for one in result["failures"]] == ["fp16"]
    assert "cannot load it" in result["failures"][0]["why"]
    assert "fp16 on onnxruntime failed" in err


def test_a_process_that_is_killed_is_an_error_of_its_engine(task: Callable[..., Task]) -> None:
    with EngineProcess(task()) as process:
        assert len(process.ask("round", 2)) == 2
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match="fp32 on onnxruntime: its process ended with code -9"):
            process.ask("round", 2)


def test_a_process_that_does_not_answer_is_ended(task: Callable[..., Task]) -> None:
    with EngineProcess(task()) as process:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(EngineError, match="expected an answer within 0 s"):
            process.ask("round", 1, limit_s=0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_an_error_in_the_process_is_one_line_of_its_engine(task: Callable[..., Task], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"fp32 on onnxruntime: .*expected a model bundle"):
        EngineProcess(task(bundle=tmp_path / "absent"))


def test_the_boards_power_is_read_while_an_engine_runs(task: Callable[..., Task], tmp_path: Path) -> None:
    hwmon = tmp_path / "1-0040" / "hwmon" / "hwmon1"
    hwmon.mkdir(parents=True)
    for name, value in (("in1_label", "VDD_IN"), ("in1_input", "5000"), ("curr1_input", "2000")):
        (hwmon / name).write_text(value)
    with EngineProcess(task(), BoardPower(tmp_path)) as process:
        assert process.watts == []
        while len(process.watts) < 3:
            process.ask("round", 300)
        assert process.watts == pytest.approx([10.0] * len(process.watts))


def test_what_can_run_where(bundle_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    on_a_cpu = [("fp32", "onnxruntime"), ("fp16", "onnxruntime"), ("int8-cpu", "onnxruntime")]
    assert contenders(bundle, tensorrt=False) == on_a_cpu
    assert contenders(bundle, tensorrt=True) == [*on_a_cpu, ("fp32", "tensorrt"), ("fp16", "tensorrt"), ("int8", "tensorrt")]


def test_the_ratio_is_paired_by_round() -> None:
    """A machine that gets slower from round to round shows in the milliseconds, and not in the ratio."""
    slower = np.arange(1, 9)
    fp32 = EngineFigures("fp32", "onnxruntime", rounds=[[(0.0, 10.0 * k)] * 3 for k in slower])
    fp16 = EngineFigures("fp16", "onnxruntime", rounds=[[(0.0, 4.0 * k)] * 3 for k in slower])
    other = EngineFigures("fp16", "tensorrt", rounds=[[(0.0, 1.0)]] * 8)
    result = EngineBenchmark([fp32, fp16, other], 3, "a machine", [])
    assert result.ratio(fp16) == pytest.approx({"median": 0.4, "low": 0.4, "high": 0.4})
    assert result.ratio(other) is None
