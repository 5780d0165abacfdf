"""One suite over every engine that can run here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import open_bundle
from edge.engines.base import Engine
from edge.engines.open_engine import open_engine
from edge.errors import BundleError, EngineError, SlotError
from edge.preprocess import preprocess
from edge.slots.calibration_tensors import CalibrationTensors
from tests.standins.machine import Machine
from tests.tiny_bundle import SHAPE, part_image, write_tiny_bundle

NEUTRAL = CalibrationTensors.neutral(SHAPE)


STAND_INS = {
    "tensorrt stand-in": {},
    "tensorrt stand-in, graphs": {"version": "11.4.0.106", "graphs": True},
    "tensorrt stand-in, mapped": {"version": "10.16.1.11", "graphs": True},
}


@pytest.fixture(params=["onnxruntime", pytest.param("tensorrt", marks=pytest.mark.gpu), *STAND_INS])
def opener(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Engine]]:
    """Opens the engine on the tiny bundle. The stand-ins of TensorRT, PyCUDA and cuda-bindings keep the real ones' rules."""
    bundle = open_bundle(write_tiny_bundle(tmp_path / "opened", references=2))
    if request.param == "onnxruntime":
        yield lambda: open_engine(bundle, choice="onnxruntime")
        return
    if request.param == "tensorrt":
        monkeypatch.delitem(sys.modules, "tensorrt")
        pytest.importorskip("tensorrt", reason="needs TensorRT and a GPU")
        pytest.importorskip("pycuda.driver", reason="needs PyCUDA and NVIDIA's driver", exc_type=ImportError)
        yield lambda: open_engine(bundle, choice="tensorrt")
        return
    machine = Machine(monkeypatch).install(**STAND_INS[request.param])
    yield lambda: open_engine(bundle, image_memory="mapped" if "mapped" in request.param else "copied")
    machine.assert_clean()
    assert machine.gpu.launches


@pytest.fixture
def engine(opener: Callable[[], Engine]) -> Iterator[Engine]:
    with opener() as opened:
        yield opened


def picture(seed: int = 0, defect: bool = False) -> np.ndarray:
    return preprocess(part_image(seed, defect), 64, 64)


def by_hand(image: np.ndarray, tensors: CalibrationTensors) -> tuple[float, float, float]:
    """L1, L2 and L of the tiny graph, in float64."""
    cells = image.reshape(8, 8, 8, 8, 3).astype(float).mean(axis=(1, 3)) / 255
    cells *= np.clip(image.mean(), *tensors["brightness_range"]) / image.mean()
    z = (cells[..., :2] - tensors["feature_mean"].transpose(1, 2, 0)) * tensors["feature_scale"]
    judged = 1 - tensors["ignore_mask"]
    distance = np.linalg.norm(z[:, :, None] - tensors["centers_0"], axis=-1).min(axis=2) * judged
    error = np.abs(cells[..., 2] / cells[..., 2].mean() - 1)
    error = (error - tensors["reconstruction_offset"]) * tensors["reconstruction_scale"] * judged
    l1, l2 = float(tensors["group_weight"][0]) * distance.max(), error.max()
    return l1, l2, float(tensors["feature_weight"][0]) * l1 + float(tensors["reconstruction_weight"][0]) * l2


def test_scores_are_those_of_the_equations(engine: Engine) -> None:
    random = np.random.default_rng(0)
    tensors = NEUTRAL.replace(
        brightness_range=np.array([100.0, 120.0], np.float32),
        feature_mean=random.uniform(0.3, 0.6, (2, 8, 8)).astype(np.float32),
        feature_scale=np.array([3.0, 2.0], np.float32),
        group_weight=np.array([1.3], np.float32),
        centers_0=random.normal(0, 0.3, (16, 2)).astype(np.float32),
        reconstruction_offset=np.full((8, 8), 0.01, np.float32),
        reconstruction_scale=np.full((8, 8), 1.5, np.float32),
        ignore_mask=(random.random((8, 8)) < 0.3).astype(np.float32),
    ).with_weights(0.7, 1.9)
    engine.bind(tensors)
    for seed in range(5):
        image = picture(seed, defect=seed % 2 == 1)
        result = engine.infer(image)
        scores = (result.scores.feature_score, result.scores.reconstruction_score, result.scores.score)
        assert scores == pytest.approx(by_hand(image, tensors), rel=1e-4, abs=1e-5)
        assert result.anomaly_map.shape == (8, 8)
        assert not result.anomaly_map[tensors["ignore_mask"] == 1].any()


def test_terms_are_the_scores_before_they_are_weighted(engine: Engine) -> None:
    tensors = NEUTRAL.with_group_weights([0.7]).with_weights(2.0, 3.0)
    engine.bind(tensors)
    for seed in range(3):
        terms, scores = engine.read_terms(picture(seed, defect=seed == 1))
        assert terms.dtype == np.float64
        assert scores == engine.infer(picture(seed, defect=seed == 1)).scores
        assert terms == pytest.approx([scores.feature_score / np.float32(0.7), scores.reconstruction_score])


def test_one_pass_reads_what_two_read(engine: Engine) -> None:
    engine.bind(NEUTRAL.with_weights(2.0, 3.0))
    feature, terms, scores = engine.read_feature_and_terms(picture(4, defect=True))
    feature = feature.copy()
    terms_alone, scores_alone = engine.read_terms(picture(4, defect=True))
    assert scores == scores_alone
    assert np.array_equal(terms, terms_alone)
    alone, brightness = engine.read_feature(picture(4, defect=True))
    assert np.array_equal(feature, alone)
    assert brightness == scores.brightness


