from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import convolve2d

from edge.pictures.image_quality import image_quality, reduced, rounded
from tests.different_parts import different_part


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(3, 40), width=st.integers(3, 40))
def test_it_is_the_mean_grey_the_saturated_share_and_the_mean_squared_laplacian(seed: int, height: int, width: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    grey = image.astype(np.float64) @ [0.114, 0.587, 0.299]
    laplacian = convolve2d(grey, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], mode="valid")
    quality = image_quality(image)
    assert quality.brightness == pytest.approx(grey.mean() / 255, rel=1e-5)
    assert quality.saturation == pytest.approx((grey >= 250).mean())
    assert quality.sharpness == pytest.approx(np.square(laplacian).mean(), rel=1e-4)


def test_the_graph_says_the_same() -> None:
    torch = pytest.importorskip("torch")
    from edge.slots.calibration_tensors import CalibrationTensors
    from tests.trainer.conftest import SMALL
    from tools.inspection_graph import InspectionGraph
    from trainer.model import Model
    from trainer.train_config import TrainConfig

    graph = InspectionGraph(Model(TrainConfig.model_validate(SMALL))).eval()
    image = cv2.resize(different_part(3), (graph.shape.width, graph.shape.height))
    image[:5] = 255
    with torch.no_grad():
        outputs = graph(*graph.arguments(torch.from_numpy(image)[None], CalibrationTensors.neutral(graph.shape)))
    quality = image_quality(image)
    assert outputs[5].tolist() == pytest.approx([quality.brightness, quality.saturation, quality.sharpness], rel=1e-4)


def test_it_is_measured_at_one_size_and_a_small_picture_stays_as_it_is() -> None:
    assert reduced(different_part(0), 128).shape == (96, 128, 3)
    small = different_part(0)
    assert reduced(small) is small
    assert rounded(image_quality(small)).sharpness == pytest.approx(image_quality(small).sharpness, rel=1e-3)
