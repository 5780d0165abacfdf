"""What a demo run showed: a table of the verdicts, and a picture of its closest and clearest cases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.table import Table

from edge.engines.base import Engine
from edge.errors import ImageError
from edge.line.station_view import StationView
from edge.pictures.image_file import read_image
from edge.slots.calibration_tensors import Array
from tools.auroc import auroc
from tools.benchmark.accuracy import FIGURES
from tools.demo_images import GLOBAL, LOCAL

SHOWN = 4


@dataclass(frozen=True)
class Inspected:
    """One part of the demo: what it is, and what the inspection said."""

    kind: str
    path: Path
    outcome: str
    scores: dict[str, float]
    milliseconds: float
    margin: float


def read_verdicts(path: Path, kinds: dict[str, str]) -> list[Inspected]:
    """The JSON lines of edge-inspect. kinds: file name → good or the anomaly. Raises ImageError where a part has no scores."""
    parts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if "event" in record:
            continue
        source = Path(record["source"])
        if record["scores"] is None:
            raise ImageError(f"{source}: {record['reason']}; the demo expects a score for every part")
        timing = sum(value for stage, value in record["stage_ms"].items() if stage != "capture")
        parts.append(Inspected(kinds[source.name], source, record["outcome"], record["scores"], timing, record["margin"]))
    return parts


def summary(parts: list[Inspected]) -> tuple[Table, dict[str, dict[str, float]]]:
    """The table for people, and the same figures as plain values."""
    good = [part for part in parts if part.kind == "good"]
    false_rejects = sum(part.outcome != "PASS" for part in good)
    typical = float(np.median([part.milliseconds for part in parts]))
    table = Table(title=f"{len(parts)} parts, {false_rejects} of {len(good)} good ones rejected, {typical:.1f} ms a part")
    for heading in ("anomalies", "parts", "AUROC L1", "L2", "L", "missed"):
        table.add_column(heading, justify="left" if heading == "anomalies" else "right")
    figures: dict[str, dict[str, float]] = {}
    for name, kinds in (("local", LOCAL), ("global", GLOBAL), ("both", LOCAL | GLOBAL)):
        group = [part for part in parts if part.kind in kinds]
        row = {
            label: auroc([part.scores[figure] for part in good], [part.scores[figure] for part in group])
            for figure, label in FIGURES.items()
        }
        missed = sum(part.outcome == "PASS" for part in group)
        figures[name] = {**row, "parts": len(group), "missed": missed}
        table.add_row(name, str(len(group)), *(f"{value:.4f}" for value in row.values()), str(missed))
    figures["good"] = {"parts": len(good), "false_rejects": false_rejects, "milliseconds": typical}
    return table, figures


def _heat(part: Inspected, engine: Engine, view: StationView) -> Array:
    return engine.infer(view.preprocess(read_image(part.path).image)).anomaly_map


def cases_picture(parts: list[Inspected], engine: Engine, view: StationView, out: Path) -> None:
    """Write a PNG: the anomalies nearest to passing, the clearest ones, and the good parts nearest to a reject, with their maps.

    Each row has its own scale, from half of what good parts usually reach up to the row's highest."""
    by_margin = sorted(parts, key=lambda part: part.margin)
    bad = [part for part in by_margin if part.kind != "good"]
    good = [part for part in by_margin if part.kind == "good"]
    rows = (("closest anomalies", bad[:SHOWN]), ("clearest anomalies", bad[-SHOWN:]), ("closest good parts", good[-SHOWN:]))
    figure = Figure(figsize=(4 * SHOWN, 2.6 * len(rows)), dpi=100, layout="constrained")
    axes = figure.subplots(len(rows), 2 * SHOWN, squeeze=False)
    usual = float(np.median([_heat(part, engine, view).max() for part in good]))
    for line, (title, chosen) in zip(axes, rows, strict=True):
        line[0].set_ylabel(title)
        heats = [_heat(part, engine, view) for part in chosen]
        highest = max(usual, *(float(heat.max()) for heat in heats))
        for index, (part, heat) in enumerate(zip(chosen, heats, strict=True)):
            left, right = line[2 * index], line[2 * index + 1]
            left.imshow(cv2.cvtColor(view.preprocess(read_image(part.path).image), cv2.COLOR_BGR2RGB))
            left.set_title(f"{part.kind}: {part.outcome} {part.margin:+.1f}", fontsize=8)
            right.imshow(heat, cmap="inferno", vmin=usual / 2, vmax=highest)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    FigureCanvasAgg(figure).print_png(str(out))
