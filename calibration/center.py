"""C and the norm's statistics from features of normal images (METHOD: C is a mean, or a set of centres)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.feature_moments import GroupMoments, MomentSums
from edge.graph_contract import FeatureGroup, GraphShape
from edge.slots.calibration_tensors import Array, CalibrationTensors, centers_name, whitening_name

Features = list[NDArray[np.float16]]
"""Z of N images, one array a group, N×channels×h'×w' on the group's own grid; half precision, so that hundreds of images fit."""

MAXIMUM_CANDIDATES = 30_000
SHRINKAGE = 0.3
"""Share of the covariance pooled over all positions that is mixed into each position's own: few images cannot fill a matrix."""
RIDGE = 0.01
"""Of the mean variance, added to the diagonal: a channel that hardly varies must not rule the distance."""
BLOCK = 2_048
"""Rows compared with all centres at once: 17 MB at 2048 centres."""


def own_grid(feature: Array, shape: GraphShape) -> list[Array]:
    """Z (D×h×w) as one array a group on its own grid."""
    return [
        feature[part, :: group.stride, :: group.stride]
        for part, group in zip(shape.channel_slices(), shape.groups, strict=True)
    ]  # fmt: skip


def derive_center(
    features: Features, shape: GraphShape, ignore_mask: Array | None = None, center: Array | None = None, seed: int = 0
) -> CalibrationTensors:
    """The norm's tensors from ``features``; all else neutral. See ``center_from_moments``."""
    sums = MomentSums(shape)
    for index in range(len(features[0])):
        sums.add([group[index] for group in features])
    return center_from_moments(sums.moments(), features, shape, ignore_mask, center, seed)


def center_from_moments(
    moments: list[GroupMoments],
    sample: Features,
    shape: GraphShape,
    ignore_mask: Array | None = None,
    center: Array | None = None,
    seed: int = 0,
    rows: NDArray[np.intp] | None = None,
) -> CalibrationTensors:
    """The norm's tensors: means and covariances from the ``moments`` of all images, centres from a ``sample`` of them.

    rows: which of the sample; all by default. A group without the norm "nearest" needs none.
    ignore_mask [map_height, map_width]: positions that are not judged set nothing. center [D, h, w]: the C of the l2, l1 and
    mahalanobis norms where training kept one (the moving average, for instance), instead of the mean of the images.
    Each group is scaled by one number, the root mean square length of its centred features, so that within a group the metric
    of Z is kept. All else is neutral.
    """
    tensors = CalibrationTensors.neutral(shape)
    mean, scale = tensors["feature_mean"].copy(), tensors["feature_scale"].copy()
    statistics: dict[str, Array] = {}
    for index, (part, group) in enumerate(zip(shape.channel_slices(), shape.groups, strict=True)):
        judged = judged_cells(shape, group, ignore_mask)
        own = moments[index].mean()
        if group.norm == "nearest":
            own = np.zeros_like(own) + own[:, judged].mean(axis=1)[:, None, None]
        elif center is not None:
            own = center[part, :: group.stride, :: group.stride].astype(np.float64)
        size = 1.0 / max(moments[index].root_mean_square(own, judged), 1e-6)
        mean[part] = np.repeat(np.repeat(own, group.stride, axis=1), group.stride, axis=2)
        scale[part] = size
        if group.norm == "nearest":
            chosen = cover(sample[index], own[:, 0, 0], size, judged, shape.centers, seed, rows)
            statistics[centers_name(index)] = chosen[np.arange(shape.centers) % len(chosen)]
        if group.norm == "mahalanobis":
            covariance = moments[index].covariance(own)
            covariance *= size**2
            statistics[whitening_name(index)] = whitening(covariance)
    return tensors.replace(feature_mean=mean, feature_scale=scale, **statistics)


