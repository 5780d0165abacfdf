from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.session_folders import survey_sessions
from edge.errors import ImageError


def test_the_first_level_of_folders_is_the_session(tmp_path: Path, write_parts: Callable[..., Path]) -> None:
    write_parts(tmp_path / "monday", 3)
    write_parts(tmp_path / "tuesday" / "morning", 2, first_seed=10)
    write_parts(tmp_path / "tuesday" / "evening", 2, first_seed=20)
    write_parts(tmp_path, 1, first_seed=30)
    write_parts(tmp_path / ".trash", 4, first_seed=40)
    survey = survey_sessions(tmp_path, 0.1)
    assert sorted(survey.sessions[digest] for _, digest in survey.files) == ["", *["monday"] * 3, *["tuesday"] * 4]


def test_a_contact_sheet_of_a_session_is_no_image_of_a_part(tmp_path: Path, write_parts: Callable[..., Path]) -> None:
    write_parts(tmp_path / "monday", 3)
    cv2.imwrite(str(tmp_path / "monday" / "contact.png"), np.zeros((300, 300, 3), np.uint8))
    assert len(survey_sessions(tmp_path, 0.1).files) == 4
    (tmp_path / "monday" / "session.yaml").touch()
    assert len(survey_sessions(tmp_path, 0.1).files) == 3


def test_a_labelled_set_is_refused_since_it_holds_defective_parts(tmp_path: Path, write_parts: Callable[..., Path]) -> None:
    write_parts(tmp_path / "train" / "good", 3)
    write_parts(tmp_path / "test" / "bad", 3, first_seed=9)
    with pytest.raises(ImageError, match="name the folder train/good"):
        survey_sessions(tmp_path, 0.1)


@pytest.mark.parametrize("name", ["missing", "file", "empty"])
def test_nothing_to_read_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    with pytest.raises(ImageError, match=name):
        survey_sessions(tmp_path / name, 0.1)
