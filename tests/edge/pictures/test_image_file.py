from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ImageError
from edge.pictures.image_file import list_images, read_image, survey_images
from tests.tiny_bundle import part_image


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("grey", [False, True])
def test_every_kind_is_read_as_bgr(tmp_path: Path, suffix: str, grey: bool) -> None:
    image = part_image(1)
    path = tmp_path / f"x{suffix}"
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if grey else image)
    read = read_image(path).image
    assert read.shape == image.shape
    assert read.dtype == np.uint8


def test_a_sixteen_bit_image_is_brought_to_eight(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), np.full((20, 20), 32768, np.uint16))
    assert read_image(tmp_path / "x.png").image[0, 0, 0] in (127, 128)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_half_a_file_is_not_an_image(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"x{suffix}"
    cv2.imwrite(str(path), part_image(1))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ImageError, match=str(path)):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"not an image at all", b"\x89PNG\r\n\x1a\n" + b"\x00" * 100])
def test_other_bytes_are_not_an_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ImageError):
        read_image(tmp_path / "x.png")


def test_a_folder_without_images_says_where_they_may_be(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is none"):
        list_images(tmp_path / "missing")
    with pytest.raises(ImageError, match="put images there"):
        list_images(tmp_path)
    (tmp_path / "good").mkdir()
    with pytest.raises(ImageError, match=r"it has folders \(good\)"):
        list_images(tmp_path)


def test_a_survey_names_broken_files_counts_copies_and_ignores_names(tmp_path: Path) -> None:
    for name, seed in (("c.png", 1), ("a.png", 2), ("b.png", 1)):
        cv2.imwrite(str(tmp_path / name), part_image(seed))
    (tmp_path / "broken.png").write_bytes(b"broken")
    survey = survey_images(tmp_path, max_bad_share=0.5)
    assert [digest for _, digest in survey.files] == sorted({digest for _, digest in survey.files})
    assert (len(survey.files), survey.duplicates, len(survey.skipped)) == (2, 1, 1)
    assert "broken.png" in survey.skipped[0]
    with pytest.raises(ImageError, match="1 of 4 images cannot be read, more than the 10% allowed"):
        survey_images(tmp_path, max_bad_share=0.1)


def test_an_image_larger_than_opencv_allows_is_an_image_error(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), part_image(1))
    content = bytearray((tmp_path / "x.png").read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height of the header
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.png"):
        read_image(tmp_path / "x.png")