def cover(
    features: NDArray[np.float16],
    mean: NDArray[np.floating[Any]],
    scale: float,
    judged: NDArray[np.bool_],
    count: int,
    seed: int,
    images: NDArray[np.intp] | None = None,
) -> Array:
    """``count`` centres that cover every judged position of ``features`` (N×d×h×w), in the scale of z.

    images: which of the N; all by default. They are not copied.

    A greedy cover keeps rare normal texture that averaging (k-means) would lose. One over millions of rows takes too long, so half
    of the centres cover a random sample, and the other half the positions that these leave farthest, over all images.
    """
    images = np.arange(len(features)) if images is None else images
    rows = _sample(features, images, judged, MAXIMUM_CANDIDATES, seed)
    total = len(images) * int(judged.sum())
    if total <= MAXIMUM_CANDIDATES:
        return k_center(((rows - mean) * scale).astype(np.float32), count, seed)
    first = k_center(((rows - mean) * scale).astype(np.float32), count // 2, seed)
    square = np.einsum("kd,kd->k", first, first)
    blocks, distances = [], []
    for block in _rows(features, images, judged):
        z = ((block - mean) * scale).astype(np.float32)
        distance = _nearest(z, first, square) + np.einsum("nd,nd->n", z, z)
        keep = np.argsort(-distance, kind="stable")[:MAXIMUM_CANDIDATES]
        blocks.append(z[keep])
        distances.append(distance[keep])
        if len(blocks) > 8:  # bounded memory: only the farthest so far are of interest
            blocks, distances = _farthest(blocks, distances)
    blocks, distances = _farthest(blocks, distances)
    return np.concatenate([first, k_center(blocks[0], count - len(first), seed, given=first)])


def k_center(rows: Array, count: int, seed: int = 0, given: Array | None = None) -> Array:
    """``count`` of ``rows`` (n×d), each next one the farthest from those chosen (Gonzalez 1985) and ``given``; all if n ≤ count."""
    if len(rows) <= count:
        return rows
    square = np.einsum("nd,nd->n", rows, rows)
    nearest = np.full(len(rows), np.inf, np.float32)
    if given is not None:
        given_square = np.einsum("kd,kd->k", given, given)
        for part in range(0, len(rows), BLOCK):
            nearest[part : part + BLOCK] = _nearest(rows[part : part + BLOCK], given, given_square)
        nearest += square
        index = int(nearest.argmax())
    else:
        index = int(np.random.default_rng(seed).integers(len(rows)))
    chosen = []
    for _ in range(count):
        chosen.append(index)
        distance = square + square[index] - 2.0 * (rows @ rows[index])
        np.minimum(nearest, distance, out=nearest)
        index = int(nearest.argmax())
    return rows[chosen]


def whitening(covariance: NDArray[np.float64]) -> Array:
    """A [h·w, d, d] for the ``covariance`` [h·w, d, d] at each position, with AᵀA = Σ⁻¹, so that ‖A·z‖ is the Mahalanobis length.

    Σ = (1 − s)·(the position's covariance) + s·(the mean over positions) + ridge; Defard et al., "PaDiM" (2021), with shrinkage.
    """
    channels = covariance.shape[-1]
    pooled = covariance.mean(axis=0)
    ridge = max(RIDGE * float(np.trace(pooled)) / channels, 1e-9)
    return whiten((1.0 - SHRINKAGE) * covariance + (SHRINKAGE * pooled + ridge * np.eye(channels)))


def whiten(covariance: NDArray[np.float64]) -> Array:
    """A [h·w, d, d] with AᵀA the inverse of each of ``covariance``, as it is."""
    lower = np.linalg.cholesky(np.linalg.inv(covariance))
    return np.ascontiguousarray(lower.transpose(0, 2, 1)).astype(np.float32)


def judged_cells(shape: GraphShape, group: FeatureGroup, ignore_mask: Array | None) -> NDArray[np.bool_]:
    """Which cells of the group's own grid hold a judged position of the map."""
    height, width = shape.group_grid(group)
    if ignore_mask is None:
        return np.ones((height, width), bool)
    tall, wide = shape.map_height // height, shape.map_width // width
    judged = np.asarray(ignore_mask < 0.5).reshape(height, tall, width, wide).any(axis=(1, 3))
    return np.asarray(judged)


def _rows(features: NDArray[np.float16], images: NDArray[np.intp], judged: NDArray[np.bool_]) -> Iterator[Array]:
    """All judged positions of ``images`` as rows of d, float32, in blocks of some images."""
    step = max(1, BLOCK // int(judged.sum()))
    for start in range(0, len(images), step):
        block = features[images[start : start + step]][:, :, judged]
        yield np.ascontiguousarray(block.transpose(0, 2, 1)).reshape(-1, features.shape[1]).astype(np.float32)


def _sample(features: NDArray[np.float16], images: NDArray[np.intp], judged: NDArray[np.bool_], count: int, seed: int) -> Array:
    """``count`` judged positions of ``images``, chosen at random by ``seed``; all of them where there are no more."""
    random = np.random.default_rng(seed)
    positions = np.argwhere(judged)
    total = len(images) * len(positions)
    picked = np.arange(total) if total <= count else np.sort(random.choice(total, count, replace=False))
    image, place = picked // len(positions), positions[picked % len(positions)]
    rows: Array = features[images[image], :, place[:, 0], place[:, 1]].astype(np.float32)
    return rows


def _nearest(rows: Array, centers: Array, square: Array) -> Array:
    """Squared distance of each row to its nearest centre, less the row's own square, which is the same for all; in one matrix."""
    products = rows @ centers.T
    products *= -2.0
    products += square
    return np.asarray(products.min(axis=1))


def _farthest(blocks: list[Array], distances: list[Array]) -> tuple[list[Array], list[Array]]:
    """The MAXIMUM_CANDIDATES rows of the largest distance, as one block."""
    rows, distance = np.concatenate(blocks), np.concatenate(distances)
    keep = np.argsort(-distance, kind="stable")[:MAXIMUM_CANDIDATES]
    return [rows[keep]], [distance[keep]]
