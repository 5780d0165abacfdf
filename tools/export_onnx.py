"""From a training run to a bundle: export, check, compare, and only then write."""

from __future__ import annotations

import hashlib
import logging
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.numpy
import torch
import yaml

from edge.bundle import FORMAT_VERSION, MANIFEST, START_CALIBRATION, ReferenceImage, file_sha256
from edge.calibration_tensors import CalibrationTensors
from edge.durable_files import new_folder
from edge.engines.base import Engine
from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.errors import EdgeInspectError, InputError
from edge.frame import Image
from edge.graph_contract import FEATURE, GROUP_SCORES, IMAGE, INSPECTION_OUTPUTS, RECONSTRUCTION
from edge.image_file import read_image
from edge.preprocess import preprocess
from edge.verdict import Scores
from tools.inspection_graph import InspectionGraph
from tools.reliability import MOST
from tools.start_calibration import start_calibration
from trainer import checkpoint
from trainer.dataset import find_normal_images

OPSET = 19
OUTPUTS = (*INSPECTION_OUTPUTS, FEATURE, RECONSTRUCTION, GROUP_SCORES)
PICTURES = 32
MINIMUM_PICTURES = 16
PARITY_TOLERANCE = 1e-3
"""Largest difference of a score between checkpoint and ONNX, relative to the largest score; FP32 runtimes sum in another order."""
REFERENCE_IMAGES = 2


class ParityError(EdgeInspectError):
    """The exported graph does not score as the checkpoint does."""


def export_bundle(run: Path, out: Path, images: Path | None = None) -> dict[str, Any]:
    """Write the bundle of ``run`` to ``out`` and return its parity report.

    images: real images for the parity gate, by default those the run was trained on. Raises InputError, and ParityError
    where the gate fails; then nothing is written.
    """
    model, record = checkpoint.load(run)
    if not record.finished:
        raise InputError(f"{run}: the training run is not finished (step {record.step}); run edge-train again to resume it")
    features_path = run / checkpoint.FEATURES
    if not features_path.is_file():
        raise InputError(f"{features_path} is missing; train again")
    graph = InspectionGraph(model).eval()
    shape = graph.shape
    pictures, fresh = _pictures(images or Path(record.source), record)
    learned = safetensors.numpy.load_file(features_path)
    config = record.config
    by_hand = (config.feature_weight, config.reconstruction_weight) if config.weights_from == "manual" else None
    center = model.center[0].numpy() if config.center == "moving_average" else None
    with new_folder(out) as folder:
        onnx_path = folder / "model.fp32.onnx"
        write_onnx(graph, onnx_path)
        with OnnxRuntimeEngine(onnx_path, shape) as engine:
            start = start_calibration(engine, learned, pictures, fresh, "mean", by_hand, center)
            tensors = start.tensors
            parity, expected = _compare(graph, tensors, pictures, engine)
        (folder / START_CALIBRATION).mkdir()
        hashes = {f"{START_CALIBRATION}/{name}": digest for name, digest in tensors.save(folder / START_CALIBRATION).items()}
        hashes[onnx_path.name] = file_sha256(onnx_path)
        references = []
        (folder / "reference").mkdir()
        for index in range(min(REFERENCE_IMAGES, len(pictures))):
            name = f"reference/{index}.npy"
            np.save(folder / name, pictures[index], allow_pickle=False)
            hashes[name] = file_sha256(folder / name)
            references.append(ReferenceImage.of(name, expected[index], PARITY_TOLERANCE).model_dump())
        identity = hashlib.sha256("".join(sorted(hashes.values())).encode()).hexdigest()[:16]
        manifest = {
            "format_version": FORMAT_VERSION,
            "model_id": identity,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "graph": shape.model_dump(),
            "opset": OPSET,
            "reliability": start.reliability,
            "learned_images": record.learned,
            "training": {
                "config": record.config.model_dump(),
                "weights_sha256": record.weights_sha256,
                "smoothness": record.smoothness,
            },
            "parity": parity,
            "reference_images": references,
            "files": hashes,
        }
        (folder / MANIFEST).write_text(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return parity


def _pictures(folder: Path, record: checkpoint.RunRecord) -> tuple[list[Image], list[Image]]:
    """Normal images of ``folder``: for the parity gate and λ1, λ2, as the config says; and some that were not learned from."""
    found, config = find_normal_images(folder, max_bad_share=1.0), record.config
    known = set(record.learned)
    learned = [path for path, digest in found.held_out + found.learned if digest in known]
    fresh = [path for path, digest in found.held_out + found.learned if digest not in known]
    first, then = (learned, fresh) if config.weights_from == "training" else (fresh, learned)

    def read(paths: list[Path]) -> list[Image]:
        return [preprocess(read_image(path).image, config.input_size, config.input_size) for path in paths]

    return read((first if len(first) >= MINIMUM_PICTURES else first + then)[:PICTURES]), read(fresh[:MOST])


def write_onnx(graph: InspectionGraph, path: Path) -> None:
    """Write ``graph``, whose inputs keep ``edge.graph_contract``, and check it."""
    tensors = CalibrationTensors.neutral(graph.shape)
    picture = torch.zeros(1, graph.shape.height, graph.shape.width, 3, dtype=torch.uint8)
    arguments = graph.arguments(picture, tensors)
    names = [IMAGE, *(name for name, _ in tensors.items())]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of torchvision, which is not needed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph, arguments, input_names=names, output_names=list(OUTPUTS), opset_version=OPSET, dynamo=True, verbose=False
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    # The exporter notes where in the source each node came from, paths of this machine included.
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)
    onnx.checker.check_model(str(path), full_check=True)


