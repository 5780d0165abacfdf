"""C of the trainer, updated with the site's: means and covariances mixed by weight, the sets of centres united and thinned."""

from __future__ import annotations

import numpy as np

from calibration.center import judged_cells, k_center, whiten
from edge.graph_contract import GraphShape
from edge.slots.calibration_tensors import Array, CalibrationTensors, centers_name, whitening_name


def blend_center(
    start: CalibrationTensors, site: CalibrationTensors, share: float, shape: GraphShape, ignore_mask: Array | None = None
) -> CalibrationTensors:
    """The norm's tensors of ``start``, with ``share`` (0…1) of ``site``; all else is ``site``'s.

    Mean, scale and covariance are those of a population of which ``share`` comes from the site (law of total variance); the
    covariances keep the shrinkage each came with. The range of brightness covers both.
    ignore_mask: of the map, as in ``derive_center``.
    """
    mean, scale = site["feature_mean"].copy(), site["feature_scale"].copy()
    statistics: dict[str, Array] = {}
    for index, (part, group) in enumerate(zip(shape.channel_slices(), shape.groups, strict=True)):
        judged = judged_cells(shape, group, ignore_mask)
        means = [one["feature_mean"][part, :: group.stride, :: group.stride].astype(np.float64) for one in (start, site)]
        sizes = [one["feature_scale"][part].astype(np.float64)[0] for one in (start, site)]
        own = (1.0 - share) * means[0] + share * means[1]
        apart = means[1] - means[0]
        between = share * (1.0 - share)
        square = (1.0 - share) / sizes[0] ** 2 + share / sizes[1] ** 2 + between * float(np.square(apart[:, judged]).mean())
        size = 1.0 / np.sqrt(square)
        mean[part] = np.repeat(np.repeat(own, group.stride, axis=1), group.stride, axis=2)
        scale[part] = size
        if group.norm == "nearest":
            name, offset = centers_name(index), own[:, 0, 0]
            rows = [
                (one[name] / one_size + one_mean[:, 0, 0] - offset) * size
                for one, one_size, one_mean in zip((start, site), sizes, means, strict=True)
            ]
            union = np.unique(np.concatenate(rows).astype(np.float32), axis=0)
            chosen = k_center(union, shape.centers)
            statistics[name] = chosen[np.arange(shape.centers) % len(chosen)]
        if group.norm == "mahalanobis":
            name = whitening_name(index)
            first, second = (_covariance(one[name]) / one_size**2 for one, one_size in zip((start, site), sizes, strict=True))
            rows_apart = apart.reshape(len(apart), -1).T
            mixed = (1.0 - share) * first + share * second + between * rows_apart[:, :, None] * rows_apart[:, None]
            statistics[name] = whiten(mixed * size**2)
    lows, highs = np.stack([start["brightness_range"], site["brightness_range"]], axis=1)
    both = np.array([lows.min(), highs.max()], np.float32)
    return site.replace(brightness_range=both, feature_mean=mean, feature_scale=scale, **statistics)


def _covariance(whitening: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Σ [h·w, d, d] of A with AᵀA = Σ⁻¹."""
    matrices = whitening.astype(np.float64)
    return np.asarray(np.linalg.inv(matrices.transpose(0, 2, 1) @ matrices))
