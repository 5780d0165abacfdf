"""From a checkpoint to a bundle: one graph, one arithmetic, and a gate that writes nothing when they differ."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnx.numpy_helper
import pytest

pytest.importorskip("torch")
import torch
from safetensors.numpy import load_file, save_file

from calibration.cli import main as calibrate_main
from edge.bundle import open_bundle
from edge.engines.open_engine import open_engine
from edge.errors import ConfigError
from edge.graph_contract import FeatureGroup, FeatureNorm
from edge.line.station_view import station_view
from edge.pictures.image_file import read_image
from edge.preprocess import preprocess
from edge.slots.calibration_slot import SlotStore
from edge.slots.calibration_tensors import CalibrationTensors
from edge.station_config import StationConfig
from tests.trainer.conftest import SMALL, demo_dir  # noqa: F401 - a fixture
from tools import export_onnx, precision_models, precision_search
from tools.demo_images import demo_image
from tools.export_cli import main
from tools.inspection_graph import InspectionGraph, feature_distance
from trainer import checkpoint
from trainer.model import Model
from trainer.train_config import TrainConfig
from trainer.training_run import train

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def run(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    from rich.console import Console

    out = tmp_path_factory.mktemp("export") / "run"
    train(demo_dir, out, TrainConfig.model_validate(SMALL), Console(quiet=True))
    return out


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "bundle"
    assert main([str(run), "--out", str(out), "--precision", "fp32,fp16,int8,int8-cpu"]) == 0
    return out


def test_the_bundle_opens_and_says_what_the_gate_found(bundle: Path) -> None:
    manifest = open_bundle(bundle).manifest
    assert set(manifest.parity) == {"images", "runtime", "fp32", "fp16", "int8", "int8-cpu"}
    assert manifest.parity["fp32"]["decision_flips"] == 0
    assert manifest.parity["fp32"]["largest_relative_difference"] < 1e-4
    assert manifest.parity["fp16"]["largest_relative_difference"] < 1e-2
    assert manifest.parity["fp16"]["lowest_map_correlation"] > 0.999
    assert open_bundle(bundle).precisions() == ["fp16", "fp32", "int8", "int8-cpu"]
    assert manifest.precision_tolerance == {"fp16": 0.02, "int8": 0.05, "int8-cpu": 0.05}
    assert len(manifest.learned_images) > 10
    assert manifest.training["config"]["input_size"] == 128


def test_onnx_and_checkpoint_agree_on_every_output(run: Path, bundle: Path, demo_dir: Path) -> None:  # noqa: F811
    graph = InspectionGraph(checkpoint.load(run)[0]).eval()
    opened = open_bundle(bundle)
    shape = opened.manifest.graph
    random = np.random.default_rng(0)
    tensors = {n: random.uniform(0.5, 1.5, s).astype(np.float32) for n, s in CalibrationTensors.shapes(shape).items()}
    tensors["ignore_mask"] = np.zeros_like(tensors["ignore_mask"])
    tensors["ignore_mask"][2:4] = 1
    tensors["brightness_range"] = np.array([150.0, 160.0], np.float32)
    calibration = CalibrationTensors(tensors)
    image = preprocess(read_image(demo_dir / "00.png").image, shape.height, shape.width)
    with torch.no_grad():
        expected = graph(*graph.arguments(torch.from_numpy(image)[None], calibration))
    with open_engine(opened) as engine:
        engine.bind(calibration)
        result = engine.infer(image)
        assert result.scores.feature_score == pytest.approx(float(expected[0]), rel=1e-4)
        assert result.scores.reconstruction_score == pytest.approx(float(expected[1]), rel=1e-4)
        assert result.scores.score == pytest.approx(float(expected[2]), rel=1e-4)
        assert result.anomaly_map == pytest.approx(expected[3][0].numpy(), rel=1e-3, abs=1e-4)
        assert result.scores.brightness == pytest.approx(cv_grey(image).mean() / 255, rel=1e-3)
        assert result.scores.saturation == pytest.approx((cv_grey(image) >= 250).mean(), abs=1e-3)
        assert engine.read_feature(image)[0] == pytest.approx(expected[6][0].numpy(), rel=1e-3, abs=1e-4)
        terms, scores = engine.read_terms(image)
        assert scores == result.scores
        for group in range(len(shape.groups)):
            engine.bind(calibration.with_group_weights([float(group == other) for other in range(len(shape.groups))]))
            assert engine.infer(image).scores.feature_score == terms[group]
        assert terms[-1] == scores.reconstruction_score


def cv_grey(image: np.ndarray) -> np.ndarray:
    return image.astype(float) @ np.array([0.114, 0.587, 0.299])


def test_the_reference_images_score_as_the_manifest_says(bundle: Path) -> None:
    opened = open_bundle(bundle)
    with open_engine(opened) as engine:
        engine.bind(opened.start_calibration())
        assert len(opened.manifest.reference_images) == 2
        for reference in opened.manifest.reference_images:
            score = engine.infer(np.load(bundle / reference.file)).scores.score
            assert score == pytest.approx(reference.score, abs=reference.tolerance)


def test_the_graph_keeps_to_what_tensorrt_takes(bundle: Path) -> None:
    model = onnx.load(bundle / "model.fp32.onnx")
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"ConvTranspose", "NonZero", "Loop", "If", "Scan", "QuantizeLinear", "BatchNormalization"}
    readers = [node.op_type for node in model.graph.node if "image" in node.input]
    assert readers == ["Cast"]
    assert [opset.version for opset in model.opset_import if opset.domain == ""] == [19]
    for value in (*model.graph.input, *model.graph.output):
        assert all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim)
    assert b"site-packages" not in (bundle / "model.fp32.onnx").read_bytes()


def test_a_graph_that_scores_differently_writes_no_bundle(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exported graph gets another weight than the checkpoint: the gate must see it."""
    export = export_onnx.write_onnx

    def spoiled(graph: InspectionGraph, *arguments: object) -> None:
        weight = graph.model.decoder.to_image.weight
        with torch.no_grad():
            kept = weight.clone()
            weight.mul_(1.5)
            export(graph, *arguments)  # type: ignore[arg-type]
            weight.copy_(kept)

    monkeypatch.setattr(export_onnx, "write_onnx", spoiled)
    assert main([str(run), "--out", str(tmp_path / "bundle")]) == 1
    assert "parity gate failed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("layer", "said_why"),
    [
        ("head.0.weight", "scores differ from the checkpoint's by up to"),
        ("to_image.weight", "a reconstruction is not the checkpoint's"),
    ],
)
def test_an_fp16_model_with_one_spoilt_layer_is_left_out_and_the_rest_is_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layer: str, said_why: str
) -> None:
    """The FP16 graph gets another weight than the checkpoint: the command fails, and says what is there."""
    convert = precision_models.convert_fp16

    def spoiled(model: onnx.ModelProto, kept: list[str]) -> onnx.ModelProto:
        half = convert(model, kept)
        weight = next(tensor for tensor in half.graph.initializer if layer in tensor.name)
        weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * np.float16(1.5), weight.name))
        return half

    monkeypatch.setattr(precision_models, "convert_fp16", spoiled)
    monkeypatch.setattr(precision_search, "KEPT", (0, 1))
    assert main([str(run), "--out", str(tmp_path / "bundle"), "--precision", "fp16"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "fp16 was refused and is not in" in said
    assert said_why in said
    assert "those that hurt most" in said
    opened = open_bundle(tmp_path / "bundle")
    assert opened.precisions() == ["fp32"]
    assert "fp16" not in opened.manifest.parity
    assert not (tmp_path / "bundle" / "model.fp16.onnx").exists()


@pytest.mark.parametrize("precision", ["fp16", "int8-cpu"])
def test_every_precision_is_calibrated_like_any_other(bundle: Path, tmp_path: Path, precision: str) -> None:
    folder, random = tmp_path / "normal", np.random.default_rng(5)
    folder.mkdir()
    for index in range(40):
        cv2.imwrite(str(folder / f"{index}.png"), demo_image(random)[0])
    state = tmp_path / "state"
    asked = ["--bundle", str(bundle), "--state", str(state), "--precision", precision, "--accept"]
    assert calibrate_main([str(folder), *asked]) == 0
    opened = open_bundle(bundle)
    with open_engine(opened, precision) as engine:
        slot = SlotStore(state, opened).current(
            precision, engine.runtime, station_view(StationConfig(), opened.manifest.graph).view
        )
    assert slot.record.precision == precision
    assert slot.record.model_sha256 == opened.model_sha256(precision)


def test_the_model_for_tensorrt_runs_nowhere_else(bundle: Path) -> None:
    with pytest.raises(ConfigError, match=r"the int8 model is for TensorRT.*use --precision int8-cpu"):
        open_engine(open_bundle(bundle), "int8", choice="onnxruntime")


def test_bad_input(run: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none"), "--out", str(tmp_path / "bundle")]) == 2
    assert "make one with edge-train" in capsys.readouterr().err
    assert main([str(run), "--out", str(bundle)]) == 2
    assert "exists already" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main([str(run), "--out", str(tmp_path / "file" / "bundle")]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert main([str(run), "--out", str(tmp_path / "bundle"), "--precision", "fp32,half"]) == 2
    assert "expected names by commas of fp32, fp16, int8, int8-cpu, got 'half'" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("--calib", "none"), "add --precision int8 or int8-cpu"),
        (("--calib", "none", "--precision", "fp16"), "add --precision int8 or int8-cpu"),
        (("--labelled", "none"), "add --precision fp16"),
        (("--labelled", "none", "--precision", "fp16"), "none: expected the folders test/good"),
    ],
)
def test_a_folder_is_looked_at_or_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: tuple[str, ...], message: str
) -> None:
    assert main([str(run), "--out", str(tmp_path / "bundle"), *asked]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_bytes(file.read_bytes()[:1000]), "cannot read it"),
        (lambda file: file.write_bytes(b""), "cannot read it"),
        (lambda file: save_file({"group_0": np.zeros((3, 2, 2), np.float16)}, file), "features of this run's model"),
        (
            lambda file: save_file({k: np.full_like(v, np.nan) for k, v in load_file(file).items()}, file),
            "features of this run's model",
        ),
    ],
)
def test_damaged_features_are_one_line_and_exit_code_2(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object], message: str
) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    damage(copied / checkpoint.FEATURES)
    assert main([str(copied), "--out", str(tmp_path / "bundle")]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "bundle").exists()


