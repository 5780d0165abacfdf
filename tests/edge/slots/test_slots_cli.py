"""edge-slots as a technician uses it."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial import cKDTree

from edge.bundle import file_sha256, open_bundle
from edge.slots.calibration_slot import SlotStore
from edge.slots.slot_activations import FILE
from edge.slots.slot_difference import center_distance
from edge.slots.slot_record import RECORD, content_sha256
from edge.slots.slots_cli import main
from tests.tiny_bundle import write_tiny_bundle

Output = tuple[int, str, str]


@pytest.fixture
def slots(two_slots_dir: Path, capsys: pytest.CaptureFixture[str]) -> Slots:
    return Slots(two_slots_dir, capsys)


class Slots:
    """Runs edge-slots on one bundle."""

    def __init__(self, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.bundle, self.capsys = bundle, capsys
        self.store = SlotStore(bundle.parent, open_bundle(bundle))

    def __call__(self, *arguments: str | Path) -> Output:
        self.capsys.readouterr()
        code = main([*map(str, arguments), "--bundle", str(self.bundle)])
        out, err = self.capsys.readouterr()
        return code, out, err

    def fails(self, *arguments: str | Path) -> str:
        code, _, err = self(*arguments)
        assert code == 2
        (line,) = err.splitlines()
        return line

    def add_copies(self, count: int) -> None:
        """More slots of slot 1's content."""
        folder = self.store.slot_path(1)
        record = yaml.safe_load((folder / RECORD).read_text())
        with self.store.writing():
            for _ in range(count):
                self.store.adopt(record, {name: (folder / name).read_bytes() for name in record["files"]})


def test_list_says_which_is_active_and_what_it_judges_by(slots: Slots) -> None:
    code, out, _ = slots("list")
    assert code == 0
    _, first, second = out.splitlines()
    assert "active" in second
    assert "active" not in first
    for word in ("Ann", "fp32", "onnxruntime", f"{slots.store.record(2).threshold:.6g}", "95%"):
        assert word in second
    content = json.loads(slots("list", "--json")[1])
    assert [(one["serial"], one["active"]) for one in content] == [(1, False), (2, True)]


def test_list_without_any_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slots = Slots(write_tiny_bundle(tmp_path / "bundle"), capsys)
    assert "run: calibrate" in slots("list")[2]
    assert json.loads(slots("list", "--json")[1]) == []
    assert "no calibration is active" in slots.fails("show")
    assert "no calibration to go back to" in slots.fails("rollback")


def test_a_damaged_slot_is_listed_as_such_and_the_others_too(slots: Slots) -> None:
    (slots.store.slot_path(1) / RECORD).write_text("serial: [")
    code, out, err = slots("list")
    assert code == 0
    assert "damaged" in out
    assert "active" in out
    assert "not valid YAML" in err
    assert json.loads(slots("list", "--json")[1])[0]["damaged"]
    (slots.store.slot_path(2) / "ignore_mask.npy").unlink()
    assert "go back with edge-slots rollback" in json.loads(slots("list", "--json")[1])[1]["damaged"]


def test_show_tells_everything_of_one(slots: Slots) -> None:
    record = slots.store.record(2)
    _, out, _ = slots("show")
    for word in (
        "2, active", "by Ann", f"{record.threshold:.6g}", record.promise.describe(), "λ1, λ2",
        f"{len(record.images['center'])} for C", f"{len(record.images['threshold'])} for the threshold",
        "the whole image, images of 96×96", "histogram.png", "normal brightness", "1 was before", "calibrated from",
    ):  # fmt: skip
        assert word in out
    content = json.loads(slots("show", "1", "--json")[1])
    tensors = slots.store.load(1).tensors
    assert content["active"] is False
    assert content["feature_weight"] == float(tensors["feature_weight"][0])
    assert content["images"] == {job: len(files) for job, files in slots.store.record(1).images.items()}
    assert content["report"] == [str(slots.store.slot_path(1) / name) for name in ("histogram.png", "report.html")]


def test_an_operator_cannot_write_on_the_terminal(slots: Slots) -> None:
    slots("activate", "1", "--operator", "\x1b[31mEve [bold]", "--reason", "a\nb")
    out = slots("log")[1]
    assert "\x1b" not in out
    assert "Eve [bold]" in out
    assert len(out.splitlines()) == 4


