"""report.html of a training run: one file to open in any browser, with every picture inside it."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np
import torch
from matplotlib.figure import Figure

from edge.pictures.image_file import read_image
from edge.records.heat_picture import heat_picture
from trainer.dataset import NormalImages
from trainer.image_scores import FEWEST_HELD_OUT, Floats, ImageScores
from trainer.report_page import PAGE
from trainer.train_loop import Cache, TrainLoop

REPORT = "report.html"
UNUSUAL = 8
HELD_OUT_SHOWN = 6
CHARTS = (
    ("L1, φ's distance from C", "feature_loss", "linear"),
    ("L2, error of reconstruction", "reconstruction_loss", "log"),
    ("L3, ψ's gradient at C", "gradient_penalty", "log"),
)
LEARNED_COLOR, HELD_OUT_COLOR = "#4477aa", "#cc6644"


class Shown(NamedTuple):
    """One image in the report."""

    name: str
    score: float
    picture: str


def render_report(loop: TrainLoop, images: NormalImages, metrics: list[dict[str, str]], best_step: int) -> str:
    """The page, as text; ``loop`` holds the finished model. Raises ImageError where a shown image is gone since."""
    scores = ImageScores(loop)
    by_score = np.argsort(-scores.held_out, kind="stable")
    spread = np.unique(np.linspace(0, len(by_score) - 1, HELD_OUT_SHOWN).round().astype(int))
    unusual = np.argsort(-scores.learned, kind="stable")[:UNUSUAL]
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(PAGE)
    return page.render(
        config=loop.model.config.model_dump(),
        images=images,
        step=loop.step,
        best_step=best_step,
        ranks=loop.ranks.count,
        device=_device_name(loop.ranks.device),
        torch_version=torch.__version__,
        few_held_out=len(images.held_out) < FEWEST_HELD_OUT,
        losses=_losses(metrics, best_step),
        histogram=_histogram(scores),
        unusual=[_shown(scores, loop.cache, images.learned, scores.learned, int(one)) for one in unusual],
        held_out=[_shown(scores, loop.held_out, images.held_out, scores.held_out, int(one)) for one in by_score[spread]],
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _losses(metrics: list[dict[str, str]], best_step: int) -> str:
    figure = Figure((11, 3.1), layout="constrained")
    for axes, (title, name, scale) in zip(figure.subplots(1, len(CHARTS)), CHARTS, strict=True):
        steps, values = _series(metrics, name)
        if not any(value > 0 for value in values):  # NaN throughout: this regulariser has no L3
            axes.set(title=f"{title}: none", xticks=[], yticks=[])
            continue
        axes.plot(steps, values, color=LEARNED_COLOR, linewidth=0.9, label="training")
        held_out = _series(metrics, f"held_out_{name}")
        if len(held_out[0]):
            axes.plot(*held_out, color=HELD_OUT_COLOR, marker="o", markersize=3, label="held out")
        axes.axvline(best_step, color="grey", linestyle=":", label="chosen model")
        axes.set(title=title, xlabel="step", yscale=scale)
        axes.legend(fontsize="small")
    return _png(figure)


def _series(metrics: list[dict[str, str]], name: str) -> tuple[Floats, Floats]:
    """Steps and values where there are any: evaluations come every few steps, L3 only with update (iii)."""
    rows = [(float(row["step"]), float(row[name])) for row in metrics if row.get(name) not in (None, "", "nan")]
    table = np.asarray(rows, float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _histogram(scores: ImageScores) -> str:
    figure = Figure((7, 3), layout="constrained")
    axes = figure.subplots()
    bins = np.histogram_bin_edges(np.concatenate([scores.learned, scores.held_out]), 30)
    for values, label, color in ((scores.learned, "training", LEARNED_COLOR), (scores.held_out, "held out", HELD_OUT_COLOR)):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(
            values, bins.tolist(), weights=weights, histtype="stepfilled", alpha=0.45, color=color, label=f"{label} ({len(values)})"
        )
    axes.set(xlabel="score", ylabel="share of the images")
    axes.legend()
    return _png(figure)


def _shown(scores: ImageScores, cache: Cache, files: list[tuple[Path, str]], values: Floats, index: int) -> Shown:
    """The image with its heat map: from what 1 in 20 held-out positions reach, to red at the highest."""
    path = files[index][0]
    low, high = scores.heat_range
    picture = heat_picture(read_image(path).image, (scores.heat_map(cache, index) - low) / (high - low))
    return Shown(path.name, float(values[index]), base64.b64encode(picture).decode())


def _png(figure: Figure) -> str:
    """base64, for a data URL; without the date and version that matplotlib would add."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return base64.b64encode(stream.getvalue()).decode()