def test_a_bound_calibration_is_the_engines_own(engine: Engine) -> None:
    tensors = CalibrationTensors.neutral(SHAPE)
    engine.bind(tensors)
    before = engine.infer(picture()).scores
    for array in tensors.arrays.values():
        array[:] = 7.0
    assert engine.infer(picture()).scores == before


def test_what_is_ignored_cannot_be_seen(engine: Engine) -> None:
    engine.bind(NEUTRAL)
    good, bad = picture(3), picture(3, defect=True)
    assert engine.infer(bad).scores.feature_score > engine.infer(good).scores.feature_score
    cells = np.zeros((8, 8), np.float32)
    cells[1:6, 2:7] = 1
    engine.bind(NEUTRAL.with_ignore_mask(cells))
    assert engine.infer(bad).scores.feature_score == engine.infer(good).scores.feature_score


def test_the_same_image_scores_the_same_again_and_a_new_calibration_takes_effect(engine: Engine) -> None:
    engine.bind(NEUTRAL)
    first = engine.infer(picture()).scores
    assert engine.infer(picture()).scores == first
    engine.bind(NEUTRAL.with_weights(2.0, 0.0))
    assert engine.infer(picture()).scores.score == pytest.approx(2 * first.feature_score)


def test_a_black_image_gives_nan_and_does_not_disturb_the_next(engine: Engine) -> None:
    engine.bind(NEUTRAL)
    before = engine.infer(picture()).scores
    assert not engine.infer(np.zeros((64, 64, 3), np.uint8)).scores.finite()
    assert engine.infer(picture()).scores == before


def test_one_position_that_is_not_a_number_is_not_lost_in_a_maximum(engine: Engine) -> None:
    tensors = NEUTRAL.replace(reconstruction_offset=NEUTRAL["reconstruction_offset"].copy())
    tensors["reconstruction_offset"][3, 4] = np.nan
    with pytest.raises(SlotError, match="not finite"):
        engine.bind(tensors)
    engine._bind_impl(tensors)  # as a fault inside the engine would leave it
    engine._bound = True
    assert not engine.infer(picture()).scores.finite()


def test_features_and_reconstruction_have_their_shapes(engine: Engine) -> None:
    engine.bind(NEUTRAL)
    assert engine.read_feature(picture())[0].shape == (2, 8, 8)
    assert engine.read_reconstruction(picture()).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "wrong", [np.zeros((64, 64, 3), np.float32), np.zeros((32, 64, 3), np.uint8), np.zeros((64, 64), np.uint8), None]
)
def test_an_image_of_the_wrong_kind_is_refused(engine: Engine, wrong: object) -> None:
    engine.bind(NEUTRAL)
    with pytest.raises(EngineError, match=r"expects uint8 \(64, 64, 3\)"):
        engine.infer(wrong)  # type: ignore[arg-type]


def test_use_out_of_order_is_refused(opener: Callable[[], Engine]) -> None:
    engine = opener()
    with pytest.raises(EngineError, match="has no calibration"):
        engine.infer(picture())
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        engine.bind(NEUTRAL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"centers_0": np.zeros((8, 2), np.float32)}, "centers_0 should be float32"),
        ({"centers_0": np.zeros((16, 2), np.float64)}, "centers_0 should be float32"),
        ({"feature_mean": np.full((2, 8, 8), np.nan, np.float32)}, "not finite"),
        ({"feature_weight": np.array([-1], np.float32)}, "must be ≥ 0"),
        ({"group_weight": np.zeros(1, np.float32)}, "not all 0"),
        ({"feature_scale": np.zeros(2, np.float32)}, "scales must be above 0"),
        ({"ignore_mask": np.ones((8, 8), np.float32)}, "leave something to judge"),
    ],
)
def test_a_calibration_that_makes_no_sense_is_refused(engine: Engine, change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(SlotError, match=message):
        engine.bind(NEUTRAL.replace(**change))


def test_a_model_file_that_is_no_model(bundle_dir: Path) -> None:
    bundle = open_bundle(bundle_dir)
    (bundle_dir / "model.fp32.onnx").write_bytes(b"not a model")
    with pytest.raises(BundleError, match="cannot load it"):
        open_engine(bundle)


def test_a_bind_that_fails_half_way_leaves_nothing_bound(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.bind(NEUTRAL)
    before = engine.infer(picture()).scores

    def fail(tensors: CalibrationTensors) -> None:
        raise RuntimeError("the device is out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_bind_impl", fail)
        with pytest.raises(RuntimeError):
            engine.bind(NEUTRAL)
    with pytest.raises(EngineError, match="has no calibration"):
        engine.infer(picture())
    with pytest.raises(EngineError, match="has no calibration"):
        engine.read_feature(picture())
    engine.bind(NEUTRAL)
    assert engine.infer(picture()).scores == before


def test_tensors_that_do_not_fit_leave_the_old_ones_bound(engine: Engine) -> None:
    engine.bind(NEUTRAL)
    before = engine.infer(picture()).scores
    with pytest.raises(SlotError):
        engine.bind(NEUTRAL.replace(group_weight=np.ones(3, np.float32)))
    assert engine.infer(picture()).scores == before