def test_activate_rollback_and_the_log_tell_who_when_and_why(slots: Slots) -> None:
    code, _, err = slots("activate", "000001", "--operator", "Ben", "--reason", "the lamp was changed back")
    assert code == 0
    assert "calibration 1 is active, 2 was before: threshold" in err
    assert slots.store.active_serial() == 1
    assert "is active already" in slots("activate", "1")[2]
    assert slots("rollback", "--operator", "Cleo")[0] == 0
    assert slots.store.active_serial() == 2
    assert slots("rollback")[0] == 0
    assert slots.store.active_serial() == 1
    assert "no calibration to go back to from 1" in slots.fails("rollback")
    rows = [line.split() for line in slots("log")[1].splitlines()[1:]]
    assert [(row[1], row[2], row[3], row[4]) for row in rows] == [
        ("Ann", "activate", "–", "1"),
        ("Ann", "activate", "1", "2"),
        ("Ben", "activate", "2", "1"),
        ("Cleo", "rollback", "1", "2"),
        (rows[-1][1], "rollback", "2", "1"),
    ]
    assert "the lamp was changed back" in slots("log")[1]


def test_a_torn_line_and_an_activation_that_did_not_happen_are_told(slots: Slots) -> None:
    with open(slots.store.folder / FILE, "ab") as file:
        file.write(slots.store.history().activations[-1].model_copy(update={"to_serial": 1}).model_dump_json().encode())
        file.write(b'\n{"time": "2026-')
    _, out, err = slots("log")
    assert "activate, not done" in out
    assert "1 line could not be read" in err
    assert slots("rollback")[0] == 0
    assert slots.store.active_serial() == 1


@pytest.mark.parametrize("file", ["centers_0.npy", "reference0.npy", RECORD])
def test_a_slot_is_checked_before_it_becomes_active(slots: Slots, file: str) -> None:
    path = slots.store.slot_path(1) / file
    path.write_bytes(path.read_bytes().replace(b"0", b"1") + b" ")
    assert slots("activate", "1")[0] == 2
    assert slots("rollback")[0] == 2
    assert slots.store.active_serial() == 2


