from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from calibration.cli import main as calibrate
from edge.bundle import file_sha256, open_bundle
from edge.engines.open_engine import open_engine
from edge.errors import HashMismatchError, InputError, NewerFormatError, NotCalibratedError, OutputError, SlotError
from edge.line.station_view import View
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.slots.slot_pointer import CURRENT
from edge.slots.slot_record import RECORD, content_sha256
from edge.station_config import RegionConfig
from tests.edge.storage.test_durable_files import no_file_larger_than

WHOLE = View(region=None, ignore_mask_sha256=None)


def load(bundle_dir: Path, view: View = WHOLE, precision: str = "fp32") -> CalibrationSlot:
    bundle = open_bundle(bundle_dir)
    with open_engine(bundle) as engine:
        return SlotStore(bundle_dir.parent, bundle).current(precision, engine.runtime, view)


def slot_folder(bundle_dir: Path) -> Path:
    return (bundle_dir.parent / "calibration" / "tiny" / CURRENT).resolve()


def test_what_was_written_comes_back(calibrated_dir: Path) -> None:
    slot = load(calibrated_dir)
    assert slot.record.serial == 1
    assert np.isfinite(slot.record.threshold)
    with open_engine(open_bundle(calibrated_dir)) as engine:
        engine.bind(slot.tensors)
        slot.self_test(engine)


def test_the_self_test_finds_an_engine_that_scores_differently(calibrated_dir: Path) -> None:
    slot = load(calibrated_dir)
    with open_engine(open_bundle(calibrated_dir)) as engine:
        engine.bind(slot.tensors.with_weights(1.01 * float(slot.tensors["feature_weight"][0]), 0.5))
        with pytest.raises(SlotError, match="the engine has changed"):
            slot.self_test(engine)


def test_an_uncalibrated_bundle_says_what_to_run(bundle_dir: Path) -> None:
    with pytest.raises(NotCalibratedError, match="run: calibrate"):
        load(bundle_dir)


def test_a_slot_serves_only_what_it_was_made_for(calibrated_dir: Path) -> None:
    bundle = open_bundle(calibrated_dir)
    store = SlotStore(calibrated_dir.parent, bundle)
    with pytest.raises(SlotError, match="calibrated for runtime"):
        store.current("fp32", "onnxruntime-0.0-cpu", WHOLE)
    other = View(region=RegionConfig(x=0, y=0, width=64, height=64), ignore_mask_sha256=None)
    with pytest.raises(SlotError, match="calibrated for the whole image, the station now has region 64×64"):
        load(calibrated_dir, other)


def test_a_hand_edited_tensor_or_record_is_found(calibrated_dir: Path) -> None:
    folder = slot_folder(calibrated_dir)
    record = yaml.safe_load((folder / RECORD).read_text())
    (folder / RECORD).write_text(yaml.safe_dump(record | {"thresold": 3}))
    with pytest.raises(Exception, match="did you mean `threshold`"):
        load(calibrated_dir)
    (folder / RECORD).write_text(yaml.safe_dump(record | {"format_version": 99}))
    with pytest.raises(NewerFormatError):
        load(calibrated_dir)
    (folder / RECORD).write_text(yaml.safe_dump(record | {"format_version": 1}))
    with pytest.raises(SlotError, match=r"older than this program's .*; calibrate again"):
        load(calibrated_dir)
    (folder / RECORD).write_text(yaml.safe_dump(record))
    np.save(folder / "centers_0.npy", np.zeros((16, 2), np.float32))
    with pytest.raises(HashMismatchError, match=r"centers_0\.npy"):
        load(calibrated_dir)


def rewrite(folder: Path, change: Callable[[dict], None]) -> None:
    """Change a record as an older program would have written it."""
    record = yaml.safe_load((folder / RECORD).read_text())
    change(record)
    record["content_sha256"] = content_sha256(record)
    (folder / RECORD).write_text(yaml.safe_dump(record))


def test_a_baseline_of_odd_quantiles_does_not_load(calibrated_dir: Path) -> None:
    def odd(record: dict) -> None:
        record["baseline"]["score"]["quantiles"].reverse()

    rewrite(slot_folder(calibrated_dir), odd)
    with pytest.raises(SlotError, match="expected 21 ascending numbers"):
        load(calibrated_dir)


