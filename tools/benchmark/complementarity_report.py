"""The complementarity experiment for people: a Markdown report, a plot, and the synthetic anomalies to look at."""

from __future__ import annotations

import io

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray

from edge.frame import Image
from tools.benchmark.anomaly_set import SYNTHETIC, Specimen
from tools.benchmark.complementarity_figures import BOTH, GROUPS, KINDS, SCORES, Figures, by_source
from tools.benchmark.complementarity_trial import Trial
from tools.benchmark.complementarity_verdict import Verdict, answers, better
from tools.benchmark.paired_bootstrap import CONFIDENCE, DRAWS, Estimate
from tools.synthetic_anomalies import GLOBAL, LOCAL
from trainer.train_config import TrainConfig

COLOURS = {"L1": "tab:blue", "L2": "tab:orange", "L": "tab:green"}
KIND_COLOURS = {"good": "tab:grey", "local": "tab:red", "global": "tab:purple"}
TILE = 160
"""Side of a picture in the montage, pixels."""


def report(trials: list[Trial], figures: Figures, verdicts: list[Verdict], config: TrainConfig, limit: int | None) -> str:
    """The Markdown report. config: any trial's; what differs between them is in the tables."""
    seeds = sorted({one.seed for one in trials})
    restricted = "" if limit is None else f" At most {limit} images of each kind and source were used."
    lines = [
        "# Do L1 and L2 cover for each other?",
        "",
        f"{len(figures.images)} sets, {len(seeds)} seeds, {config.steps} steps at {config.input_size} pixels.{restricted}",
        "",
        "- L = λ1·L1 + λ2·L2 with λ by the spread rule, from the normal images held out of training.",
        "- An AUROC is taken for each set and seed; what is shown for all sets is the plain mean. Equal scores count half.",
        "- Both kinds together: all local and global anomalies of a set as they are, so the kind with more images weighs more.",
        f"- Intervals: {CONFIDENCE:.0%}, percentile, {DRAWS} draws of the images within each set. A synthetic anomaly is drawn",
        "  with the image it was made from; every score, seed and regulariser sees the same draws, so differences are paired.",
        "  Sets and seeds are not drawn: intervals say nothing of parts that are not here; the spread over seeds stands beside.",
        "- The better single score is the one with the higher AUROC in that row; choosing it by its result favours it a little.",
        "",
        "## Verdicts",
        "",
        "| target | regulariser | answer |",
        "|---|---|---|",
        *(f"| {target} | {name} | {answer} |" for (target, name), answer in answers(verdicts).items()),
        "",
        *(f"- {one.line()}" for one in verdicts),
        "",
    ]
    for regulariser, rows in figures.pooled.items():
        smooth = float(np.median([one.smoothness for one in trials if one.regulariser == regulariser]))
        lines += [
            f"## AUROC with regulariser: {regulariser}",
            "",
            f"Median smoothness of the decoder {smooth:.3g} (1 for a linear one).",
            "",
            "| anomalies | sets | L1 | L2 | L | L − better single | seeds' spread of L |",
            "|---|---|---|---|---|---|---|",
        ]
        for group in (group for group in GROUPS if group in rows):
            row = rows[group]
            of_seed = figures.of_seed[regulariser][group]
            spread = f"{100 * np.std(of_seed, ddof=1):.2f}" if len(of_seed) > 1 else "–"
            sets = sum(group in by_group for by_group in figures.of_set[regulariser].values())
            cells = (_with_interval(row[label]) for label in SCORES)
            lines.append(f"| {group} | {sets} | {' | '.join(cells)} | {_points(row['L'] - better(row))} | {spread} |")
        lines += ["", "By set:", "", "| set | anomalies | images | L1 | L2 | L |", "|---|---|---|---|---|---|"]
        for name, by_group in figures.of_set[regulariser].items():
            for group in (group for group in (*KINDS, BOTH) if group in by_group):
                cells = (f"{by_group[group][label].value:.4f}" for label in SCORES)
                lines.append(f"| {name} | {group} | {figures.images[name][group]} | {' | '.join(cells)} |")
        lines += ["", "By what is wrong:", "", "| anomaly | L1 | L2 | L |", "|---|---|---|---|"]
        for name, values in sorted(by_source(trials, regulariser).items()):
            lines.append(f"| {name} | {' | '.join(f'{values[label]:.4f}' for label in SCORES)} |")
        lines.append("")
    return "\n".join([*lines, *_images_section(trials, figures)])


def _images_section(trials: list[Trial], figures: Figures) -> list[str]:
    lines = [
        "## Images",
        "",
        "Left out are synthetic global anomalies that differ from their original by no more than three quarters of all pairs of",
        "good images differ: a mirrored symmetric part is no anomaly, and neither is a removed one where none is to be seen.",
        "",
        "| set | good | local: real + synthetic | global: real + synthetic | left out |",
        "|---|---|---|---|---|",
    ]
    left_out = {one.set_name: one.left_out for one in trials}
    for name, images in figures.images.items():
        out = ", ".join(f"{count} {what}" for what, count in left_out[name].items()) or "none"
        counts = (f"{images[f'{kind}, real']} + {images[f'{kind}, synthetic']}" for kind in KINDS)
        lines.append(f"| {name} | {images['good']} | {' | '.join(counts)} | {out} |")
    return [*lines, ""]


