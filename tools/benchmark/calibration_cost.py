"""What a calibration costs, against one pass of the engine over the same images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from calibration.center import center_from_moments
from calibration.cli import main as calibrate
from edge.bundle import Bundle
from edge.engines.open_engine import open_engine
from edge.errors import ImageError
from edge.line.station_view import station_view
from edge.pictures.image_file import read_image, survey_images
from edge.station_config import load_station


@dataclass(frozen=True)
class CalibrationCost:
    """Seconds by the wall and of CPU. one_pass: the engine over all images, decoded before. centers: the search for centres.

    total: the whole of ``calibrate --dry-run``, from its arguments to its last word.
    """

    name: str
    images: int
    one_pass: tuple[float, float]
    centers: tuple[float, float]
    total: tuple[float, float]

    @property
    def ratios(self) -> tuple[float, float]:
        """(total − centers) / one_pass, by the wall and of CPU."""
        wall, cpu = ((self.total[kind] - self.centers[kind]) / self.one_pass[kind] for kind in (0, 1))
        return wall, cpu


def measure_cost(name: str, bundle: Bundle, normal_dir: Path, threads: int) -> CalibrationCost:
    """Calibrate on ``normal_dir`` without writing a slot, and pass over its images before and after, so that a busy machine
    weighs on both. Raises ImageError where calibrate fails."""
    paths = [path for path, _ in survey_images(normal_dir, 0.1).files]
    before = _one_pass(bundle, paths, threads)
    centers = [0.0, 0.0]

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            with _added(centers):
                return call(*arguments, **named)

        return run

    total = [0.0, 0.0]
    with (
        TemporaryDirectory() as state,
        patch("calibration.derive.center_from_moments", timed(center_from_moments)),
        _added(total),
    ):
        code = calibrate([
            str(normal_dir), "--bundle", str(bundle.path), "--state", state, "--threads", str(threads), "--dry-run"
        ])  # fmt: skip
    if code:
        raise ImageError(f"{normal_dir}: the calibration failed; the line above says why")
    after = _one_pass(bundle, paths, threads)
    mean = (before[0] + after[0]) / 2, (before[1] + after[1]) / 2
    return CalibrationCost(name, len(paths), mean, (centers[0], centers[1]), (total[0], total[1]))


def _one_pass(bundle: Bundle, paths: list[Path], threads: int) -> tuple[float, float]:
    view, spent = station_view(load_station(None), bundle.manifest.graph), [0.0, 0.0]
    with open_engine(bundle, threads=threads) as engine:
        engine.bind(bundle.start_calibration())
        for path in paths:
            picture = view.preprocess(read_image(path).image)
            with _added(spent):
                engine.infer(picture)
    return spent[0], spent[1]


@contextmanager
def _added(spent: list[float]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    spent[0] += time.perf_counter() - wall
    spent[1] += time.process_time() - cpu
