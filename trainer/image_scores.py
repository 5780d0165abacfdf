"""How unusual each image of a training run is to the model it gave; for people to look at, not for decisions."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from trainer.train_loop import Cache, TrainLoop

FEWEST_HELD_OUT = 5
MAPS_FOR_RANGE = 64

Floats = NDArray[np.float64]


class ImageScores:
    """L1 and L2 of every image, standardised by the held-out normals and added; the largest over positions counts.

    L1 is the distance of Z from the one C of training, in the scale of the start; calibration later uses many centres.
    Where fewer than 5 images are held out, all images together give mean and spread. ``learned``, ``held_out``: N.
    ``heat_range``: from what 1 in 20 positions of held-out images reach, to the highest held-out score.
    """

    def __init__(self, loop: TrainLoop) -> None:
        self.loop = loop
        learned, held_out = (_largest(loop, cache) for cache in (loop.cache, loop.held_out))
        reference = held_out if len(held_out) >= FEWEST_HELD_OUT else np.concatenate([learned, held_out])
        self.mean, self.spread = reference.mean(0), np.maximum(reference.std(0), 1e-12)
        self.learned, self.held_out = (((one - self.mean) / self.spread).sum(1) for one in (learned, held_out))
        maps = np.stack([self.heat_map(loop.held_out, index) for index in range(min(len(held_out), MAPS_FOR_RANGE))])
        low = float(np.quantile(maps, 0.95))
        self.heat_range = low, max(float(self.held_out.max()), low + 1)

    def heat_map(self, cache: Cache, index: int) -> Floats:
        """h×w: both maps of one image, standardised as the scores are; no position is above the image's score."""
        maps = _maps(self.loop, cache, index, index + 1)[0]
        return np.asarray(((maps - self.mean[:, None, None]) / self.spread[:, None, None]).sum(0))


def _largest(loop: TrainLoop, cache: Cache) -> Floats:
    """N×2: the largest L1 and L2 over the positions of each image."""
    count = len(cache)
    return np.concatenate([_maps(loop, cache, start, start + 16).max((2, 3)) for start in range(0, count, 16)])


def _maps(loop: TrainLoop, cache: Cache, start: int, end: int) -> Floats:
    """N×2×g×g: at each position of the decoder's grid the largest ‖(Z − C)·scale‖, and the error map of L2."""
    model, image = loop.model, cache.image[start:end]
    with torch.no_grad():
        frozen = cache.frozen(model, slice(start, end))
        feature = model.encoder(frozen)
        distance = ((feature - model.center) * loop.scale).square().sum(1, keepdim=True).sqrt()
        image_hat, feature_hat = model.decoder(feature)
        error = model.error_map(image_hat, feature_hat, image, frozen)
        grid = error.shape[2:]
        distance = F.adaptive_max_pool2d(distance, grid) if distance.shape[2] > grid[0] else F.interpolate(distance, grid)
    return np.asarray(torch.cat([distance, error], 1).double().cpu())
