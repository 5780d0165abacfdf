"""--check judges other images at the threshold: it never tunes, and never decides how calibrate ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.slots.slot_record import RECORD
from tests.calibration.test_cli import calibrate, error_line, record
from tests.calibration.test_report import defects, page_of
from tests.tiny_bundle import part_image


def slots(bundle_dir: Path) -> Path:
    return bundle_dir.parent / "calibration" / "tiny"


def test_it_changes_nothing_that_was_derived(bundle_dir: Path, normal_dir: Path, tmp_path: Path) -> None:
    assert calibrate(normal_dir, "--bundle", bundle_dir) == 0
    without = record(bundle_dir)
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--check", defects(tmp_path / "bad")) == 0
    checked = record(bundle_dir)
    assert without["checked"] == {}
    assert checked.pop("checked") == {".": {"images": 3, "rejected": 3}}
    different = {name for name in checked if checked[name] != without[name]}
    assert different <= {"serial", "created", "content_sha256"}


def test_misses_are_told_by_folder_shown_with_their_maps_and_are_no_failure(
    bundle_dir: Path, normal_dir: Path, tmp_path: Path, write_parts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad"
    defects(bad / "square")
    write_parts(bad / "invisible", 2, first_seed=800)
    write_parts(bad / "good", 4, first_seed=810)
    cv2.imwrite(str(bad / "good" / "spoilt.png"), part_image(820, defect=True))
    (bad / "square" / "broken.png").write_bytes(b"no image")
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--check", bad) == 0
    table = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().err.splitlines() if line.strip()}
    assert table["square"] == ["3", "3", "0"]
    assert table["invisible"] == ["2", "0", "2"]
    assert table["good"] == ["5", "1", "good", "parts"]
    assert "broken.png:" in " ".join(table["not"])
    wrong = [caption for caption in page_of(bundle_dir).captions if "missed, in" in caption or "good, rejected" in caption]
    assert [caption.split(" · ")[1] for caption in wrong] == ["missed, in invisible"] * 2 + ["good, rejected"]
    assert record(bundle_dir)["checked"]["invisible"] == {"images": 2, "rejected": 0}


def test_a_picture_the_engine_cannot_score_counts_as_rejected(bundle_dir: Path, normal_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    cv2.imwrite(str(tmp_path / "bad" / "black.png"), np.zeros((96, 96, 3), np.uint8))
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--check", tmp_path / "bad") == 0
    assert record(bundle_dir)["checked"] == {".": {"images": 1, "rejected": 1}}


def test_a_picture_of_another_size_than_the_region_is_told_and_left_out(
    bundle_dir: Path, normal_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    station = tmp_path / "station.yaml"
    station.write_text("region: {x: 0, y: 0, width: 90, height: 90}\n")
    bad = defects(tmp_path / "bad")
    cv2.imwrite(str(bad / "small.png"), part_image(1)[:80, :80])
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--station", station, "--check", bad) == 0
    assert "small.png: region of interest 90×90" in " ".join(capsys.readouterr().err.split())
    assert record(bundle_dir)["checked"] == {".": {"images": 3, "rejected": 3}}


def test_images_that_are_also_normal_ones_are_told(bundle_dir: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(normal_dir, "--bundle", bundle_dir, "--check", normal_dir) == 0
    assert "60 of the checked images are among the normal ones" in " ".join(capsys.readouterr().err.split())


def test_a_folder_without_pictures_stops_it_before_anything_is_derived(
    bundle_dir: Path, normal_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "set" / "ground_truth").mkdir(parents=True)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no image")
    for name, words in (("empty", "found none"), ("missing", "there is none"), ("set", "labelled set"), ("broken", "can be read")):
        assert calibrate(normal_dir, "--bundle", bundle_dir, "--check", tmp_path / name) == 2
        assert words in error_line(capsys)
    assert not (slots(bundle_dir) / "current").exists()


def test_an_edited_count_is_found_and_a_slot_without_counts_still_loads(bundle_dir: Path, normal_dir: Path, tmp_path: Path) -> None:
    from edge.bundle import open_bundle
    from edge.errors import HashMismatchError
    from edge.slots.calibration_slot import SlotStore
    from edge.slots.slot_record import SlotRecord

    assert calibrate(normal_dir, "--bundle", bundle_dir, "--check", defects(tmp_path / "bad")) == 0
    store = SlotStore(bundle_dir.parent, open_bundle(bundle_dir))
    content = record(bundle_dir)
    del content["checked"]
    assert SlotRecord.model_validate(content).checked == {}
    path = slots(bundle_dir) / "current" / RECORD
    path.write_text(path.read_text().replace("rejected: 3", "rejected: 2"))
    with pytest.raises(HashMismatchError):
        store.load(1)