def test_a_slot_of_another_model_is_not_activated(slots: Slots) -> None:
    manifest = yaml.safe_load((slots.bundle / "manifest.yaml").read_text())
    model = slots.bundle / "model.fp32.onnx"
    model.write_bytes(model.read_bytes() + b"\x00")
    manifest["files"]["model.fp32.onnx"] = file_sha256(model)
    (slots.bundle / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    assert "made for another fp32 model" in slots.fails("activate", "1")


def test_a_slot_for_another_runtime_is_activated_and_that_is_said(slots: Slots) -> None:
    record = yaml.safe_load((slots.store.slot_path(1) / RECORD).read_text()) | {"runtime": "tensorrt-10.3"}
    record["content_sha256"] = content_sha256(record)
    folder = slots.store.slot_path(1)
    with slots.store.writing():
        slots.store.adopt(record, {name: (folder / name).read_bytes() for name in record["files"]})
    code, _, err = slots("activate", "3")
    assert code == 0
    assert "runtime is tensorrt-10.3" in err
    assert "refuses 3" in err
    assert "takes it between two parts" not in err


def test_diff_names_what_differs_and_counts_shared_images(slots: Slots) -> None:
    out = slots("diff", "1", "2")[1]
    for word in ("threshold", "λ1", "λ2", "centres, group 1", "mean brightness", "images in all", "0 in both"):
        assert word in out
    assert "runtime" not in out
    slots.add_copies(1)
    _, out, err = slots("diff", "1", "3")
    assert "the same content" in err
    assert "60 in both" in out
    assert "threshold above" not in out
    assert "centres" not in out


def test_the_distance_of_centres_is_that_of_a_search_tree() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(50, 1, (300, 5)).astype(np.float32), random.normal(50, 2, (200, 5)).astype(np.float32)
    expected = cKDTree(first.astype(np.float64)).query(second.astype(np.float64))[0].mean()
    assert center_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_prune_keeps_the_newest_the_active_one_and_the_one_before(slots: Slots) -> None:
    slots.add_copies(6)  # 3 … 8
    slots("activate", "4")
    slots("activate", "1")
    assert slots("prune", "--keep", "2", "--dry-run")[2].startswith("would remove: 2, 3, 5, 6")
    assert slots.store.serials() == list(range(1, 9))
    assert slots("prune", "--keep", "2")[2].startswith("removed: 2, 3, 5, 6; 4 are there")
    assert slots.store.serials() == [1, 4, 7, 8]
    assert slots("rollback")[0] == 0
    assert slots.store.active_serial() == 4
    assert sorted(os.listdir(slots.store.folder)) == [".lock", "000001", "000004", "000007", "000008", FILE, "current"]
    slots.store.pointer.path.unlink()
    assert "activate one first" in slots.fails("prune", "--keep", "1")


def test_a_serial_is_never_used_twice(slots: Slots) -> None:
    slots.add_copies(1)
    slots("activate", "3")
    slots("activate", "1")
    with slots.store.writing():
        slots.store.remove(3)
    slots.add_copies(1)
    assert slots.store.serials() == [1, 2, 4]


def test_an_export_is_the_same_bytes_each_time_and_comes_back_as_the_same_slot(slots: Slots, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        assert slots("export", "1", tmp_path / name)[0] == 0
        os.utime(slots.store.slot_path(1) / RECORD)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert "exists already" in slots.fails("export", "1", tmp_path / "a.zip")
    assert set(zipfile.ZipFile(tmp_path / "a.zip").namelist()) == {path.name for path in slots.store.slot_path(1).iterdir()}
    code, _, err = slots("import", tmp_path / "a.zip")
    assert code == 0
    assert "content of calibration 1" in err
    taken, original = slots.store.load(3), slots.store.load(1)
    assert taken.record == original.record.model_copy(update={"serial": 3})
    for name, array in original.tensors.items():
        np.testing.assert_array_equal(taken.tensors[name], array)
    assert slots.store.active_serial() == 2


def rewritten(source: Path, target: Path, change: dict[str, bytes | None], packing: int = zipfile.ZIP_STORED) -> Path:
    """``source`` with files replaced, added, or (None) left out."""
    with zipfile.ZipFile(source) as archive:
        files: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(target, "w", packing) as archive:
        for name, data in (files | change).items():
            if data is not None:
                archive.writestr(name, data)
    return target


def test_an_archive_that_is_not_as_exported_is_refused_and_leaves_nothing(slots: Slots, tmp_path: Path) -> None:
    source = tmp_path / "a.zip"
    slots("export", "1", source)
    record = zipfile.ZipFile(source).read(RECORD)
    edited = record.replace(b"threshold: ", b"threshold: 9", 1)
    broken = {
        "is missing, or not the file": {"centers_0.npy": b"other"},
        "centers_0.npy is missing": {"centers_0.npy": None},
        "was edited": {RECORD: edited},
        "no readable slot.yaml": {RECORD: None},
        "aliases": {RECORD: b"a: &a [1]\nb: *a\n"},
        "the name '../evil'": {"../evil": b"x"},
        "the name '/evil'": {"/evil": b"x"},
        "the name '.hidden'": {".hidden": b"x"},
        "the name 'folder/'": {"folder/": b""},
    }
    for number, (message, change) in enumerate(broken.items()):
        assert message in slots.fails("import", rewritten(source, tmp_path / f"{number}.zip", change))
    assert "packed anew" in slots.fails("import", rewritten(source, tmp_path / "packed.zip", {}, zipfile.ZIP_DEFLATED))
    content = source.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.zip").write_bytes(content[:size])
        assert "cannot read it" in slots.fails("import", tmp_path / "cut.zip")
    assert "cannot read it" in slots.fails("import", tmp_path / "missing.zip")
    os.mkfifo(tmp_path / "pipe")
    assert "is no file" in slots.fails("import", tmp_path / "pipe")
    assert slots.store.serials() == [1, 2]
    assert not (tmp_path / "evil").exists()


def test_a_slot_that_no_engine_could_fail_is_not_taken_in(slots: Slots, tmp_path: Path) -> None:
    slots("export", "1", tmp_path / "a.zip")
    record = yaml.safe_load(zipfile.ZipFile(tmp_path / "a.zip").read(RECORD)) | {"reference_images": []}
    record["content_sha256"] = content_sha256(record)
    untested = rewritten(tmp_path / "a.zip", tmp_path / "untested.zip", {RECORD: yaml.safe_dump(record).encode()})
    assert "`reference_images`: list should have at least 1 item" in slots.fails("import", untested)


def test_another_models_slot_is_not_taken_in(slots: Slots, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slots("export", "1", tmp_path / "a.zip")
    record = yaml.safe_load(zipfile.ZipFile(tmp_path / "a.zip").read(RECORD)) | {"model_sha256": "0" * 64}
    record["content_sha256"] = content_sha256(record)
    other = rewritten(tmp_path / "a.zip", tmp_path / "other.zip", {RECORD: yaml.safe_dump(record).encode()})
    assert "made for another fp32 model" in slots.fails("import", other)


def test_a_slot_folder_under_another_number_is_refused(slots: Slots) -> None:
    slots.store.slot_path(1).rename(slots.store.slot_path(7))
    assert "holds calibration 1" in slots.fails("activate", "7")
