"""The promise as the technician meets it: few images, sessions, suspects, other parts, and a process that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from edge.bundle import file_sha256
from edge.slots.slot_record import RECORD
from tests.calibration.test_cli import calibrate, error_line, record
from tests.tiny_bundle import part_image


def words(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_few_images_promise_what_they_can_and_say_approximate(
    bundle_dir: Path, tmp_path: Path, write_parts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(write_parts(tmp_path / "few", 30), "--bundle", bundle_dir) == 0
    promise = record(bundle_dir)["promise"]
    assert (promise["kind"], promise["images"]) == ("approximate", 30)
    assert promise["false_reject_rate"] == pytest.approx(1 - 0.05 ** (1 / 30))
    assert "approximate" in words(capsys)


def test_a_rate_beyond_the_images_is_extrapolated_only_when_accepted(
    bundle_dir: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--false-reject-rate", "0.005") == 3
    assert "there are 60" in error_line(capsys)
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--false-reject-rate", "0.005", "--accept") == 0
    assert "extrapolated" in words(capsys)
    promise = record(bundle_dir)["promise"]
    assert (promise["kind"], promise["false_reject_rate"]) == ("extrapolated", 0.005)


def test_without_anything_to_derive_the_promise_of_few_images_is_exact(bundle_dir: Path, normal_dir: Path) -> None:
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--center", "bundle", "--weights", "bundle") == 0
    assert record(bundle_dir)["promise"]["kind"] == "exact"
    assert record(bundle_dir)["images"]["weights"] == []


def test_the_centre_is_blended_and_the_flags_must_agree(
    bundle_dir: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--blend", "0.3") == 0
    assert "updated with 60 images" in record(bundle_dir)["center_source"]
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--blend", "0.3", "--center", "site") == 2
    assert "leave one of them out" in error_line(capsys)


def test_sessions_are_left_out_whole_and_a_shifted_one_is_named(
    bundle_dir: Path, tmp_path: Path, write_parts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for number, day in enumerate(("monday", "tuesday", "wednesday")):
        write_parts(tmp_path / "parts" / day, 15, first_seed=100 * number)
    assert calibrate(tmp_path / "parts", "--bundle", bundle_dir, "--center", "bundle") == 0
    said = capsys.readouterr().err
    assert "in 3 folds of whole sessions" in " ".join(said.split())
    assert not any(line.startswith("session ") for line in said.splitlines())
    for path in (tmp_path / "parts" / "tuesday").iterdir():
        image = cv2.imread(str(path)).astype(np.float32)
        image[40:60, 40:60, 2] *= 1.5
        cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))
    assert calibrate(tmp_path / "parts", "--bundle", bundle_dir, "--center", "bundle") == 0
    assert "session tuesday: 15 of 15 images" in words(capsys)


@pytest.mark.parametrize("count", [60, 130])
def test_a_bad_part_among_the_good_is_named_and_dropped_only_when_asked(
    bundle_dir: Path, tmp_path: Path, write_parts: Callable[..., Path], capsys: pytest.CaptureFixture[str], count: int
) -> None:
    """In whichever job its hash puts it: some of the bad ones are for C, some for the weights, some for the threshold."""
    folder = write_parts(tmp_path / "parts", count)
    bad = {f"bad{index}.png" for index in range(4)}
    for name in bad:
        image = part_image(1000 + int(name[3]))
        image[30:50, 40:60, :2] = ((255, 20), (20, 255), (255, 255), (0, 0))[int(name[3])]  # alike, they would vouch for each other
        cv2.imwrite(str(folder / name), image)
    assert calibrate(folder, "--bundle", bundle_dir) == 0
    said = capsys.readouterr().err
    assert bad <= {
        Path(line.split(": ")[0].removeprefix("suspect ")).name for line in said.splitlines() if line.startswith("suspect ")
    }
    with_bad = record(bundle_dir)
    assert with_bad["dropped"] == {}
    assert calibrate(folder, "--bundle", bundle_dir, "--drop-suspects") == 0
    without = record(bundle_dir)
    assert {file_sha256(folder / name) for name in bad} <= set(without["dropped"])
    assert not set(without["dropped"]) & {digest for job in without["images"].values() for digest in job}


def test_another_product_is_refused(
    bundle_dir: Path, normal_dir: Path, tmp_path: Path, write_parts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The tiny bundle's own score of its part is 0.84, of an all-blue one far more than five times what the reference says."""
    picture = cv2.resize(part_image(7), (64, 64))
    np.save(bundle_dir / "reference.npy", picture)
    manifest = yaml.safe_load((bundle_dir / "manifest.yaml").read_text())
    manifest["files"]["reference.npy"] = file_sha256(bundle_dir / "reference.npy")
    reference = {"file": "reference.npy", "feature_score": 0.0, "reconstruction_score": 0.0, "score": 1.0, "tolerance": 1.0}
    manifest["reference_images"] = [reference]
    (bundle_dir / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    assert calibrate(normal_dir, "--bundle", bundle_dir) == 0
    other = tmp_path / "other"
    other.mkdir()
    for index in range(12):
        image = np.full((64, 64, 3), (200, 30, 1), np.uint8)
        image[index : index + 16, index : index + 16, 2] = 255
        cv2.imwrite(str(other / f"{index}.png"), image)
    assert calibrate(other, "--bundle", bundle_dir) == 2
    assert "look like another product" in error_line(capsys)
    assert record(bundle_dir)["serial"] == 1


def test_killed_at_any_moment_the_old_slot_stays_active_and_the_next_one_can_be_made(
    calibrated_dir: Path, normal_dir: Path
) -> None:
    store = calibrated_dir.parent / "calibration" / "tiny"
    before = (store / "current" / RECORD).read_bytes()
    command = [sys.executable, "-m", "calibration.cli", str(normal_dir), "--bundle", str(calibrated_dir)]
    start = time.monotonic()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    whole = time.monotonic() - start
    for share in np.random.default_rng(0).uniform(0.2, 1.0, 6):
        active = (store / "current").resolve()
        content = (active / RECORD).read_bytes()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=float(share) * whole)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if (store / "current").resolve() == active:
            assert (active / RECORD).read_bytes() == content
        else:  # it was done before the kill
            assert (store / "current" / RECORD).is_file()
    assert (store / "000001" / RECORD).read_bytes() == before
    assert calibrate(normal_dir, "--bundle", calibrated_dir) == 0
