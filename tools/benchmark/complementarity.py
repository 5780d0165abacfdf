"""Whether L1 and L2 cover for each other on real parts: trained and scored over sets, seeds and regularisers of the decoder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from edge.errors import OutputError
from edge.frame import Image
from edge.storage.durable_files import write_file
from tools.benchmark.anomaly_set import SYNTHETIC_EACH, find_sets, load_anomaly_set
from tools.benchmark.complementarity_figures import GROUPS, SCORES, Figures, by_source, figures_of
from tools.benchmark.complementarity_report import examples, montage, plot, report
from tools.benchmark.complementarity_trial import Material, Trial, code_hash, load_trial, run_trial, train_config, trial_path
from tools.benchmark.complementarity_verdict import Verdict, answers, verdicts
from trainer.dataset import find_normal_images
from trainer.train_config import TrainConfig


@dataclass(frozen=True)
class Complementarity:
    """The experiment's outcome; AUROCs are means over seeds and sets."""

    trials: list[Trial]
    figures: Figures
    verdicts: list[Verdict]

    def to_json(self) -> dict[str, object]:
        """Plain values; an interval is [low, high]."""
        return {
            "seeds": sorted({one.seed for one in self.trials}),
            "images": self.figures.images,
            "left_out": {one.set_name: one.left_out for one in self.trials},
            "auroc": {
                regulariser: {
                    group: {label: {"value": one.value, "interval": list(one.interval())} for label, one in row.items()}
                    for group, row in rows.items()
                }
                for regulariser, rows in self.figures.pooled.items()
            },
            "auroc_of_set": {
                regulariser: {
                    name: {group: {label: one.value for label, one in row.items()} for group, row in rows.items()}
                    for name, rows in of_set.items()
                }
                for regulariser, of_set in self.figures.of_set.items()
            },
            "auroc_by_source": {name: by_source(self.trials, name) for name in self.figures.pooled},
            "auroc_of_L_by_seed": self.figures.of_seed,
            "smoothness": {f"{one.set_name}.{one.regulariser}.{one.seed}": one.smoothness for one in self.trials},
            "answers": [[*key, answer] for key, answer in answers(self.verdicts).items()],
            "verdicts": [vars(one) | {"line": one.line()} for one in self.verdicts],
        }

    def table(self) -> Group:
        """For people: the AUROCs, the answer to each target, and the claims it is made of."""
        table = Table(title="AUROC, mean over sets and seeds")
        for heading in ("regulariser", "anomalies", *SCORES):
            table.add_column(heading, justify="right" if heading in SCORES else "left")
        for regulariser, rows in self.figures.pooled.items():
            for group in (group for group in GROUPS if group in rows):
                table.add_row(regulariser, group, *(f"{rows[group][label].value:.4f}" for label in SCORES))
        targets = Table("target", "regulariser", "answer")
        for (target, regulariser), answer in answers(self.verdicts).items():
            targets.add_row(target, regulariser, answer)
        return Group(table, targets, *(Text(one.line()) for one in self.verdicts))


def measure_complementarity(
    data: Path,
    out: Path,
    seeds: int,
    regularisers: list[str],
    wanted: list[str] | None,
    steps: int | None,
    limit: int | None,
    console: Console,
) -> Complementarity:
    """Run every trial that ``out`` does not hold yet, and write complementarity.json, .md, .png and a montage there.

    data: folder of sets. wanted: names of sets, None for all. Raises ConfigError, ImageError, InputError, OutputError and
    CollapseError; finished trials stay.
    """
    names = list(dict.fromkeys(regularisers))
    configs = [[train_config(seed, name, steps) for name in names] for seed in range(seeds)]
    first = configs[0][0]
    folders = find_sets(data, wanted)
    try:
        (out / "trials").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot write there: {error.strerror}; choose another --out") from error
    trials: list[Trial] = []
    shown: list[Image] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        overall = bars.add_task("trials", total=len(folders) * seeds * len(names))
        for folder in folders:
            with _bar(bars, f"{folder.name}: images", min(SYNTHETIC_EACH, limit or SYNTHETIC_EACH)) as step:
                anomalies = load_anomaly_set(folder, first.input_size, limit, step)
            material = Material.of(find_normal_images(folder, first.max_bad_share), anomalies, first.input_size)
            shown.append(examples(anomalies.images))
            for row in configs:
                for trial in _trials_of_seed(material, dict(zip(names, row, strict=True)), out, bars):
                    trials.append(trial)
                    bars.advance(overall)
    if old := [one for one in trials if one.code != code_hash()]:
        note = (
            f"{len(old)} of {len(trials)} trials in {out} are of another version of the program; choose another --out for new ones"
        )
        console.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
    figures = figures_of(trials)
    result = Complementarity(trials, figures, verdicts(figures))
    write_file(out / "complementarity.json", (json.dumps(result.to_json(), indent=1, ensure_ascii=False) + "\n").encode())
    write_file(out / "complementarity.md", report(trials, figures, result.verdicts, first, limit).encode())
    write_file(out / "complementarity.png", plot(trials, figures))
    write_file(out / "synthetic_anomalies.png", montage(shown))
    return result


def _trials_of_seed(material: Material, configs: dict[str, TrainConfig], out: Path, bars: Progress) -> Iterator[Trial]:
    """One trial for each regulariser of ``configs``, from ``out`` or run now; they share the trunk's features."""
    cache = None
    name, pictures = material.anomalies.name, len(material.held_out) + len(material.anomalies.images)
    for regulariser, config in configs.items():
        path = trial_path(out, name, config.seed, regulariser)
        trial = load_trial(path, material.fingerprint(config))
        if trial is None:
            if cache is None:
                with _bar(bars, f"{name}, seed {config.seed}: features", 2 * len(material.normal.learned)) as step:
                    cache = material.features(config, step)
            with _bar(bars, f"{name}, seed {config.seed}, {regulariser}", config.steps + pictures) as step:
                trial = run_trial(material, cache, config, regulariser, step)
            write_file(path, (trial.model_dump_json() + "\n").encode())
        yield trial


@contextmanager
def _bar(bars: Progress, what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar for as long as the block runs; yields what advances it."""
    task = bars.add_task(what, total=total)
    try:
        yield lambda: bars.advance(task)
    finally:
        bars.remove_task(task)
