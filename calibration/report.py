"""The picture of a calibration: histograms of L1, L2 and L over the good images, with the threshold."""

from __future__ import annotations

import io

import numpy as np

from calibration.derive import Derived

TITLES = {"feature_score": "L1 · feature", "reconstruction_score": "L2 · reconstruction", "score": "L · both"}


def histogram_png(derived: Derived, title: str) -> bytes:
    """A PNG of 1500×500 pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5), dpi=100, layout="constrained")
    for axis, (name, label) in zip(figure.subplots(1, len(TITLES)), TITLES.items(), strict=True):
        values = np.array([getattr(one, name) for one in derived.images if one.job in ("threshold", "all")])
        axis.hist(values, bins=min(40, max(8, len(values) // 5)), color="#4c8a57")
        axis.set_xlabel(label)
        axis.set_ylabel("good images")
        if name == "score":
            axis.axvline(derived.threshold, color="#b3261e", linewidth=2, label=f"threshold {derived.threshold:.4g}")
            axis.set_xlim(right=max(derived.threshold, values.max()) + 0.15 * (derived.threshold - values.min()))
            axis.legend()
    promise = derived.promise
    title = title.replace("$", r"\$")  # a folder's name is no mathematics
    figure.suptitle(
        f"{title}\nat most {promise.false_reject_rate:.2%} of good parts rejected, {promise.confidence:.0%} confidence, "
        f"from {promise.images} images{'' if promise.kind == 'exact' else f' ({promise.kind})'}"
    )
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()
