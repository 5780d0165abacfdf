"""C and the norm's statistics from features of normal images (METHOD: C is a set of centres)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge.calibration_tensors import Array, CalibrationTensors
from edge.graph_contract import GraphShape

MAXIMUM_CANDIDATES = 40_000


def derive_center(sample: Array, shape: GraphShape, seed: int = 0) -> CalibrationTensors:
    """Mean, scale and centres from ``sample`` (n×D rows of Z).

    Each group is centred on its mean and scaled by one number, the root mean square length, so that the groups' distances
    compare; within a group the metric of Z is kept. Centres are a greedy k-centre cover, which keeps rare normal texture
    that averaging (k-means) would lose. Fewer rows than K are padded by repetition, exact for the nearest.
    """
    sample = sample[:MAXIMUM_CANDIDATES] if len(sample) > MAXIMUM_CANDIDATES else sample
    width = shape.channels // shape.groups
    mean = sample.mean(axis=0, dtype=np.float64)
    scale = np.empty(shape.channels)
    centers = np.empty((shape.groups, shape.centers, width), np.float32)
    for group in range(shape.groups):
        part = slice(group * width, (group + 1) * width)
        centred = sample[:, part] - mean[part]
        scale[part] = 1.0 / max(float(np.sqrt(np.mean(centred**2))), 1e-6)
        chosen = k_center((centred * scale[part]).astype(np.float32), shape.centers, seed)
        centers[group] = chosen[np.arange(shape.centers) % len(chosen)]
    neutral = CalibrationTensors.neutral(shape)
    return replace(neutral, feature_mean=mean.astype(np.float32), feature_scale=scale.astype(np.float32), centers=centers)


def k_center(rows: Array, count: int, seed: int = 0) -> Array:
    """``count`` of ``rows`` (n×d), each next one the farthest from those chosen (Gonzalez 1985); all of them if n ≤ count."""
    if len(rows) <= count:
        return rows
    square = np.einsum("nd,nd->n", rows, rows)
    nearest = np.full(len(rows), np.inf, np.float32)
    index = int(np.random.default_rng(seed).integers(len(rows)))
    chosen = []
    for _ in range(count):
        chosen.append(index)
        distance = square + square[index] - 2.0 * (rows @ rows[index])
        np.minimum(nearest, distance, out=nearest)
        index = int(nearest.argmax())
    return rows[chosen]


def sample_positions(feature: Array, count: int, seed: int) -> Array:
    """``count`` positions of Z (D×…, any number of positions) as rows; which ones depends on ``seed`` alone."""
    rows = feature.reshape(len(feature), -1).T
    picked = np.random.default_rng(seed).permutation(len(rows))[:count]
    return np.ascontiguousarray(rows[picked])