def _compare(
    graph: InspectionGraph, tensors: CalibrationTensors, pictures: list[Image], engine: Engine
) -> tuple[dict[str, Any], list[Scores]]:
    """Score ``pictures`` by the checkpoint and by ``engine``; the parity report and the engine's scores."""
    reference = np.array([_score(graph, tensors, picture) for picture in pictures])
    engine.bind(tensors)
    scores = [engine.infer(picture).scores for picture in pictures]
    exported = np.array([(s.feature_score, s.reconstruction_score, s.score) for s in scores])
    # Relative to the largest score of its kind: an image that is a centre itself has the distance 0, and only rounding is left.
    largest = np.maximum(np.abs(reference).max(axis=0), 1e-6)
    difference = np.abs(exported - reference) / largest
    threshold = float(np.median(reference[:, 2]))  # the middle of the images is the hardest place to agree at
    flips = int(((reference[:, 2] >= threshold) != (exported[:, 2] >= threshold)).sum())
    # An image within the tolerance of the threshold may fall to either side; that is a tie, not a disagreement.
    ties = int((np.abs(reference[:, 2] - threshold) <= PARITY_TOLERANCE * largest[2]).sum())
    parity = {
        "images": len(pictures),
        "largest_relative_difference": float(difference.max()),
        "largest_score_difference": float(np.abs(exported[:, 2] - reference[:, 2]).max()),
        "decision_flips": flips,
        "ties": ties,
        "tolerance": PARITY_TOLERANCE,
    }
    if not np.isfinite(difference).all() or difference.max() > PARITY_TOLERANCE or flips > ties:
        raise ParityError(
            f"parity gate failed: ONNX scores differ from the checkpoint's by up to {difference.max():.2%} "
            f"({flips} decision flips; allowed {PARITY_TOLERANCE:.2%}); no bundle was written"
        )
    return parity, scores


def _score(graph: InspectionGraph, tensors: CalibrationTensors, picture: Image) -> tuple[float, float, float]:
    """L1, L2 and L of one picture (uint8 H×W×3, BGR) by the checkpoint."""
    with torch.no_grad():
        result = graph(*graph.arguments(torch.from_numpy(picture)[None], tensors))
    return float(result[0]), float(result[1]), float(result[2])
