"""The images of one set, sorted into good, local and global ones: the set's own, and synthetic ones made from its good test images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError, ImageError
from edge.frame import Image
from edge.image_file import read_image, survey_images
from edge.preprocess import preprocess
from tools.benchmark.synthetic_anomalies import GLOBAL, LOCAL, global_anomaly, local_anomaly

Kind = Literal["good", "local", "global"]

GLOBAL_FOLDERS = frozenset({("transistor", "misplaced"), ("toy_figure", "anomaly")})
"""(set, folder of defects) whose anomalies are global; every other folder counts as local."""
SYNTHETIC = "synthetic "
"""How the source of a synthetic anomaly begins."""
SYNTHETIC_EACH = 60
"""Synthetic anomalies of each kind in a set, the same for every seed of training."""
SYNTHETIC_SEED = 0
MAXIMUM_BAD_SHARE = 0.1
COARSE = 32
"""Side, in cells, at which images are compared for being alike."""
LEAST_DIFFERENCE = 4.0
"""Grey levels by which a cell must differ to count as changed."""


@dataclass(frozen=True)
class LabelledImage:
    """picture: uint8 size×size×3, BGR, as the graph takes it. source: the folder, or ``synthetic <name>``.

    base: which good image of the set it was made from, counted from 0; −1 for a real anomaly; its own number for a good one.
    """

    kind: Kind
    source: str
    base: int
    picture: Image


@dataclass(frozen=True)
class AnomalySet:
    """images: the good ones first. left_out: synthetic global anomaly → how many were too like a good part to count."""

    name: str
    images: list[LabelledImage]
    left_out: dict[str, int]


def find_sets(data: Path, wanted: list[str] | None) -> list[Path]:
    """The folders in ``data`` with train/good and test/good, by name, or the ``wanted`` ones; raises ConfigError or ImageError."""
    if not data.is_dir():
        raise ConfigError(f"{data}: expected a folder of sets, there is none; correct --data")
    found = {p.name: p for p in sorted(data.iterdir()) if (p / "train" / "good").is_dir() and (p / "test" / "good").is_dir()}
    if not found:
        raise ImageError(f"{data}: expected folders that each hold train/good and test/good, found none; correct --data")
    for name in wanted or []:
        if name not in found:
            raise ConfigError(f"{data}: there is no set {name!r}; --sets takes {', '.join(found)}")
    return [found[name] for name in (sorted(set(wanted)) if wanted else found)]


def load_anomaly_set(folder: Path, size: int, limit: int | None, progress: Callable[[], None]) -> AnomalySet:
    """The set in ``folder``, at ``size`` pixels. limit: at most so many good images, and of each kind so many real and so many
    synthetic anomalies. The choice is by content hash. Raises ImageError."""
    test = folder / "test"
    originals = [read_image(path).image for path, _ in _survey(test / "good")[:limit]]
    images = [LabelledImage("good", "good", i, preprocess(image, size, size)) for i, image in enumerate(originals)]
    for kind, paths in _real(test, folder.name).items():
        chosen = sorted(paths, key=lambda one: one[1])[:limit]
        images += [LabelledImage(kind, path.parent.name, -1, preprocess(read_image(path).image, size, size)) for path, _ in chosen]
    left_out: Counter[str] = Counter()
    coarse = np.stack([_coarse(image) for image in originals])
    for number in range(min(SYNTHETIC_EACH, limit or SYNTHETIC_EACH)):
        base = number % len(originals)
        turn = number // len(originals)
        name = list(LOCAL)[(number + turn) % len(LOCAL)]
        donor = originals[(base + 1 + turn) % len(originals)]
        local, _ = local_anomaly(originals[base], name, SYNTHETIC_SEED + turn, donor)
        images.append(LabelledImage("local", SYNTHETIC + name, base, preprocess(local, size, size)))
        name = list(GLOBAL)[(number + turn) % len(GLOBAL)]
        changed = global_anomaly(originals[base], name, SYNTHETIC_SEED + turn)
        if like_a_good_one(_coarse(changed), base, coarse):
            left_out[name] += 1
        else:
            images.append(LabelledImage("global", SYNTHETIC + name, base, preprocess(changed, size, size)))
        progress()
    return AnomalySet(folder.name, images, dict(sorted(left_out.items())))


def like_a_good_one(changed: NDArray[np.float32], base: int, good: NDArray[np.float32]) -> bool:
    """Whether ``changed`` differs from its original no more than the other good images do.

    changed: coarse h×w×3; good: n×h×w×3, ``base`` the original among them. Only the cells that changed count, and there the
    median over the other good images is what is usual.
    """
    difference = np.abs(changed - good[base]).mean(axis=2)
    cells = difference >= LEAST_DIFFERENCE
    if not cells.any():
        return True
    others = np.delete(good, base, axis=0)
    if not len(others):
        return False
    usual = float(np.median(np.abs(others - good[base]).mean(axis=3)[:, cells].mean(axis=1)))
    return bool(float(difference[cells].mean()) <= usual)


def _coarse(image: Image) -> NDArray[np.float32]:
    return preprocess(image, COARSE, COARSE).astype(np.float32)


def _survey(folder: Path) -> list[tuple[Path, str]]:
    return survey_images(folder, MAXIMUM_BAD_SHARE).files


def _real(test: Path, name: str) -> dict[Kind, list[tuple[Path, str]]]:
    kinds: dict[Kind, list[tuple[Path, str]]] = {"local": [], "global": []}
    for folder in sorted(p for p in test.iterdir() if p.is_dir() and p.name != "good"):
        kinds["global" if (name, folder.name) in GLOBAL_FOLDERS else "local"] += _survey(folder)
    return kinds
