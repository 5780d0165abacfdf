"""The images of one set, sorted into good, local and global: its own, and synthetic ones made from its good test images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.frame import Image
from edge.pictures.image_file import read_image, survey_images
from edge.preprocess import preprocess
from tools.benchmark.labelled_set import find_labelled_sets
from tools.synthetic_anomalies import GLOBAL, LOCAL, global_anomaly, local_anomaly

Kind = Literal["good", "local", "global"]

GLOBAL_FOLDERS = frozenset({("transistor", "misplaced"), ("toy_figure", "anomaly")})
"""(set, folder of defects) whose anomalies are global; every other folder counts as local."""
SYNTHETIC = "synthetic "
"""How the source of a synthetic anomaly begins."""
SYNTHETIC_EACH = 60
"""Synthetic anomalies of each kind in a set, the same for every seed of training."""
SYNTHETIC_SEED = 0
MAXIMUM_BAD_SHARE = 0.1
COARSE = 16
"""Side, in cells, at which images are compared for being alike."""
LARGEST_SHARE = 0.05
USUAL = 0.75
"""Of all pairs of good images this share differs less than what counts as more than usual."""


@dataclass(frozen=True)
class Specimen:
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
    images: list[Specimen]
    left_out: dict[str, int]


def find_sets(data: Path, wanted: list[str] | None) -> list[Path]:
    """The folders of the labelled sets in ``data``, by name, or the ``wanted`` ones; raises ConfigError or ImageError."""
    found = {one.name: one.folder for one in find_labelled_sets(data)}
    for name in wanted or []:
        if name not in found:
            raise ConfigError(f"{data}: there is no set {name!r}; --sets takes {', '.join(found)}")
    return [found[name] for name in (sorted(set(wanted)) if wanted else found)]


def load_anomaly_set(folder: Path, size: int, limit: int | None, progress: Callable[[], None]) -> AnomalySet:
    """The set in ``folder``, at ``size`` pixels. limit: at most so many good images, and of each kind so many real and so many
    synthetic anomalies. The choice is by content hash. Raises ImageError."""
    test = folder / "test"
    originals = [read_image(path).image for path, _ in _survey(test / "good")[:limit]]
    images = [Specimen("good", "good", i, preprocess(image, size, size)) for i, image in enumerate(originals)]
    for kind, paths in _real(test, folder.name).items():
        chosen = sorted(paths, key=lambda one: one[1])[:limit]
        images += [Specimen(kind, path.parent.name, -1, preprocess(read_image(path).image, size, size)) for path, _ in chosen]
    left_out: Counter[str] = Counter()
    usual = usual_difference(originals)
    for number in range(min(SYNTHETIC_EACH, limit or SYNTHETIC_EACH)):
        base = number % len(originals)
        turn = number // len(originals)
        name = list(LOCAL)[(number + turn) % len(LOCAL)]
        donor = originals[(base + 1 + turn) % len(originals)]
        local, _ = local_anomaly(originals[base], name, SYNTHETIC_SEED + turn, donor)
        images.append(Specimen("local", SYNTHETIC + name, base, preprocess(local, size, size)))
        name = list(GLOBAL)[(number + turn) % len(GLOBAL)]
        changed = global_anomaly(originals[base], name, SYNTHETIC_SEED + turn)
        if difference(changed, originals[base]) <= usual:  # it may be a good part as well
            left_out[name] += 1
        else:
            images.append(Specimen("global", SYNTHETIC + name, base, preprocess(changed, size, size)))
        progress()
    return AnomalySet(folder.name, images, dict(sorted(left_out.items())))


def difference(first: Image, second: Image) -> float:
    """How far two images are apart where they are most: the mean of the largest 5 % of 16×16 cells, grey levels."""
    return float(_apart(_coarse(first) - _coarse(second)))


def usual_difference(good: list[Image]) -> float:
    """What three quarters of all pairs of ``good`` stay below; 0 for a single image."""
    coarse = np.stack([_coarse(image) for image in good])
    pairs = [_apart(coarse[index + 1 :] - one) for index, one in enumerate(coarse[:-1])]
    return float(np.quantile(np.concatenate(pairs), USUAL)) if pairs else 0.0


def _coarse(image: Image) -> NDArray[np.float32]:
    return preprocess(image, COARSE, COARSE).astype(np.float32)


def _apart(change: NDArray[np.float32]) -> NDArray[np.float32]:
    """…×16×16×3 to …"""
    cells = np.sort(np.abs(change).mean(axis=-1).reshape(*change.shape[:-3], -1), axis=-1)
    return np.asarray(cells[..., -round(LARGEST_SHARE * cells.shape[-1]) :].mean(axis=-1))


def _survey(folder: Path) -> list[tuple[Path, str]]:
    return survey_images(folder, MAXIMUM_BAD_SHARE).files


def _real(test: Path, name: str) -> dict[Kind, list[tuple[Path, str]]]:
    kinds: dict[Kind, list[tuple[Path, str]]] = {"local": [], "global": []}
    for folder in sorted(p for p in test.iterdir() if p.is_dir() and p.name != "good"):
        kinds["global" if (name, folder.name) in GLOBAL_FOLDERS else "local"] += _survey(folder)
    return kinds
