"""From a training run to a bundle: export, check, compare, and only then write."""

from __future__ import annotations

import hashlib
import logging
import time
import warnings
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import safetensors
import safetensors.numpy
import torch
import yaml
from numpy.typing import NDArray

from edge.bundle import FORMAT_VERSION, MANIFEST, START_CALIBRATION, ReferenceImage, file_sha256
from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.errors import ConfigError, EdgeInspectError, ImageError, InputError
from edge.frame import Image
from edge.graph_contract import FEATURE, GROUP_SCORES, IMAGE, INSPECTION_OUTPUTS, RECONSTRUCTION, GraphShape
from edge.pictures.image_file import read_image, survey_images
from edge.preprocess import preprocess
from edge.slots.calibration_tensors import CalibrationTensors
from edge.storage.durable_files import new_folder
from tools.benchmark.labelled_set import open_labelled_set
from tools.convert_fp16 import PrecisionError
from tools.cost_model import graph_cost
from tools.inspection_graph import InspectionGraph
from tools.parity import TOLERANCE, Scored, compare, refusal
from tools.precision_models import PrecisionGate, engine_scores
from tools.quantize_int8 import SCHEMES
from tools.reliability import MOST
from tools.start_calibration import start_calibration
from trainer import checkpoint
from trainer.dataset import find_normal_images

T = TypeVar("T")

OPSET = 19
OUTPUTS = (*INSPECTION_OUTPUTS, FEATURE, RECONSTRUCTION, GROUP_SCORES)
PICTURES = 32
MINIMUM_PICTURES = 16
REFERENCE_IMAGES = 2
PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")
SETTING_RANGES = 48
SETTING_CENTER = 32


class ParityError(EdgeInspectError):
    """The exported graph does not score as the checkpoint does."""


def parse_precisions(text: str) -> tuple[str, ...]:
    """Names by commas; fp32, which every other is compared with, is always among them. Raises ConfigError."""
    wanted = [one.strip() for one in text.split(",")]
    if unknown := [one for one in wanted if one not in PRECISIONS]:
        raise ConfigError(f"--precision {text!r}: expected names by commas of {', '.join(PRECISIONS)}, got {unknown[0]!r}")
    return tuple(one for one in PRECISIONS if one == "fp32" or one in wanted)


