from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from calibration.cli import main
from edge.bundle import file_sha256
from edge.pictures.image_file import read_image
from tests.tiny_bundle import part_image, write_tiny_bundle


def calibrate(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("calibrate: ")]
    assert len(lines) == 1
    return lines[0]


def record(bundle_dir: Path) -> dict:
    slot = bundle_dir.parent / "calibration" / "tiny" / "current"
    return yaml.safe_load((slot / "slot.yaml").read_text())


def test_it_derives_everything_says_so_and_leaves_a_picture(
    bundle_dir: Path, tmp_path: Path, write_parts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(write_parts(tmp_path / "many", 130), "--bundle", bundle_dir) == 0
    err = capsys.readouterr().err
    for word in ("λ1, λ2", "threshold", "promise", "at most", "with 95% confidence", "calibration 1 is active"):
        assert word in err
    slot = bundle_dir.parent / "calibration" / "tiny" / "current"
    assert cv2.imread(str(slot / "histogram.png")).shape == (500, 1500, 3)
    jobs = record(bundle_dir)["images"]
    assert [len(jobs[job]) for job in ("center", "weights", "threshold")] == [52, 16, 62]
    assert not set(jobs["center"]) & set(jobs["weights"] + jobs["threshold"])


def test_plain_calibrate_finds_the_devices_bundle(
    bundle_dir: Path, normal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_INSPECT_BUNDLE", str(bundle_dir))
    monkeypatch.setenv("EDGE_INSPECT_STATE", str(tmp_path / "state"))
    assert calibrate(normal_dir) == 0
    assert (tmp_path / "state" / "calibration" / "tiny" / "current" / "slot.yaml").is_file()


def test_images_the_training_saw_never_set_the_threshold(
    tmp_path: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learned = tuple(read_image(path).sha256 for path in sorted(normal_dir.iterdir())[:10])
    bundle = write_tiny_bundle(tmp_path / "trained", learned)
    assert calibrate(normal_dir, "--bundle", bundle, "--center", "bundle") == 0
    jobs = record(bundle)["images"]
    assert not set(learned) & {digest for job in jobs.values() for digest in job}
    assert "10 the training saw" in capsys.readouterr().err


def test_an_engine_that_does_not_reproduce_the_reference_images_is_not_calibrated(
    bundle_dir: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(bundle_dir / "reference.npy", np.full((64, 64, 3), 90, np.uint8))
    manifest = yaml.safe_load((bundle_dir / "manifest.yaml").read_text())
    manifest["files"]["reference.npy"] = file_sha256(bundle_dir / "reference.npy")
    reference = {"file": "reference.npy", "feature_score": 0.0, "reconstruction_score": 0.0, "score": 123.0, "tolerance": 0.1}
    manifest["reference_images"] = [reference]
    (bundle_dir / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    assert calibrate(normal_dir, "--bundle", bundle_dir) == 2
    assert "cannot be trusted" in error_line(capsys)


def test_a_dry_run_writes_nothing_but_its_report(bundle_dir: Path, normal_dir: Path, tmp_path: Path) -> None:
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--dry-run", "--report", tmp_path / "x.png") == 0
    assert (tmp_path / "x.png").is_file()
    assert not (bundle_dir.parent / "calibration").exists()


def test_a_report_without_a_place_is_refused_before_anything_is_derived(
    bundle_dir: Path, normal_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--report", tmp_path / "none" / "x.html") == 2
    assert "expected a folder to write to" in error_line(capsys)
    assert not (bundle_dir.parent / "calibration").exists()


def test_a_report_that_cannot_be_written_after_all_hides_no_new_calibration(
    bundle_dir: Path, normal_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.html").mkdir()
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--report", tmp_path / "x.html") == 2
    words = capsys.readouterr().err
    assert words.index("calibration 1 is active") < words.index("calibrate: cannot write")
    assert record(bundle_dir)["serial"] == 1


def test_the_words_name_only_what_was_passed_over(bundle_dir: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(normal_dir / "000.png", normal_dir / "copy.png")
    assert calibrate(normal_dir, "--bundle", bundle_dir) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "passed over" in line]
    assert line.split() == ["passed", "over", "1", "duplicates"]


def test_a_broken_file_is_named_and_skipped_many_are_refused(
    bundle_dir: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (normal_dir / "broken.png").write_bytes((normal_dir / "000.png").read_bytes()[:500])
    assert calibrate(normal_dir, "--bundle", bundle_dir) == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "broken.png: the file is truncated" in err
    assert "1 unreadable" in err
    for index in range(10):
        (normal_dir / f"broken{index}.png").write_bytes(b"x")
    assert calibrate(normal_dir, "--bundle", bundle_dir) == 2
    assert "more than the 10% allowed" in error_line(capsys)


def test_too_few_empty_or_missing(
    bundle_dir: Path, tmp_path: Path, write_parts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    few = write_parts(tmp_path / "few", 4)
    assert calibrate(few, "--bundle", bundle_dir) == 2
    assert "needs at least 5" in error_line(capsys)
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        assert calibrate(folder, "--bundle", bundle_dir) == 2
        assert str(folder) in error_line(capsys)
    assert not (bundle_dir.parent / "calibration" / "tiny" / "current").exists()


def test_copies_of_one_picture_count_once(bundle_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    for index in range(30):
        cv2.imwrite(str(folder / f"{index}.png"), part_image(1))
    assert calibrate(folder, "--bundle", bundle_dir) == 2
    assert "found 1" in error_line(capsys)


def test_images_that_all_score_the_same_are_refused(bundle_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    for index in range(10):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((64, 64 + index, 3), 100, np.uint8))
    assert calibrate(folder, "--bundle", bundle_dir) == 2
    assert "all images score the same" in error_line(capsys)


def test_a_black_image_among_the_good_is_named(bundle_dir: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(12):
        cv2.imwrite(str(normal_dir / f"black{index}.png"), np.zeros((64, 64 + index, 3), np.uint8))
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--center", "bundle") == 2
    assert "black" in error_line(capsys)


def test_a_rate_the_images_cannot_support_exits_3(bundle_dir: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--false-reject-rate", "0.005") == 3
    assert "needs 598 images" in error_line(capsys)
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--false-reject-rate", "0.2") == 0


@pytest.mark.parametrize("rate", ["0", "1.5", "-1", "many", "1e-320", "5e-7"])
def test_a_rate_that_is_none(rate: str, normal_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        calibrate(normal_dir, "--false-reject-rate", rate)
    assert error.value.code == 2