def test_the_record_of_a_slot_that_is_not_there(calibrated_dir: Path) -> None:
    store = SlotStore(calibrated_dir.parent, open_bundle(calibrated_dir))
    assert store.record(1).serial == 1
    with pytest.raises(SlotError, match="has no calibration 2"):
        store.record(2)


def test_a_threshold_edited_by_hand_is_found(calibrated_dir: Path) -> None:
    folder = slot_folder(calibrated_dir)
    record = yaml.safe_load((folder / RECORD).read_text())
    (folder / RECORD).write_text(yaml.safe_dump(record | {"threshold": 1e9}))
    with pytest.raises(HashMismatchError, match="edited"):
        load(calibrated_dir)


def test_the_same_files_give_the_same_content_and_another_serial(calibrated_dir: Path, normal_dir: Path, tmp_path: Path) -> None:
    first = load(calibrated_dir)
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, path in enumerate(sorted(normal_dir.iterdir(), reverse=True)):
        path.rename(renamed / f"{number:03d}.png")
    assert calibrate([str(renamed), "--bundle", str(calibrated_dir), "--operator", "someone else"]) == 0
    second = load(calibrated_dir)
    assert second.record.content_sha256 == first.record.content_sha256
    assert (second.record.serial, second.record.operator) == (2, "someone else")


def test_a_full_disk_leaves_the_old_slot_active_and_nothing_beside_it(
    calibrated_dir: Path, write_parts: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = calibrated_dir.parent / "calibration" / "tiny"
    before = sorted(store.iterdir())
    other = write_parts(tmp_path / "other", 30, first_seed=500)
    with no_file_larger_than(2000):
        assert calibrate([str(other), "--bundle", str(calibrated_dir)]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert sorted(store.iterdir()) == before
    assert load(calibrated_dir).record.serial == 1


def test_one_calibration_at_a_time(bundle_dir: Path) -> None:
    bundle = open_bundle(bundle_dir)
    with (
        SlotStore(bundle_dir.parent, bundle).writing(),
        pytest.raises(SlotError, match="another calibration is running"),
        SlotStore(bundle_dir.parent, bundle).writing(),
    ):
        pass


def test_a_state_folder_that_cannot_be_written(bundle_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match="choose another --state"),
        SlotStore(tmp_path / "file", open_bundle(bundle_dir)).writing(),
    ):
        pass


@pytest.mark.parametrize("name", ["feature_mean.npy", "reference0.npy"])
def test_a_file_that_claims_more_than_memory_holds_is_one_clear_line(calibrated_dir: Path, name: str) -> None:
    """Whoever forges a header can forge its hash, too."""
    slot = calibrated_dir.parent / "calibration" / "tiny" / "000001"
    header = {"descr": "<f4", "fortran_order": False, "shape": (2**20, 2**20, 2**5)}
    with open(slot / name, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    record = yaml.safe_load((slot / RECORD).read_text())
    record["files"][name] = file_sha256(slot / name)
    record["content_sha256"] = content_sha256(record)
    (slot / RECORD).write_text(yaml.safe_dump(record, sort_keys=False))
    with pytest.raises(InputError, match=r"cannot read the (calibration tensors|reference image)"):
        SlotStore(calibrated_dir.parent, open_bundle(calibrated_dir)).load(1)


def test_a_cut_record_is_not_to_be_mended_by_hand(calibrated_dir: Path) -> None:
    (slot_folder(calibrated_dir) / RECORD).write_text("")
    with pytest.raises(SlotError, match=r"slot\.yaml is damaged; calibrate again, or go back with edge-slots rollback"):
        load(calibrated_dir)


def test_the_remedy_is_the_whole_command_and_no_new_calibration_where_one_waits(calibrated_dir: Path) -> None:
    (slot_folder(calibrated_dir).parent / "current").unlink(missing_ok=True)
    state = calibrated_dir.parent
    with pytest.raises(
        NotCalibratedError, match=f"none active.; run: edge-slots activate 1 --bundle {calibrated_dir} --state {state}$"
    ):
        load(calibrated_dir)
    shutil.rmtree(state / "calibration")
    with pytest.raises(NotCalibratedError, match=f"run: calibrate normal_dir/ --bundle {calibrated_dir} --state {state}$"):
        load(calibrated_dir)
