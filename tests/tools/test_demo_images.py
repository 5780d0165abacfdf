from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tools.demo_images import GLOBAL, LOCAL, demo_image, make_demo_images


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_demo_images(tmp_path / name, seed=4, train=2, test=1, each=1)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.png"))
    assert len(files) == 2 + 1 + 2 * 9
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    assert (tmp_path / "a" / "ground_truth" / "scratch" / "000.png").is_file()
    assert len({(tmp_path / "a" / f).read_bytes() for f in files if f.parts[0] != "ground_truth"}) == 2 + 1 + 9


@pytest.mark.parametrize("anomaly", [*LOCAL, *GLOBAL])
@pytest.mark.parametrize("seed", range(4))
def test_an_anomaly_has_a_mask_of_its_size(anomaly: str, seed: int) -> None:
    image, mask = demo_image(np.random.default_rng(seed), anomaly)
    assert image.shape == (320, 320, 3)
    assert set(np.unique(mask)) == {0, 255}
    share = float((mask > 0).mean())
    assert 0.0002 < share < (0.03 if anomaly in LOCAL else 0.75)


@pytest.mark.parametrize("anomaly", LOCAL)
@pytest.mark.parametrize("seed", range(4))
def test_a_local_anomaly_is_where_its_mask_says_and_nowhere_else(anomaly: str, seed: int) -> None:
    """Against the same part without it."""
    image, mask = demo_image(np.random.default_rng(seed), anomaly)
    good, _ = demo_image(np.random.default_rng(seed))
    difference = np.abs(image.astype(float) - good).max(axis=2)
    near = cv2.dilate(mask, np.ones((15, 15), np.uint8)) > 0
    assert difference[mask > 0].mean() > 10
    assert difference[~near].mean() < 1


def test_a_good_part_has_no_mask_and_varies() -> None:
    first, mask = demo_image(np.random.default_rng(0))
    second, _ = demo_image(np.random.default_rng(1))
    assert not mask.any()
    assert 1 < np.abs(first.astype(int) - second).mean() < 40


def test_masks_are_single_channel_files(tmp_path: Path) -> None:
    make_demo_images(tmp_path / "x", train=1, test=1, each=1)
    mask = cv2.imread(str(tmp_path / "x" / "ground_truth" / "stain" / "000.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (320, 320)
