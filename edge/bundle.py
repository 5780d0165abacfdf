"""The model bundle on disk: a read-only folder whose manifest names every file by hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from edge.bundles.bundle_signature import read_manifest_bytes, require_trusted
from edge.engines.base import Engine
from edge.errors import BundleError, ConfigError, HashMismatchError, NewerFormatError
from edge.frame import Image
from edge.graph_contract import GraphShape
from edge.slots.calibration_tensors import CalibrationTensors
from edge.storage.strict_yaml import StrictModel, load_yaml_text, parse
from edge.verdict import Scores

FORMAT_VERSION = 3
MANIFEST = "manifest.yaml"
START_CALIBRATION = "calibration"
LEAST_SCORE = 1e-6
"""What a tolerance is taken of where a reference image scores less, to leave rounding its room."""


class ReferenceImage(StrictModel):
    """An image, kept beside what the graph said of it; an engine that says something else is not to be trusted."""

    file: str
    feature_score: float
    reconstruction_score: float
    score: float
    tolerance: float

    @classmethod
    def of(cls, file: str, scores: Scores, relative_tolerance: float) -> ReferenceImage:
        """The reference for the picture saved as ``file``, a .npy of uint8 height×width×3."""
        return cls(
            file=file,
            feature_score=scores.feature_score,
            reconstruction_score=scores.reconstruction_score,
            score=scores.score,
            tolerance=relative_tolerance * max(abs(scores.score), LEAST_SCORE),
        )

    def disagreement(self, picture: Image, engine: Engine, relative_tolerance: float | None = None) -> str:
        """How the bound ``engine`` scores ``picture`` differently, in words; empty where it does not. Raises EngineError.

        relative_tolerance: in place of the recorded one.
        """
        score = engine.infer(picture).scores.score
        tolerance = self.tolerance if relative_tolerance is None else relative_tolerance * max(abs(self.score), LEAST_SCORE)
        if abs(score - self.score) <= tolerance:
            return ""
        return f"{self.file} scores {score:.6g} on {engine.runtime}, {self.score:.6g} when it was recorded"


class Manifest(StrictModel):
    """manifest.yaml, strict. ``files`` maps each file's path in the bundle to its sha256.

    ``precision_tolerance``: how far, relatively, a model less exact than fp32 may be off the reference scores.
    """

    format_version: int = Field(ge=1)
    model_id: str = Field(pattern=r"^[0-9a-z-]{1,64}$", description="names a folder of the state")
    created: str
    graph: GraphShape
    opset: int
    reliability: list[Annotated[float, Field(gt=0, le=1)]] = Field(description="of each term of the score: groups of L1, then L2")
    learned_images: list[str]
    training: dict[str, Any]
    parity: dict[str, Any]
    reference_images: list[ReferenceImage]
    precision_tolerance: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    cost: dict[str, Any] = Field(default_factory=dict, description="of one image, computed from the graph: for people")
    files: dict[str, str]

    @model_validator(mode="after")
    def _one_reliability_a_term(self) -> Manifest:
        terms = len(self.graph.groups) + 1
        if len(self.reliability) != terms:
            raise ValueError(f"reliability: expected {terms} numbers, one a term of the score, got {len(self.reliability)}")
        return self


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. ``signed_by``: empty where this machine has no trusted keys, so that it was not asked."""

    path: Path
    manifest: Manifest
    signed_by: str = ""

    def model_path(self, precision: str = "fp32") -> Path:
        """The ONNX file of ``precision``; raises BundleError where the bundle has none."""
        name = f"model.{precision}.onnx"
        if name not in self.manifest.files:
            raise BundleError(f"{self.path}: has no {precision} model; export again with --precision {precision}")
        return self.path / name

    def model_sha256(self, precision: str = "fp32") -> str:
        """The hash of that file, as the manifest has it."""
        return self.manifest.files[self.model_path(precision).name]

    def precisions(self) -> list[str]:
        """Those it has a model of."""
        names = [name for name in self.manifest.files if name.startswith("model.") and name.endswith(".onnx")]
        return sorted(name.removeprefix("model.").removesuffix(".onnx") for name in names)

    def verified_model(self, precision: str = "fp32") -> bytes:
        """The bytes of that file, which are those the manifest names; raises BundleError, HashMismatchError."""
        path = self.model_path(precision)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path}: cannot read it: {error.strerror}; copy the bundle again") from error
        if hashlib.sha256(content).hexdigest() != self.model_sha256(precision):
            raise HashMismatchError(f"{path}: changed since the bundle was opened (sha256 differs); copy the bundle again")
        return content

    def start_calibration(self) -> CalibrationTensors:
        """The trainer's centres and statistics: a start, without a threshold."""
        return CalibrationTensors.load(self.path / START_CALIBRATION, self.manifest.graph)

    def self_test(self, engine: Engine, precision: str = "fp32") -> None:
        """Bind the start calibration and score the reference images; raises BundleError where ``engine`` disagrees."""
        engine.bind(self.start_calibration())
        tolerance = self.manifest.precision_tolerance.get(precision)
        for reference in self.manifest.reference_images:
            if difference := reference.disagreement(load_picture(self.path / reference.file), engine, tolerance):
                raise BundleError(
                    f"{self.path}: {difference}; this engine cannot be trusted with this bundle: update it, or export again"
                )


