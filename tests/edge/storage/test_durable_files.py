from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.errors import OutputError
from edge.storage.durable_files import new_folder, write_file


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to write more, as it does on a full disk (EFBIG in place of ENOSPC)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    with no_file_larger_than(100), pytest.raises(OutputError, match="cannot write"):
        write_file(path, b"new" * 100)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link, tmp_path):
        with pytest.raises(OutputError, match="expected a file"):
            write_file(path, b"new")
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with no_file_larger_than(100), pytest.raises(OutputError), new_folder(target) as folder:
        (folder / "small").write_bytes(b"x")
        (folder / "large").write_bytes(b"x" * 1000)
    assert list(tmp_path.iterdir()) == []
    with new_folder(target) as folder:
        (folder / "small").write_bytes(b"x")
    assert [p.name for p in target.iterdir()] == ["small"]


def test_an_existing_folder_is_not_overwritten_unless_told(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as folder:
        (folder / "first").touch()
    with pytest.raises(OutputError, match="exists already"), new_folder(tmp_path / "out"):
        pass
    with new_folder(tmp_path / "out", replace=True) as folder:
        (folder / "second").touch()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["second"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "out") as folder:
        (folder / "file").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs a POSIX system")
def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another place"), new_folder(tmp_path / "file" / "out"):
        pass
