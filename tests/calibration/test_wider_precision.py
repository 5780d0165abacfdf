"""An 8-bit model that does not score this site's parts as the wider one does is refused, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

from calibration.cli import main
from calibration.wider_precision import relative_differences, wider_precision
from edge.bundle import MANIFEST, file_sha256, open_bundle
from tests.tiny_bundle import GRAPH, write_tiny_bundle

STRETCHED = GRAPH.replace(
    "  error = Abs (off)\n",
    "  error_plain = Abs (off)\n  stretch = Constant <value_float = 1.2> ()\n  error = Mul (error_plain, stretch)\n",
)


def bundle_with(folder: Path, graph: str, *precisions: str) -> Path:
    """``graph`` is its int8-cpu model."""
    bundle = write_tiny_bundle(folder / "bundle", precisions=precisions)
    name = "model.int8-cpu.onnx"
    onnx.save(onnx.parser.parse_model(graph), bundle / name)
    manifest = yaml.safe_load((bundle / MANIFEST).read_text())
    manifest["files"][name] = file_sha256(bundle / name)
    (bundle / MANIFEST).write_text(yaml.safe_dump(manifest))
    return bundle


def calibrate(normal_dir: Path, bundle: Path, *more: str) -> int:
    return main([str(normal_dir), "--bundle", str(bundle), "--precision", "int8-cpu", *more])


@pytest.mark.parametrize("count", [20, 130])
def test_one_that_agrees_is_calibrated_and_it_is_said(
    tmp_path: Path, write_parts: Callable[..., Path], capsys: pytest.CaptureFixture[str], count: int
) -> None:
    parts = write_parts(tmp_path / "parts", count)
    assert calibrate(parts, bundle_with(tmp_path, GRAPH, "fp32", "int8-cpu")) == 0
    err = capsys.readouterr().err
    assert f"int8-cpu scores {min(count, 32)} of these images as fp32 does, within 0.0%" in err
    assert "calibration 1 is active" in err


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_one_that_does_not_is_refused_with_the_remedy(
    tmp_path: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    bundle = bundle_with(tmp_path, STRETCHED, "fp32", "int8-cpu")
    assert calibrate(normal_dir, bundle, *more) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "off fp32's, 5.0% is allowed; calibrate with --precision fp32, or export again with --calib" in err
    assert not list((tmp_path / "calibration").rglob("slot.yaml"))


def test_without_a_wider_model_nothing_is_compared(tmp_path: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(normal_dir, bundle_with(tmp_path, STRETCHED, "int8-cpu")) == 0
    assert "of these images as" not in capsys.readouterr().err


def test_what_each_is_compared_with(tmp_path: Path) -> None:
    whole = open_bundle(write_tiny_bundle(tmp_path / "whole", precisions=("fp32", "fp16", "int8", "int8-cpu")))
    assert [wider_precision(whole, one) for one in whole.precisions()] == [None, None, "fp16", "fp32"]
    without = open_bundle(write_tiny_bundle(tmp_path / "without", precisions=("fp32", "int8")))
    assert wider_precision(without, "int8") == "fp32"


def test_the_difference_is_relative_to_the_largest_of_its_kind() -> None:
    wide = np.array([[1.0, 10.0, 0.0], [4.0, 20.0, 0.0]])
    narrow = np.array([[1.2, 10.0, 0.0], [4.0, 18.0, 0.0]])
    assert relative_differences(wide, wide).max() == 0
    assert relative_differences(wide, narrow).tolist() == [[pytest.approx(0.05), 0, 0], [0, pytest.approx(0.1), 0]]