def export_bundle(
    run: Path, out: Path, images: Path | None = None, precisions: tuple[str, ...] = ("fp32",), calib: Path | None = None,
    labelled: Path | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:  # fmt: skip
    """Write the bundle of ``run`` to ``out``; its parity report, and why each precision that was refused is not in it.

    images: real images for the parity gate, by default those the run was trained on. precisions: as of ``parse_precisions``. calib:
    good images that set the ranges of 8 bits, by default those the run learned from. labelled: a set whose AUROC may not fall.
    A folder that none of ``precisions`` looks at is refused. Raises InputError, and ParityError where fp32 fails the gate; then
    nothing is written.
    """
    if calib is not None and not set(precisions) & set(SCHEMES):
        raise ConfigError(f"--calib {calib}: sets the ranges of 8 bits, and none is asked for; add --precision int8 or int8-cpu")
    if labelled is not None and len(precisions) == 1:
        raise ConfigError(
            f"--labelled {labelled}: judges what is less exact than fp32, and none is asked for; add --precision fp16"
        )
    model, record = checkpoint.load(run)
    if not record.finished:
        raise InputError(f"{run}: the training run is not finished (step {record.step}); run edge-train again to resume it")
    graph = InspectionGraph(model).eval()
    shape = graph.shape
    learned = _learned_features(run / checkpoint.FEATURES, shape)
    names, pictures, fresh = _pictures(images or Path(record.source), record)
    config = record.config
    by_hand = (config.feature_weight, config.reconstruction_weight) if config.weights_from == "manual" else None
    center = model.center[0].numpy() if config.center == "moving_average" else None
    with new_folder(out) as folder:
        onnx_path = folder / "model.fp32.onnx"
        write_onnx(graph, onnx_path)
        with OnnxRuntimeEngine(onnx_path, shape) as engine:
            start = start_calibration(engine, learned, pictures, fresh, "mean", by_hand, center)
            tensors = start.tensors
            reference, scored = _checkpoint_scores(graph, tensors, pictures), engine_scores(engine, tensors, pictures)
            references = [
                ReferenceImage.of(f"reference/{index}.npy", engine.infer(picture).scores, TOLERANCE["fp32"])
                for index, picture in enumerate(pictures[:REFERENCE_IMAGES])
            ]
            parity: dict[str, Any] = {"images": len(pictures), "runtime": engine.runtime}
        parity["fp32"] = compare(reference, scored, names, "fp32")
        if reason := refusal(parity["fp32"], len(pictures)):
            raise ParityError(f"parity gate failed: fp32: {reason}; no bundle was written")
        models, refused = [onnx_path], dict[str, str]()
        if len(precisions) > 1:
            learned_pictures = _learned_pictures(images or Path(record.source), record, pictures)
            gate = PrecisionGate(
                onnx_path, shape, start, references, names, pictures, reference, _spread(learned_pictures, SETTING_CENTER),
                _folder_pictures(calib, config.input_size) if calib else _spread(learned_pictures, SETTING_RANGES),
                "mean", by_hand, center, _labelled_pictures(labelled, config.input_size) if labelled else None,
            )  # fmt: skip
        for precision in precisions[1:]:
            path = folder / f"model.{precision}.onnx"
            try:
                parity[precision] = gate.write(precision, path)
                models.append(path)
            except PrecisionError as error:
                path.unlink(missing_ok=True)
                refused[precision] = str(error)
        (folder / START_CALIBRATION).mkdir()
        hashes = {f"{START_CALIBRATION}/{name}": digest for name, digest in tensors.save(folder / START_CALIBRATION).items()}
        hashes |= {path.name: file_sha256(path) for path in models}
        (folder / "reference").mkdir()
        for one, picture in zip(references, pictures, strict=False):
            np.save(folder / one.file, picture, allow_pickle=False)
            hashes[one.file] = file_sha256(folder / one.file)
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
            "reference_images": [one.model_dump() for one in references],
            "precision_tolerance": {one: TOLERANCE[one] for one in precisions[1:] if one in parity},
            "cost": graph_cost(onnx.load(onnx_path)).to_json(),
            "files": hashes,
        }
        (folder / MANIFEST).write_text(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return parity, refused


def _learned_features(path: Path, shape: GraphShape) -> dict[str, NDArray[Any]]:
    """What ``trainer.training_run.learned_features`` wrote; raises InputError where it is not whole, or not of ``shape``."""
    try:
        learned = safetensors.numpy.load_file(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; train again") from error
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: cannot read it ({error}); copy the run again, or train again") from error
    sizes = {f"group_{i}": (group.channels, *shape.group_grid(group)) for i, group in enumerate(shape.groups)} | {"brightness": ()}
    if {name: one.shape[1:] for name, one in learned.items()} != sizes or not all(
        np.isfinite(one).all() for one in learned.values()
    ):
        raise InputError(f"{path}: does not hold the features of this run's model; copy the run again, or train again")
    return learned


def _pictures(folder: Path, record: checkpoint.RunRecord) -> tuple[list[str], list[Image], list[Image]]:
    """Names and pictures of ``folder``, for the parity gate and λ1, λ2, as the config says; pictures that were not learned from."""
    found, config = find_normal_images(folder, max_bad_share=1.0), record.config
    known = set(record.learned)
    learned = [path for path, digest in found.held_out + found.learned if digest in known]
    fresh = [path for path, digest in found.held_out + found.learned if digest not in known]
    first, then = (learned, fresh) if config.weights_from == "training" else (fresh, learned)

    chosen = (first if len(first) >= MINIMUM_PICTURES else first + then)[:PICTURES]
    return [path.name for path in chosen], _read(chosen, config.input_size), _read(fresh[:MOST], config.input_size)


def _learned_pictures(folder: Path, record: checkpoint.RunRecord, otherwise: list[Image]) -> list[Image]:
    """Up to SETTING_RANGES pictures of ``folder`` that the run learned from; ``otherwise`` where none is there."""
    found, known = find_normal_images(folder, max_bad_share=1.0), set(record.learned)
    learned = [path for path, digest in found.held_out + found.learned if digest in known]
    return _read(_spread(learned, SETTING_RANGES), record.config.input_size) or otherwise


def _folder_pictures(folder: Path, size: int) -> list[Image]:
    survey = survey_images(folder, max_bad_share=0.1)
    if len(survey.files) < MINIMUM_PICTURES:
        raise ImageError(
            f"--calib {folder}: expected {MINIMUM_PICTURES} images of good parts or more, got {len(survey.files)}; add more"
        )
    return _read(_spread([path for path, _ in survey.files], SETTING_RANGES), size)


def _labelled_pictures(folder: Path, size: int) -> tuple[list[Image], list[Image]]:
    found = open_labelled_set(folder)
    return _read(found.good, size), _read([one.path for group in found.defects.values() for one in group], size)


def _read(paths: list[Path], size: int) -> list[Image]:
    return [preprocess(read_image(path).image, size, size) for path in paths]


def _spread(given: list[T], most: int) -> list[T]:
    """``most`` of ``given`` or fewer, from all over it."""
    return [given[i * len(given) // most] for i in range(most)] if len(given) > most else given


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


def _checkpoint_scores(graph: InspectionGraph, tensors: CalibrationTensors, pictures: list[Image]) -> Scored:
    """``pictures`` (uint8 H×W×3, BGR) by the checkpoint."""
    with torch.no_grad():
        results = [graph(*graph.arguments(torch.from_numpy(picture)[None], tensors)) for picture in pictures]
    scores = [[float(value) for value in result[:3]] for result in results]
    maps = np.array([result[3][0].numpy() for result in results], np.float64)
    reconstructions = np.array([result[7][0].permute(1, 2, 0).numpy() for result in results], np.float64)
    return Scored(np.array(scores, np.float64), maps, reconstructions)