def open_bundle(path: Path) -> Bundle:
    """Read and verify the bundle at ``path``; raises BundleError, HashMismatchError, NewerFormatError or UntrustedBundleError.

    The signature is checked first, and over the bytes that are parsed: nothing of an untrusted manifest is looked at.
    """
    if not (path / MANIFEST).is_file():
        raise BundleError(
            f"{path}: expected a model bundle ({MANIFEST}), there is none; make one with edge-export, or correct the path"
        )
    given = read_manifest_bytes(path / MANIFEST)
    signed_by = require_trusted(path, given)
    try:
        content = load_yaml_text(_text(given, path / MANIFEST), str(path / MANIFEST))
        version = content.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise NewerFormatError(
                f"{path}: bundle format {version} is newer than this program's {FORMAT_VERSION}; update edge-inspect"
            )
        if isinstance(version, int) and version < FORMAT_VERSION:
            raise BundleError(f"{path}: bundle format {version} is older than this program's {FORMAT_VERSION}; export again")
        manifest = parse(Manifest, content, str(path / MANIFEST))
    except ConfigError as error:  # nobody is to mend by hand what a program wrote
        raise BundleError(f"{path}: {MANIFEST} is damaged; copy the bundle again ({error})") from error
    expected = {f"{START_CALIBRATION}/{name}.npy" for name in CalibrationTensors.shapes(manifest.graph)}
    expected |= {reference.file for reference in manifest.reference_images}
    if not expected <= set(manifest.files):
        raise BundleError(f"{path}: the manifest has no hash for {sorted(expected - set(manifest.files))[0]}; export again")
    verify_files(path, manifest.files)
    return Bundle(path, manifest, signed_by)


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot read it: not UTF-8 text; check the path") from error


def verify_files(folder: Path, files: dict[str, str], remedy: str = "copy the bundle again") -> None:
    """Raise unless every named file lies inside ``folder`` and has its sha256; ``remedy`` ends the message."""
    for name, expected in files.items():
        file = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise BundleError(f"{folder}: the manifest names {name!r}, outside the folder; do not use it")
        if not file.is_file():
            raise BundleError(f"{folder}: {name} is missing; {remedy}")
        if file_sha256(file) != expected:
            raise HashMismatchError(f"{folder}: {name} is not the file its manifest names (sha256 differs); {remedy}")


def load_picture(path: Path) -> Image:
    """A reference image, uint8 height×width×3; raises BundleError."""
    try:
        return np.asarray(np.load(path, allow_pickle=False), np.uint8)
    except (OSError, ValueError, EOFError, MemoryError, OverflowError) as error:  # a header may claim any size
        raise BundleError(f"{path}: cannot read the reference image ({error}); copy it again") from error


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
