"""One trial of the complementarity experiment: train with one seed and regulariser on one set, score its images by L1, L2, L."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from pydantic import ValidationError

import calibration.center
import calibration.term_weights
import tools.inspection_graph
import tools.start_calibration
import trainer
from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.errors import ImageError, InputError
from edge.frame import Image
from edge.pictures.image_file import read_image
from edge.pictures.usual_change import usual_change
from edge.preprocess import preprocess
from edge.storage.strict_yaml import StrictModel, parse
from tools.benchmark.anomaly_set import AnomalySet, Kind
from tools.export_onnx import write_onnx
from tools.inspection_graph import InspectionGraph
from tools.start_calibration import start_calibration
from trainer.dataset import NormalImages
from trainer.model import Model
from trainer.spectral_norm import fold_spectral_norm
from trainer.train_config import TrainConfig
from trainer.train_loop import Cache, TrainLoop, cache_features
from trainer.training_run import learned_features, new_model

NONE = "none"
"""The regulariser that leaves the decoder's gradient free."""


def train_config(seed: int, regulariser: str, steps: int | None) -> TrainConfig:
    """The trainer's defaults but for these; raises ConfigError."""
    content: dict[str, object] = {"seed": seed, "regulariser": regulariser}
    return parse(TrainConfig, content if steps is None else content | {"steps": steps}, "--regularisers")


class Trial(StrictModel):
    """A finished trial, as kept on disk. One entry an image in kinds, sources, bases (see Specimen) and both scores.

    fingerprint: of the options and of every pixel that went in. code: of the program. smoothness: see TrainLoop.
    L = λ1·L1 + λ2·L2, with λ1 and λ2 by the spread rule from the held-out normal images.
    """

    set_name: str
    seed: int
    regulariser: str
    fingerprint: str
    code: str
    smoothness: float
    seconds: float
    feature_weight: float
    reconstruction_weight: float
    left_out: dict[str, int]
    kinds: list[Kind]
    sources: list[str]
    bases: list[int]
    feature_scores: list[float]
    reconstruction_scores: list[float]

    def scores(self) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """L1, L2 and L of every image."""
        first, second = np.array(self.feature_scores), np.array(self.reconstruction_scores)
        return {"L1": first, "L2": second, "L": self.feature_weight * first + self.reconstruction_weight * second}


@cache
def code_hash() -> str:
    """sha256 of the sources that decide a trial's scores, so that trials of an older model are not taken for those of this one."""
    files = sorted(Path(trainer.__file__).parent.glob("*.py"))
    files += [
        Path(str(module.__file__))
        for module in (calibration.center, calibration.term_weights, tools.inspection_graph, tools.start_calibration)
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def trial_path(out: Path, set_name: str, seed: int, regulariser: str) -> Path:
    """Where a trial is kept."""
    return out / "trials" / f"{set_name}.{regulariser}.{seed}.json"


def load_trial(path: Path, fingerprint: str) -> Trial | None:
    """The trial kept at ``path``, None where there is none; raises InputError where it is of other options or images."""
    if not path.is_file():
        return None
    try:
        trial = Trial.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"{path}: expected a finished trial, cannot read it; remove the file") from error
    if trial.fingerprint != fingerprint:
        raise InputError(f"{path}: is of other options or other images; choose another --out, or remove it")
    return trial


@dataclass
class Material:
    """What the trials of one set share: the images to learn from, those held out for λ, and those to score."""

    normal: NormalImages
    anomalies: AnomalySet
    held_out: list[Image]

    @classmethod
    def of(cls, normal: NormalImages, anomalies: AnomalySet, size: int) -> Material:
        """Reads the held-out images at ``size`` pixels; raises ImageError, also where they are too few for λ."""
        if len(normal.held_out) < 2:
            raise ImageError(
                f"{anomalies.name}: λ needs 2 held-out normal images, there is {len(normal.held_out)}; leave it out by --sets"
            )
        return cls(normal, anomalies, [preprocess(read_image(path).image, size, size) for path, _ in normal.held_out])

    def fingerprint(self, config: TrainConfig) -> str:
        """sha256 of ``config``, of the files to learn from and of the pixels to score."""
        digest = hashlib.sha256(json.dumps(config.model_dump(), sort_keys=True).encode())
        for _, name in [*self.normal.learned, *self.normal.held_out]:
            digest.update(name.encode())
        for one in self.anomalies.images:
            digest.update(f"{one.kind} {one.source} {one.base}".encode() + one.picture.tobytes())
        return digest.hexdigest()

    def features(self, config: TrainConfig, progress: Callable[[], None]) -> tuple[Cache, Cache]:
        """The trunk's features of the images to learn from, as they are and with a usual change: the same for every regulariser."""
        model, paths = self.initial(config), [path for path, _ in self.normal.learned]
        plain = cache_features(model, paths, lambda _: progress())
        return plain, cache_features(model, paths, lambda _: progress(), change=usual_change)

    def initial(self, config: TrainConfig) -> Model:
        """The untrained model of ``config``; the same for the same seed."""
        torch.manual_seed(config.seed)
        torch.use_deterministic_algorithms(True)
        return new_model(config, [path for path, _ in self.normal.learned])


def run_trial(
    material: Material, features: tuple[Cache, Cache], config: TrainConfig, regulariser: str, progress: Callable[[], None]
) -> Trial:
    """Train on ``features`` and score; ``progress`` is called after each step and each scored image. Raises CollapseError."""
    started = time.monotonic()
    model = material.initial(config)
    loop = TrainLoop(model, features[0])
    while loop.step < config.steps:
        loop.one_step()
        progress()
    smoothness = loop.smoothness()
    fold_spectral_norm(model.decoder)
    graph = InspectionGraph(model).eval()
    learned = {name: one.numpy() for name, one in learned_features(model, *features).items()}
    scores = []
    with TemporaryDirectory() as folder:
        onnx_path = Path(folder) / "model.onnx"
        write_onnx(graph, onnx_path)
        with OnnxRuntimeEngine(onnx_path, graph.shape) as engine:
            tensors = start_calibration(engine, learned, material.held_out, material.held_out, "spread").tensors
            engine.bind(tensors)
            for one in material.anomalies.images:
                figures = engine.infer(one.picture).scores
                scores.append((figures.feature_score, figures.reconstruction_score))
                progress()
    if not np.isfinite(scores).all():
        raise ImageError(f"{material.anomalies.name}, seed {config.seed}, {regulariser}: a score is not finite; train otherwise")
    images = material.anomalies.images
    return Trial(
        set_name=material.anomalies.name,
        seed=config.seed,
        regulariser=regulariser,
        fingerprint=material.fingerprint(config),
        code=code_hash(),
        smoothness=smoothness,
        seconds=time.monotonic() - started,
        feature_weight=float(tensors["feature_weight"][0]),
        reconstruction_weight=float(tensors["reconstruction_weight"][0]),
        left_out=material.anomalies.left_out,
        kinds=[one.kind for one in images],
        sources=[one.source for one in images],
        bases=[one.base for one in images],
        feature_scores=[first for first, _ in scores],
        reconstruction_scores=[second for _, second in scores],
    )
