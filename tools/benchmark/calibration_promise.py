"""edge-bench calibration: is the promise of a calibration kept? On simulated scores, and on real sets with a trained bundle."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from calibration.threshold import DEFAULT_CONFIDENCE
from edge.bundle import open_bundle
from edge.errors import ConfigError
from edge.storage.durable_files import write_file
from tools.benchmark.calibration_cost import CalibrationCost, measure_cost
from tools.benchmark.calibration_splits import SPLITS, SplitRates, measure_splits, read_set
from tools.benchmark.labelled_set import open_labelled_set
from tools.benchmark.own_center_coverage import OWN_CENTER_STEPS, measure_own_center
from tools.benchmark.promise_coverage import TAIL_RATE, Coverage, measure_coverage, steps
from tools.benchmark.report_files import require_folder, write_report

NAME = "calibration"
MOST_OWN_CENTER_RUNS = 200
BROKEN = 1.0 - DEFAULT_CONFIDENCE
RULES = {
    "split": "exact",
    "plain quantile": "beside it: the quantile of the same scores at the promised rate",
    "maximum": "beside it: the highest score, read as 1 of n",
    "cross-fit": "approximate",
    "in-sample": "beside it: λ and threshold from the same scores",
    "tail fit": f"extrapolated to {TAIL_RATE:.1%}",
}
NOTES = f"""Simulated: the share of calibrations after which more good parts are rejected than promised. It should be at most
{BROKEN:.0%}; where the bound is reached exactly it is {BROKEN:.0%}. "Cross-fit" and "in-sample" judge three correlated terms
weighed by their own spread. Own C: the whole of `calibrate --center site` on images too few to split, over an engine of simulated
parts; sessions are six days that differ by more than a part's noise, left out whole.

Real: the bundle's C, {SPLITS} random choices of the images; false rejects are of the good images left over, so they are counted in
steps of one of those, and with a few of them more than the promised share is often one image. "Usual rule": the threshold is the
highest score of the same images, λ1 and λ2 the reciprocals of their means."""


@dataclass(frozen=True)
class CalibrationPromise:
    """The rows of all parts; ``splits`` and ``costs`` are empty without a bundle."""

    coverage: list[Coverage]
    own_center: list[Coverage]
    splits: list[SplitRates]
    costs: list[CalibrationCost]

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "confidence": DEFAULT_CONFIDENCE,
            "simulated": [{**asdict(one), "share": one.share} for one in self.coverage],
            "own_center": [{**asdict(one), "share": one.share} for one in self.own_center],
            "real": [asdict(one) for one in self.splits],
            "costs": [{**asdict(one), "ratios": one.ratios} for one in self.costs],
        }

    def table(self) -> Table:
        """For people: of each rule and count, the share of broken promises by shape."""
        shapes = list(dict.fromkeys(one.shape for one in self.coverage))
        table = Table(title="Promises broken, on simulated scores")
        for heading in ("rule", "images", "promised", "runs", *shapes):
            table.add_column(heading, justify="left" if heading == "rule" else "right")
        for rule, images in dict.fromkeys((one.rule, one.images) for one in self.coverage):
            row = [one for one in self.coverage if (one.rule, one.images) == (rule, images)]
            shares = (f"{one.share:.1%}" for one in row)
            table.add_row(f"{rule} ({RULES[rule]})", str(images), f"{row[0].rate:.2%}", str(row[0].runs), *shares)
        return table

    def own_center_table(self) -> Table:
        """For people: the promises broken where the site's images set C, too."""
        table = Table(title="Promises broken, own C, on simulated parts")
        for heading in ("judged on", "parts", "images", "promised", "runs", "broken", "rejected, median"):
            table.add_column(heading, justify="left" if heading in ("judged on", "parts") else "right")
        for one in self.own_center:
            shares = (f"{one.share:.1%}", f"{one.median_rate:.1%}")
            table.add_row(one.rule, one.shape, str(one.images), f"{one.rate:.2%}", str(one.runs), *shares)
        return table

    def cost_table(self) -> Table:
        """For people: what ``calibrate`` takes on the good images of each set, in passes of the engine over them."""
        table = Table(title="Time of calibrate, the search for centres apart, in passes of the engine")
        for heading in ("set", "images", "by the wall", "of CPU", "one pass, CPU s", "centres, CPU s"):
            table.add_column(heading, justify="left" if heading == "set" else "right")
        for one in self.costs:
            seconds = (f"{one.one_pass[1]:.1f}", f"{one.centers[1]:.1f}")
            table.add_row(one.name, str(one.images), *(f"{ratio:.2f}" for ratio in one.ratios), *seconds)
        return table

    def split_table(self) -> Table:
        """For people: of each set and count, what was promised and what came."""
        table = Table(title="Real images")
        headings = (
            "set", "images", "left over", "kind", "promised", "rejected, mean", "95 % of splits", "broken", "missed, mean",
            "usual rule: rejected", "missed",
        )  # fmt: skip
        for heading in headings:
            table.add_column(heading, justify="left" if heading in ("set", "kind") else "right")
        for one in self.splits:
            own = (one.promised, one.false_rejects, one.false_rejects_95, one.broken, one.misses)
            shares = (*own, one.usual_false_rejects, one.usual_misses)
            table.add_row(one.name, str(one.images), str(one.left), one.kind, *(f"{share:.1%}" for share in shares))
        return table

    def plot(self) -> bytes:
        """PNG: the share of broken promises against the number of images, a panel for each rule and what stands beside it."""
        panels = (("split", "plain quantile", "maximum"), ("cross-fit", "in-sample"), ("tail fit",))
        shapes = list(dict.fromkeys(one.shape for one in self.coverage))
        figure = Figure(figsize=(15, 4.6), dpi=100, layout="constrained")
        for axis, rules in zip(figure.subplots(1, len(panels), sharey=True), panels, strict=True):
            for rule, style in zip(rules, ("-o", ":s", "--^"), strict=False):
                for index, shape in enumerate(shapes):
                    rows = [one for one in self.coverage if (one.rule, one.shape) == (rule, shape)]
                    label = shape if rule == rules[0] else None
                    shares = [100 * one.share for one in rows]
                    axis.plot([one.images for one in rows], shares, style, color=f"C{index}", label=label, markersize=4)
            axis.axhline(100 * BROKEN, color="black", linewidth=1)
            counts = sorted({one.images for one in self.coverage if one.rule in rules})
            axis.set_xscale("log")
            axis.set_xticks(counts, [str(count) for count in counts])
            axis.set_xticks([], minor=True)
            axis.set_title(" · ".join(f"{rule} {mark}" for rule, mark in zip(rules, ("—", "···", "- -"), strict=False)))
            axis.set_xlabel("images")
        figure.axes[0].set_ylabel("promises broken, %")
        figure.axes[-1].plot([], [], color="black", linewidth=1, label=f"promised: {BROKEN:.0%}")
        figure.axes[-1].legend(fontsize="small")
        content = io.BytesIO()
        FigureCanvasAgg(figure).print_png(content)
        return content.getvalue()


