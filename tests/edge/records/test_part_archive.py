"""What matters is kept within the budget, whole, the least important goes first, and a full disk stops the archive only."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import OutputError, RecordsError
from edge.preprocess import Region
from edge.records import part_archive
from edge.records.part_archive import PartArchive
from edge.records.records_config import ArchiveConfig
from edge.storage.archive_room import Archived, ArchiveRoom, Kind, rounded
from edge.verdict import Outcome, Scores, Verdict
from tests.tiny_bundle import part_image

DAY_NS = 86_400_000_000_000
MAP = np.linspace(0, 2, 64, dtype=np.float32).reshape(8, 8)


def verdict(part_id: int, outcome: Outcome = Outcome.REJECT, score: float = 3.0, day: int = 0) -> Verdict:
    scores = Scores(1.0, 1.0, score, 0.1, 0.5, 0.0, 1.0)
    return Verdict(part_id, outcome, "", "camera", 1, 2, 3, 1_700_000_000_000_000_000 + day * DAY_NS, scores, 2.0, 1)


class Shelf:
    """An archive of the smallest pictures, and what it told."""

    def __init__(self, folder: Path, **config: object) -> None:
        self.named: list[tuple[int, str]] = []
        self.told: list[str] = []
        keys = {"free_floor_mb": 0, "good_share": 1.0, **config}
        self.archive = PartArchive(folder, ArchiveConfig(**keys), lambda *one: self.named.append(one), self.told.append)

    def keep(self, *verdicts: Verdict, image: np.ndarray | None = None) -> None:
        for one in verdicts:
            self.archive.add(one, part_image(one.part_id) if image is None else image, MAP, None)
        assert self.archive.flush(10)

    def names(self) -> list[str]:
        paths = sorted(self.archive.folder.rglob("*.*"))
        return [str(path.relative_to(self.archive.folder)) for path in paths if path.is_file() and path.name != ".lock"]


def test_pictures_lie_by_day_and_kind_lossless_with_their_heat_and_the_record_is_told(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.keep(verdict(1), verdict(2, Outcome.PASS, 1.9), verdict(3, Outcome.PASS, 0.5, day=1), verdict(4, Outcome.FAULT))
    shelf.archive.close()
    assert shelf.names() == [
        "2023-11-14/borderline/000000002_221320.heat.jpg", "2023-11-14/borderline/000000002_221320.png",
        "2023-11-14/ng/000000001_221320.heat.jpg", "2023-11-14/ng/000000001_221320.png",
        "2023-11-14/ng/000000004_221320.heat.jpg", "2023-11-14/ng/000000004_221320.png",
        "2023-11-15/good/000000003_221320.heat.jpg", "2023-11-15/good/000000003_221320.png",
    ]  # fmt: skip
    assert shelf.named[0] == (1, "2023-11-14/ng/000000001_221320.png")
    assert np.array_equal(cv2.imread(str(tmp_path / shelf.named[0][1])), part_image(1))
    assert shelf.told == []


def test_the_heat_lies_over_the_region_and_a_picture_without_one_has_no_map(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, format="jpeg")
    shelf.archive.add(verdict(1), part_image(1), MAP, Region(0, 0, 96, 48))
    shelf.archive.add(verdict(2, Outcome.FAULT), part_image(2), None, Region(90, 90, 96, 96))
    shelf.archive.close()
    assert cv2.imread(str(tmp_path / "2023-11-14/ng/000000001_221320.heat.jpg")).shape == (160, 640, 3)
    assert cv2.imread(str(tmp_path / "2023-11-14/ng/000000001_221320.jpg")).shape == (96, 96, 3)
    assert [name for _, name in shelf.named] == ["2023-11-14/ng/000000001_221320.jpg", "2023-11-14/ng/000000002_221320.jpg"]
    assert len(shelf.names()) == 3


def test_the_sample_of_good_ones_is_the_same_each_time_and_of_the_share_asked_for(tmp_path: Path) -> None:
    def sample(folder: Path, share: float) -> set[int]:
        archive = Shelf(folder, good_share=share).archive
        return {part for part in range(20_000) if archive.kind(verdict(part, Outcome.PASS, 0.1)) is not None}

    tenth = sample(tmp_path / "a", 0.1)
    assert tenth == sample(tmp_path / "b", 0.1)
    assert len(tenth) == pytest.approx(2000, abs=200)
    assert sample(tmp_path / "c", 0.0) == set()
    assert len(sample(tmp_path / "d", 1.0)) == 20_000
    assert Shelf(tmp_path / "e", budget_mb=0).archive.kind(verdict(1)) is None


def test_good_ones_make_way_first_then_borderline_and_an_important_one_never_for_a_lesser(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)  # 270 kB as PNG: three to a megabyte
    shelf = Shelf(tmp_path, budget_mb=1, heat_maps=False)

    def kinds() -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for name in shelf.names():
            found.setdefault(name.split("/")[1], []).append(int(name.split("/")[2][:9]))
        return found

    def good(part: int) -> Verdict:
        return verdict(part, Outcome.PASS, 0.1)

    def close(part: int) -> Verdict:
        return verdict(part, Outcome.PASS, 1.95)

    shelf.keep(good(1), close(2), good(3), image=noise)
    shelf.keep(close(4), image=noise)
    assert kinds() == {"good": [3], "borderline": [2, 4]}
    shelf.keep(verdict(5), verdict(6), image=noise)
    assert kinds() == {"borderline": [4], "ng": [5, 6]}
    shelf.keep(good(7), image=noise)
    assert kinds() == {"borderline": [4], "ng": [5, 6]}
    assert shelf.archive.skipped == 1
    shelf.keep(verdict(8), verdict(9), image=noise)
    assert kinds() == {"ng": [6, 8, 9]}
    assert [part for part, name in shelf.named if not name] == [1, 3, 2, 4, 5]
    shelf.archive.close()
    again = Shelf(tmp_path, budget_mb=1, heat_maps=False)
    again.keep(verdict(10), image=noise)
    shelf = again
    assert kinds() == {"ng": [8, 9, 10]}


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(list(Kind)), st.integers(1, 9)), max_size=30),
    st.integers(5, 25),
)
def test_the_budget_is_kept_and_what_goes_is_always_the_oldest_of_the_least(
    tmp_path_factory: pytest.TempPathFactory, pictures: list[tuple[Kind, int]], budget: int
) -> None:
    room = ArchiveRoom(tmp_path_factory.mktemp("room"), budget)
    there: list[Archived] = []
    for part_id, (kind, size) in enumerate(pictures):
        picture = Archived("2026-01-01", f"{part_id:09d}_000000.png", part_id, kind, size)
        fits, removed = room.make_room(size, kind)
        assert removed == sorted(there, key=lambda one: (one.kind, one.part_id))[: len(removed)]
        assert all(one.kind <= kind for one in removed)
        there = [one for one in there if one not in removed]
        if fits:
            room.add(picture)
            there.append(picture)
            # One fewer would not have been enough.
            assert not removed or sum(one.size for one in there) + removed[-1].size > budget
        else:
            assert not removed
            assert sum(one.size for one in there if one.kind > kind) + size > budget
        assert room.used == sum(one.size for one in there) <= budget


def test_a_full_disk_stops_the_archive_and_it_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path, free_floor_mb=5)
    shelf.keep(verdict(1))
    monkeypatch.setattr(part_archive, "free_bytes", lambda folder: 4_000_000)
    shelf.keep(verdict(2), verdict(3))
    assert len(shelf.told) == 1
    assert "the disk has 4 MB free, 5 must stay; inspection goes on" in shelf.told[0]
    monkeypatch.undo()
    with monkeypatch.context() as fault:
        fault.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        shelf.keep(verdict(4))
    assert isinstance(shelf.archive.failure, OutputError)
    shelf.keep(verdict(5))
    assert shelf.archive.failure is None
    assert [part for part, _ in shelf.named] == [1, 5]
    assert len(shelf.names()) == 4  # nothing half-written
    assert shelf.archive.dropped == 3
    assert "written again; 3 lost" in shelf.told[1]


def test_large_pictures_do_not_pile_up_and_good_ones_leave_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    real = part_archive.free_bytes

    def slow(folder: Path) -> int:
        go_on.wait(10)
        return real(folder)

    monkeypatch.setattr(part_archive, "free_bytes", slow)
    shelf = Shelf(tmp_path, queue_mb=4)
    megabyte = np.zeros((500, 600, 3), np.uint8)  # 0.9 MB
    for part in range(6):
        shelf.archive.add(verdict(part, Outcome.PASS, 0.1), megabyte, None, None)
    assert shelf.archive.dropped == 4
    for part in range(6, 12):
        shelf.archive.add(verdict(part), megabyte, None, None)
    assert shelf.archive.dropped == 8
    go_on.set()
    assert shelf.archive.flush(10)
    assert [part for part, _ in shelf.named] == [0, 1, 6, 7]
    shelf.archive.close()


def test_what_a_killed_writer_left_is_cleared_away_and_other_files_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "2026-01-01" / "ng"
    folder.mkdir(parents=True)
    (folder / ".000000001_000000.png.abc").write_bytes(bytes(9000))
    (folder / "000000001_000000.heat.jpg").write_bytes(bytes(9000))
    (folder / "notes.txt").write_text("by a person")
    (folder / "000000002_000000.png").write_bytes(bytes(5000))
    room = ArchiveRoom(tmp_path, 10**6)
    room.survey()
    room.survey()
    assert room.used == rounded(5000) == 8192
    assert sorted(path.name for path in folder.iterdir()) == ["000000002_000000.png", "notes.txt"]


def test_a_picture_of_the_same_name_takes_the_place_of_the_other(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.keep(verdict(1), verdict(2), verdict(1))
    used = shelf.archive._room.used
    shelf.archive.close()
    room = ArchiveRoom(tmp_path, 10**6)
    room.survey()
    assert room.used == used


def test_one_process_at_a_time(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with pytest.raises(RecordsError, match="another edge-inspect"):
        Shelf(tmp_path)
    shelf.archive.close()
    shelf.archive.close()
    Shelf(tmp_path).archive.close()
