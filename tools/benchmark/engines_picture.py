"""The engines side by side: the whole call's time, and how it compares with FP32."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BAR, MARK = "#3b6ea5", "#b3261e"


def engines_png(labels: list[str], times: list[dict[str, float]], ratios: list[dict[str, float] | None], title: str) -> bytes:
    """A PNG. times: p50 and p99 in ms; ratios: median, low and high, None where there is no FP32 to compare with."""
    figure = Figure(figsize=(13, 1.8 + 0.6 * len(labels)), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    rows = range(len(labels))
    p50, p99 = ([one[name] for one in times] for name in ("p50", "p99"))
    left.barh(rows, p50, color=BAR, label="p50")
    left.plot(p99, rows, "|", color=MARK, markersize=16, markeredgewidth=2, label="p99")
    for row, value in zip(rows, p50, strict=True):
        left.annotate(f" {value:.1f}", (0, row), va="center", color="white")
    left.set_yticks(rows, labels)
    left.invert_yaxis()
    left.set_xlabel("resize, engine and decision, ms")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    for row, ratio in zip(rows, ratios, strict=True):
        if ratio is not None:
            right.plot([ratio["low"], ratio["high"]], [row, row], color=BAR, linewidth=6, alpha=0.5, solid_capstyle="butt")
            right.plot(ratio["median"], row, "o", color=BAR)
            right.annotate(f"{ratio['median']:.2f}", (ratio["median"], row), xytext=(0, 9), textcoords="offset points", ha="center")
    right.axvline(1.0, color="#888888", linestyle="--")
    right.set_xlim(left=0)
    right.set_xlabel("ratio to fp32 on the same runtime, paired: median and quartiles")
    figure.suptitle(title.replace("$", r"\$"))
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()
