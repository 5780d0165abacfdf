"""The picture of a calibration: histograms of L1, L2 and L over the good images, with the threshold; and of others checked."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from calibration.derive import Derived
from edge.verdict import Scores

TITLES = {"feature_score": "L1 · feature", "reconstruction_score": "L2 · reconstruction", "score": "L · both"}


def histogram_png(derived: Derived, title: str, checked: Sequence[Scores] = ()) -> bytes:
    """A PNG of 1500×500 pixels. checked: of defective parts given to --check; those that are not finite are left out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5), dpi=100, layout="constrained")
    for axis, (name, label) in zip(figure.subplots(1, len(TITLES)), TITLES.items(), strict=True):
        values = np.array([getattr(one, name) for one in derived.judged])
        others = np.array([getattr(one, name) for one in checked if one.finite()])
        count = min(40, max(8, len(values) // 5))
        bins = np.histogram_bin_edges(values, count)
        axis.hist(values, bins.tolist(), color="#4c8a57", label="good images")
        if len(others):
            # Those far above lie together at the right edge, so that the good ones keep their room.
            end = max(float(bins[-1]), derived.threshold if name == "score" else 0.0)
            end += 0.5 * (end - float(bins[0]))
            wider = np.linspace(float(bins[0]), end, int(1.5 * count) + 1)
            axis.hist(
                np.clip(others, wider[0], end),
                wider.tolist(),
                color="#8a6d4c",
                alpha=0.6,
                label="defective, checked (last bar: all above)",
            )
        axis.set_xlabel(label)
        axis.set_ylabel("images")
        if name == "score":
            axis.axvline(derived.threshold, color="#b3261e", linewidth=2, label=f"threshold {derived.threshold:.4g}")
            right = max(derived.threshold, values.max()) + 0.15 * (derived.threshold - values.min())
            axis.set_xlim(right=max(right, axis.get_xlim()[1]))
        if name == "score" or len(others):
            axis.legend()
    promise = derived.promise
    title = title.encode("utf-8", "backslashreplace").decode()  # a folder's name need not be UTF-8
    title = title.replace("$", r"\$")  # and is no mathematics
    figure.suptitle(
        f"{title}\nat most {promise.false_reject_rate:.2%} of good parts rejected, {promise.confidence:.0%} confidence, "
        f"from {promise.images} images{'' if promise.kind == 'exact' else f' ({promise.kind})'}"
    )
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()