def plot(trials: list[Trial], figures: Figures) -> bytes:
    """PNG. Above: AUROC of each score on each kind, a panel for each regulariser. Below: L1 against L2 of one trial of each set."""
    sets = list(figures.images)
    columns = max(len(sets), len(figures.pooled))
    figure = Figure(figsize=(4.2 * columns, 8.4), dpi=100, layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    pooled = (rows[group] for rows in figures.pooled.values() for group in (*KINDS, BOTH) if group in rows)
    lowest = float(np.nanmin([[one.value, one.interval()[0]] for row in pooled for one in row.values()]))
    for axis, (regulariser, rows) in zip(axes[0], figures.pooled.items(), strict=False):
        axis.set_visible(True)
        groups = [group for group in (*KINDS, BOTH) if group in rows]
        for offset, label in enumerate(SCORES):
            values = [rows[group][label] for group in groups]
            below = [max(0.0, one.value - one.interval()[0]) for one in values]
            over = [max(0.0, one.interval()[1] - one.value) for one in values]
            places = np.arange(len(groups)) + 0.2 * (offset - 1)
            axis.errorbar(
                places, [one.value for one in values], (below, over), fmt="o", capsize=4, color=COLOURS[label], label=label
            )
        axis.set_xticks(range(len(groups)), groups)
        axis.set_xlim(-0.5, len(groups) - 0.5)
        axis.set_ylim(lowest - 0.02, 1.005)
        axis.set_title(f"AUROC, regulariser: {regulariser}", fontsize=10)
        axis.grid(axis="y", alpha=0.3)
        axis.legend(loc="lower right", fontsize=8)
    for axis, name in zip(axes[1], sets, strict=False):
        axis.set_visible(True)
        trial = next(one for one in trials if one.set_name == name)
        first, second = (_in_spreads(trial, label) for label in ("L1", "L2"))
        for kind, colour in KIND_COLOURS.items():
            of_kind = np.array(trial.kinds) == kind
            axis.scatter(first[of_kind], second[of_kind], s=10, alpha=0.6, color=colour, label=kind)
        axis.set_xscale("symlog", linthresh=5)
        axis.set_yscale("symlog", linthresh=5)
        for one in (axis.xaxis, axis.yaxis):  # between the ends of a symlog axis there may be no power of ten
            one.set_major_locator(MaxNLocator(5, prune="both"))
            one.set_major_formatter(ScalarFormatter())
        axis.set_title(f"{name}: {trial.regulariser}, seed {trial.seed}", fontsize=10)
        axis.set_xlabel("L1 above the good median, in its spread 1/λ1", fontsize=8)
        axis.set_ylabel("L2, in 1/λ2", fontsize=8)
        axis.legend(loc="upper left", fontsize=8)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def examples(images: list[Specimen]) -> Image:
    """A row of the montage, uint8 160×…×3: a good image, and a synthetic anomaly of every sort, grey where there is none."""
    of_source = {one.source: one.picture for one in images}
    pictures = [images[0].picture, *(of_source.get(SYNTHETIC + name) for name in (*LOCAL, *GLOBAL))]
    blank = np.full((TILE, TILE, 3), 128, np.uint8)
    tiles = [blank if one is None else cv2.resize(one, (TILE, TILE), interpolation=cv2.INTER_AREA) for one in pictures]
    return np.hstack([np.asarray(tile, np.uint8) for tile in tiles])


def montage(rows: list[Image]) -> bytes:
    """PNG of what ``examples`` gave for each set."""
    return bytes(cv2.imencode(".png", np.vstack([_labels(["good", *LOCAL, *GLOBAL]), *rows]))[1])


def _labels(names: list[str]) -> Image:
    strip = np.full((20, TILE * len(names), 3), 255, np.uint8)
    for index, name in enumerate(names):
        cv2.putText(strip, name, (index * TILE + 4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _in_spreads(trial: Trial, label: str) -> NDArray[np.float64]:
    scores = trial.scores()[label]
    weight = trial.feature_weight if label == "L1" else trial.reconstruction_weight
    return np.asarray((scores - np.median(scores[np.array(trial.kinds) == "good"])) * weight)


def _with_interval(one: Estimate) -> str:
    low, high = one.interval()
    return f"{one.value:.4f} ({low:.4f}…{high:.4f})"


def _points(one: Estimate) -> str:
    low, high = one.interval()
    return f"{100 * one.value:+.2f} ({100 * low:+.2f}…{100 * high:+.2f})"