def measure_calibration(
    out: Path, bundles: list[str], data: Path | None, runs: int, slow_runs: int, threads: int, console: Console, cost: bool = False
) -> CalibrationPromise:
    """Measure both parts and write calibration.json, .md and .png into ``out``.

    bundles: name=path, the name of a set in ``data``. cost: also time a calibration of each. Raises InputError.
    """
    named = [_named(one) for one in bundles]
    require_folder(out)
    with Progress(console=console, transient=True) as bars:
        splits: list[SplitRates] = []
        costs: list[CalibrationCost] = []
        for name, path in named:
            if data is None:
                raise ConfigError("--bundles needs the sets' images: give --data DIR, the folder that holds them")
            labelled = open_labelled_set(data / name)
            task = bars.add_task(f"scoring {name}", total=None)
            terms = read_set(path, labelled, name, data / name / "train" / "good", threads, partial(bars.advance, task))
            splits += measure_splits(terms)
            if cost:
                costs.append(measure_cost(name, open_bundle(path), data / name / "train" / "good", threads))
        task = bars.add_task("simulating", total=steps() + OWN_CENTER_STEPS)
        step = partial(bars.advance, task)
        coverage, own_center = (
            measure_coverage(runs, slow_runs, step),
            measure_own_center(min(slow_runs, MOST_OWN_CENTER_RUNS), step),
        )
        result = CalibrationPromise(coverage, own_center, splits, costs)
    tables = [result.table(), result.own_center_table(), *([result.split_table()] if splits else [])]
    tables += [result.cost_table()] if costs else []
    write_report(out, NAME, result.to_json(), tables, NOTES)
    write_file(out / f"{NAME}.png", result.plot())
    return result


def _named(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise ConfigError(f"--bundles: expected name=path, the name of a set of --data and its bundle, got {text!r}")
    return name, Path(path)
