"""A stand-in for an engine, where what is around one is measured: a little numpy, announced by its name, no model of anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge import graph_contract
from edge.bundle import ReferenceImage
from edge.engines.base import Engine, Outputs
from edge.frame import Image
from edge.graph_contract import FeatureGroup, GraphShape
from edge.line.station_view import View
from edge.slots.calibration_slot import FORMAT_VERSION, CalibrationSlot
from edge.slots.calibration_tensors import CalibrationTensors
from edge.slots.slot_record import QUANTILES, Baseline, Promise, SlotRecord

SHAPE = GraphShape(
    height=64, width=64, groups=[FeatureGroup(channels=2, norm="nearest")], centers=1,
    feature_height=8, feature_width=8, map_height=8, map_width=8,
)  # fmt: skip
THRESHOLD = 0.25
PRECISION = "stand-in"


class StandInEngine(Engine):
    """The score is the largest difference of an 8×8 cell's grey from the picture's mean, relative to it; of a black picture NaN."""

    def __init__(self) -> None:
        super().__init__(SHAPE)

    @property
    def runtime(self) -> str:
        return "STAND-IN engine (no model)"

    def _bind_impl(self, tensors: CalibrationTensors) -> None:
        pass

    def _run_impl(self, image: Image, names: tuple[str, ...]) -> Outputs:  # noqa: ARG002 - it computes them all
        cells = image[0].reshape(8, 8, 8, 8, 3).mean(axis=(1, 3, 4), dtype=np.float32)
        mean = cells.mean()
        with np.errstate(invalid="ignore"):
            anomaly = np.abs(cells - mean) / mean
        score = anomaly.max()
        white = np.float32((image >= 250).mean())
        sharpness = np.float32(np.diff(image[0, ::4, :, 0].astype(np.float32), axis=1).var())
        return {
            **dict.fromkeys(graph_contract.SCORES, score.reshape(1)),
            graph_contract.ANOMALY_MAP: anomaly[None],
            graph_contract.MAP_MEAN: anomaly.mean().reshape(1),
            graph_contract.IMAGE_QUALITY: np.array([mean / 255, white, sharpness], np.float32),
        }

    def _close_impl(self) -> None:
        pass


def stand_in_picture(seed: int) -> Image:
    """uint8 64×64×3: a smooth grey good part, slightly different for each seed."""
    random = np.random.default_rng(seed)
    level = 120 + 12 * np.linspace(-1, 1, 64)[:, None] + 6 * np.sin(np.linspace(0, 9, 64))[None] + random.normal(0, 2)
    return np.asarray(np.clip(level[..., None] + random.normal(0, 2, (64, 64, 3)), 0, 255), np.uint8)


def stand_in_slot() -> CalibrationSlot:
    """Its calibration, in memory, with two reference pictures and a baseline of twenty good ones."""
    engine, tensors = StandInEngine(), CalibrationTensors.neutral(SHAPE)
    engine.bind(tensors)
    scores = [engine.infer(stand_in_picture(seed)).scores for seed in range(20)]
    pictures = tuple(stand_in_picture(seed) for seed in range(2))
    record = SlotRecord(
        format_version=FORMAT_VERSION, serial=1, created="", operator="", content_sha256="", model_id=PRECISION, model_sha256="",
        precision=PRECISION, runtime=engine.runtime, view=View(region=None, ignore_mask_sha256=None), frame_size=None,
        camera_settings=None, threshold=THRESHOLD,
        promise=Promise(false_reject_rate=0.5, confidence=0.5, images=1, allowed_above=0, kind="approximate"),
        center_source="none", images={}, passed_over=0, dropped={}, files={},
        baseline={name: _baseline([getattr(one, name) for one in scores]) for name in ("brightness", "saturation", "sharpness")},
        reference_images=[ReferenceImage.of(f"{i}.npy", engine.infer(one).scores, 1e-3) for i, one in enumerate(pictures)],
    )  # fmt: skip
    return CalibrationSlot(Path(PRECISION), record, tensors, pictures)


def _baseline(values: list[float]) -> Baseline:
    quantiles = [float(one) for one in np.quantile(values, np.linspace(0, 1, QUANTILES))]
    return Baseline(
        mean=float(np.mean(values)), deviation=float(np.std(values)), low=quantiles[0], high=quantiles[-1], quantiles=quantiles
    )
