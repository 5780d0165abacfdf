"""Which folders are sets, and which picture is the mask of which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import ImageError
from tools.benchmark.labelled_set import find_labelled_sets, open_labelled_set

Write = Callable[..., Path]


@pytest.fixture
def make_set(write_parts: Write) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for name in ("train/good", "test/good", "test/dent", "test/scratch"):
            write_parts(folder / name, 2)
        return folder

    return make


def test_every_folder_with_train_and_test_is_a_set(tmp_path: Path, make_set: Callable[[Path], Path], write_parts: Write) -> None:
    make_set(tmp_path / "b")
    make_set(tmp_path / "a")
    write_parts(tmp_path / "pictures", 2)
    write_parts(tmp_path / "unlabelled" / "train" / "good", 2)
    (tmp_path / "README.md").touch()
    assert [one.name for one in find_labelled_sets(tmp_path)] == ["a", "b"]


def test_a_set_itself_is_one(
    tmp_path: Path, make_set: Callable[[Path], Path], write_parts: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    (only,) = find_labelled_sets(make_set(tmp_path / "plate"))
    assert (only.name, len(only), only.masks) == ("plate", 6, 0)
    assert list(only.defects) == ["dent", "scratch"]
    monkeypatch.chdir(tmp_path / "plate")
    assert find_labelled_sets(Path())[0].name == "plate"


def test_masks_are_found_by_either_name_and_may_be_absent(
    tmp_path: Path, make_set: Callable[[Path], Path], write_parts: Write
) -> None:
    folder = make_set(tmp_path / "plate")
    truth = write_parts(folder / "ground_truth" / "dent", 2)
    (truth / "001.png").rename(truth / "001_mask.png")
    (truth / "notes.txt").touch()
    opened = open_labelled_set(folder)
    assert [one.mask for one in opened.defects["dent"]] == [truth / "000.png", truth / "001_mask.png"]
    assert [one.mask for one in opened.defects["scratch"]] == [None, None]
    assert opened.masks == 2


def test_what_is_not_a_set_is_told(tmp_path: Path, make_set: Callable[[Path], Path]) -> None:
    with pytest.raises(ImageError, match="expected a folder of sets"):
        find_labelled_sets(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="found none; correct --data"):
        find_labelled_sets(tmp_path)
    folder = make_set(tmp_path / "plate")
    for name in ("dent", "scratch"):
        (folder / "test" / name).rename(folder / name)
    with pytest.raises(ImageError, match="at least one folder of defects"):
        find_labelled_sets(tmp_path)
    (folder / "test" / "good").rename(folder / "good")
    with pytest.raises(ImageError, match=r"there is no .*test/good"):
        find_labelled_sets(tmp_path)