def test_an_unfinished_run_is_not_exported(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, record = checkpoint.load(run)
    content = record.model_dump(exclude={"weights_sha256"}) | {"finished": False}
    checkpoint.save(tmp_path, Model(record.config), content, {})
    assert main([str(tmp_path), "--out", str(tmp_path / "bundle")]) == 2
    assert "not finished" in " ".join(capsys.readouterr().err.split())


def test_every_norm_against_an_independent_reference() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3, 5, 4, generator=generator)
    centers, whitening = torch.randn(7, 3, generator=generator), torch.randn(20, 3, 3, generator=generator)
    rows = z.reshape(3, 20).T

    def distance(norm: FeatureNorm) -> torch.Tensor:
        return feature_distance(z, FeatureGroup(channels=3, norm=norm), centers, whitening).flatten()

    assert torch.allclose(distance("nearest"), torch.cdist(rows, centers).amin(1), atol=1e-5)
    assert torch.allclose(distance("l2"), torch.linalg.vector_norm(rows, dim=1))
    assert torch.allclose(distance("l1"), torch.linalg.vector_norm(rows, ord=1, dim=1))
    whitened = torch.stack([matrix @ row for matrix, row in zip(whitening, rows, strict=True)])
    assert torch.allclose(distance("mahalanobis"), torch.linalg.vector_norm(whitened, dim=1), atol=1e-5)


def test_other_images_than_those_of_the_training_serve_too(run: Path, tmp_path: Path) -> None:
    """None of them was learned from, so all may say how reliable the terms are; the bundle opens and calibrates."""
    folder, random = tmp_path / "others", np.random.default_rng(77)
    folder.mkdir()
    for index in range(12):
        cv2.imwrite(str(folder / f"{index}.png"), demo_image(random)[0])
    assert main([str(run), "--out", str(tmp_path / "bundle"), "--images", str(folder)]) == 0
    reliability = open_bundle(tmp_path / "bundle").manifest.reliability
    assert len(reliability) == 3
    assert max(reliability) == 1
    assert min(reliability) < 1
