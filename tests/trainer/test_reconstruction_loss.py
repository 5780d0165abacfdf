"""L2 in its three kinds, against arithmetic by hand and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from trainer.reconstruction_loss import reconstruction_error
from trainer.ssim import ssim_error


def test_perceptual_is_the_squared_image_error_plus_the_cosine_distance_of_each_group() -> None:
    random = np.random.default_rng(0)
    image, image_hat = random.random((2, 1, 3, 1, 1))
    target, feature_hat = random.normal(size=(2, 1, 8, 1, 1))
    groups = [(target[0, part, 0, 0], feature_hat[0, part, 0, 0]) for part in (slice(0, 3), slice(3, 8))]
    cosine = sum(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in groups)
    arrays = [torch.from_numpy(one) for one in (image_hat, feature_hat, image, target)]
    pixels = ((image - image_hat) ** 2).sum()
    assert float(reconstruction_error("perceptual", *arrays, widths=[3, 5])) == pytest.approx(pixels + cosine, rel=1e-5)
    assert float(reconstruction_error("l2", *arrays, widths=[3, 5])) == pytest.approx(pixels, rel=1e-6)


def test_ssim_is_scikit_images() -> None:
    random = np.random.default_rng(1)
    image = random.random((20, 24, 3))
    image_hat = np.clip(image + random.normal(0, 0.2, image.shape), 0, 1)
    _, reference = structural_similarity(image, image_hat, channel_axis=2, data_range=1.0, full=True)
    a, b = (torch.from_numpy(one).permute(2, 0, 1)[None] for one in (image_hat, image))
    error = ssim_error(a, b)[0, 0].numpy()
    inside = (slice(3, -3), slice(3, -3))
    assert error[inside] == pytest.approx(1 - reference.mean(axis=2)[inside], abs=1e-6)
    assert float(ssim_error(b, b).abs().max()) < 1e-9
    smoothed = reconstruction_error("ssim", a, a[:, :0], b, b[:, :0], [])
    assert smoothed.shape == (1, 1, 20, 24)
