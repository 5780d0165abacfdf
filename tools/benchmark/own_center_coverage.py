"""Is the promise kept where C, λ and the threshold come from the same few images? The real ``derive`` over simulated parts.

A part is a picture of 16×16 pixels; Z is read from its pixels in numpy, in a fine group to the nearest of 24 centres and a coarse
one by the Mahalanobis length, so that a whole calibration takes a tenth of a second and the truth is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.derive import derive
from calibration.normal_images import ImageList, assign_jobs
from edge.engines.base import Engine, Outputs
from edge.frame import Image
from edge.graph_contract import FeatureGroup, GraphShape
from edge.line.station_view import station_view
from edge.pictures.image_file import Survey
from edge.slots.calibration_tensors import CalibrationTensors
from edge.station_config import StationConfig
from tools.benchmark.promise_coverage import Coverage

SIDE, GRID, STRIDE = 16, 8, 4
SHAPE = GraphShape(
    height=SIDE, width=SIDE, centers=24, feature_height=GRID, feature_width=GRID, map_height=GRID, map_width=GRID,
    groups=[FeatureGroup(channels=2, norm="nearest"), FeatureGroup(channels=2, norm="mahalanobis", stride=STRIDE)],
)  # fmt: skip
RELIABILITY = [1.0, 0.9, 0.6]
COUNTS = (60, 110)
SESSIONS = 6
NEW_PARTS, BATCH = 3000, 500
Values = NDArray[np.float64]


@dataclass(frozen=True)
class PartWorld:
    """Parts vary by two patterns of their own and noise; ``rare`` of them are of another kind. session: how days differ."""

    name: str
    rare: float = 0.0
    session: float = 0.0

    def draw(self, random: np.random.Generator, count: int, day: Values | None = None) -> NDArray[np.uint8]:
        """uint8 [count, 16, 16, 3], of the ``day`` [3] where one is given, else each of a day of its own."""
        across, down = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE))
        patterns = np.stack([across, np.cos(3 * down)])
        size = random.normal(0, 6, (count, 2))
        size[random.random(count) < self.rare, 0] += 40
        days = self.session * random.normal(size=(count, 3)) if day is None else self.session * np.tile(day, (count, 1))
        level = 120 + np.einsum("nk,khw->nhw", size, patterns)
        values = level[..., None] + days[:, None, None, :] + random.normal(0, 5, (count, SIDE, SIDE, 3))
        return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


WORLDS = (PartWorld("one kind"), PartWorld("a rare kind, 10 %", rare=0.1))
DAYS = PartWorld("days that differ", session=3.0)


class PixelEngine(Engine):
    """The graph's contract in numpy: blue and green by cell are the fine group, means of red and of all by block the coarse one."""

    def __init__(self) -> None:
        super().__init__(SHAPE)
        self._tensors = CalibrationTensors.neutral(SHAPE)

    @property
    def runtime(self) -> str:
        return "numpy"

    def scores(self, parts: NDArray[np.uint8]) -> Values:
        """L of parts [n, 16, 16, 3] by the bound calibration."""
        return np.concatenate([self._outputs(parts[start : start + BATCH])["score"] for start in range(0, len(parts), BATCH)])

    def _bind_impl(self, tensors: CalibrationTensors) -> None:
        self._tensors = tensors

    def _run_impl(self, image: Image, names: tuple[str, ...]) -> Outputs:
        found = self._outputs(image)
        sizes = {"image_quality": (3,), "group_scores": (2,), "feature": (1, 4, GRID, GRID), "anomaly_map": (1, GRID, GRID)}
        return {name: found[name].astype(np.float32).reshape(sizes.get(name, (1,))) for name in names}

    def _close_impl(self) -> None:
        pass

    def _outputs(self, parts: NDArray[np.uint8]) -> dict[str, Values]:
        tensors = self._tensors
        brightness = parts.mean(axis=(1, 2, 3))
        gain = np.clip(brightness, *tensors["brightness_range"]) / np.maximum(brightness, 1.0)
        pixels = parts * gain[:, None, None, None] / 255.0
        cells = pixels.reshape(-1, GRID, 2, GRID, 2, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
        blocks = GRID // STRIDE
        coarse = (
            np.stack([cells[:, 2], cells.mean(axis=1)], axis=1).reshape(-1, 2, blocks, STRIDE, blocks, STRIDE).mean(axis=(3, 5))
        )
        feature = np.concatenate([cells[:, :2], np.repeat(np.repeat(coarse, STRIDE, axis=2), STRIDE, axis=3)], axis=1)
        z = (feature - tensors["feature_mean"]) * tensors["feature_scale"][:, None, None]
        rows = z[:, :2].reshape(len(z), 2, -1).transpose(0, 2, 1)
        centers = tensors["centers_0"].astype(np.float64)
        square = (np.square(centers).sum(axis=1) - 2.0 * rows @ centers.T).min(axis=-1) + np.square(rows).sum(axis=-1)
        deep = z[:, 2:, ::STRIDE, ::STRIDE].reshape(len(z), 2, -1)
        length = np.linalg.norm(np.einsum("pde,nep->npd", tensors["whitening_1"], deep), axis=-1)
        error = np.abs(cells[:, 2] - cells[:, :2].mean(axis=1)).reshape(len(z), -1)
        groups = np.stack([np.sqrt(np.maximum(square, 0.0)).max(axis=1), length.max(axis=1)], axis=1)
        feature_score, worst = groups @ tensors["group_weight"], error.max(axis=1)
        score = tensors["feature_weight"] * feature_score + tensors["reconstruction_weight"] * worst
        quality = np.stack([brightness / 255.0, (parts >= 250).mean(axis=(1, 2, 3)), parts.std(axis=(1, 2, 3))], axis=1)
        return {
            "feature_score": feature_score, "reconstruction_score": worst, "score": score, "map_mean": error.mean(axis=1),
            "anomaly_map": error, "image_quality": quality, "feature": feature, "group_scores": groups,
        }  # fmt: skip


def measure_own_center(runs: int, progress: Callable[[], None]) -> list[Coverage]:
    """Every world and count; sessions with the fewest images."""
    rows = []
    for images in COUNTS:
        for world in WORLDS:
            rows.append(own_center_coverage(world, images, runs))
            progress()
    rows += session_coverage(COUNTS[0], runs)
    progress()
    return rows


OWN_CENTER_STEPS = len(COUNTS) * len(WORLDS) + 1


def own_center_coverage(world: PartWorld, images: int, runs: int) -> Coverage:
    """``calibrate --center site`` on ``images`` parts, which are then too few to split: C, λ and threshold are cross-fitted."""
    random, rates, promised = np.random.default_rng(images), [], 1.0
    new = world.draw(random, NEW_PARTS)
    with _Bench() as bench:
        for _ in range(runs):
            promised, share_of = bench.calibrate([world.draw(random, images)])
            rates.append(share_of(new))
    return _coverage("own C", world, images, promised, rates)


def session_coverage(images: int, runs: int) -> list[Coverage]:
    """The same in six sessions, whole ones left out: judged on parts of the same days, and of days to come."""
    random, promised = np.random.default_rng([images, SESSIONS]), 1.0
    new = DAYS.draw(random, NEW_PARTS)
    rates: dict[str, list[float]] = {"own C, the same sessions": [], "own C, sessions to come": []}
    with _Bench() as bench:
        for _ in range(runs):
            days = random.normal(size=(SESSIONS, 3))
            promised, share_of = bench.calibrate([DAYS.draw(random, images // SESSIONS, day) for day in days])
            same = np.concatenate([DAYS.draw(random, NEW_PARTS // SESSIONS, day) for day in days])
            for rule, parts in zip(rates, (same, new), strict=True):
                rates[rule].append(share_of(parts))
    return [_coverage(rule, DAYS, images, promised, values) for rule, values in rates.items()]


def _coverage(rule: str, world: PartWorld, images: int, promised: float, rates: list[float]) -> Coverage:
    values = np.array(rates)
    return Coverage(rule, world.name, images, promised, len(values), int((values > promised).sum()), float(np.median(values)))


class _Bench:
    """An engine, and a folder for the pictures of one calibration after the other."""

    def __enter__(self) -> _Bench:
        self._engine, self._view = PixelEngine(), station_view(StationConfig(), SHAPE)
        self._folder = TemporaryDirectory()
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def calibrate(self, sessions: list[NDArray[np.uint8]]) -> tuple[float, Callable[[NDArray[np.uint8]], float]]:
        """(rate promised, share of given parts that are rejected)."""
        files: ImageList = []
        session_of = {}
        for session, parts in enumerate(sessions):
            for part in parts:
                digest = f"{len(files):064d}"
                files.append((Path(self._folder.name) / f"{digest}.bmp", digest))
                session_of[digest] = f"day {session}"
                cv2.imwrite(str(files[-1][0]), part)
        jobs = assign_jobs(Survey(files, [], 0, sessions=session_of), set(), "site")
        start = CalibrationTensors.neutral(SHAPE)
        derived = derive(self._engine, self._view, start, jobs, RELIABILITY, _silent)
        engine, threshold = self._engine, derived.threshold
        return derived.promise.false_reject_rate, lambda parts: float((engine.scores(parts) >= threshold).mean())


def _silent(what: str, done: int, total: int) -> None:
    """No bar for a calibration this short."""
