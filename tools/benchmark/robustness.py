"""What becomes of the figures when training images are bad, and when good parts look a little different."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console, Group
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from edge.bundle import file_sha256
from edge.errors import ImageError
from edge.pictures.image_file import read_image
from tools.benchmark.accuracy import ALL, Accuracy, measure_accuracy
from tools.benchmark.contamination import Contamination, contaminate
from tools.benchmark.disturbances import DISTURBANCES
from tools.benchmark.labelled_set import LabelledSet
from tools.benchmark.report_files import write_report
from tools.benchmark.trained_set import Settings, TrainedSet, train_set

NAME = "robustness"
NOTES = """\
Contamination: that many training images, 5 % of them, are replaced by defective ones drawn from test/, for training and calibration
alike: the split by content hash lets the training learn from some and holds the others out for the threshold. Clean and
contaminated are both scored on test/ without those. Rejected and missed: at the calibrated threshold.
Disturbed: good test images at the threshold of the clean calibration. Brightness and shift (border replicated) are of the
camera's picture; the blur is Gaussian with a sigma of 1 pixel at 256×256. The mean is over sets, each counting once."""


@dataclass(frozen=True)
class SetRobustness:
    """One set. clean, contaminated: of the same images. false_rejects: disturbance → how many of ``good`` are rejected.

    added: the defective images, relative to the set, of which ``learned`` were trained on and the rest held out to calibrate.
    """

    name: str
    added: list[str]
    learned: int
    clean: Accuracy
    contaminated: Accuracy
    false_rejects: dict[str, int]
    good: int

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "contamination": {
                "added": self.added,
                "learned": self.learned,
                "clean": self.clean.to_json(),
                "contaminated": self.contaminated.to_json(),
            },
            "good": self.good,
            "false_rejects": self.false_rejects,
            "false_reject_rate": {name: count / self.good for name, count in self.false_rejects.items()},
        }


@dataclass(frozen=True)
class Robustness:
    """The sets in the order they were measured, all under ``settings``."""

    sets: list[SetRobustness]
    settings: Settings

    def mean_rates(self) -> dict[str, float]:
        """Disturbance → mean over sets of the false-reject rate."""
        return {name: float(np.mean([one.false_rejects[name] / one.good for one in self.sets])) for name in DISTURBANCES}

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "config": self.settings.config.model_dump(),
            "sets": {one.name: one.to_json() for one in self.sets},
            "mean": {
                "auroc_clean": _mean_auroc([one.clean for one in self.sets]),
                "auroc_contaminated": _mean_auroc([one.contaminated for one in self.sets]),
                "false_reject_rate": self.mean_rates(),
            },
        }

    def table(self) -> Group:
        """For people."""
        return Group(*self._tables())

    def write(self, out: Path) -> None:
        """robustness.json and robustness.md in ``out``; raises OutputError."""
        write_report(out, NAME, self.to_json(), self._tables(), NOTES)

    def _tables(self) -> tuple[Table, Table]:
        return self._contamination(), self._disturbed()

    def _contamination(self) -> Table:
        table = Table(title="5 % of the training images are defective")
        kinds = ("clean", "contaminated")
        headings = ("set", "bad ones", "learned", "AUROC L\nclean", "AUROC L\ncontaminated", "change")
        for heading in (*headings, *(f"rejected\n{kind}" for kind in kinds), *(f"missed\n{kind}" for kind in kinds)):
            table.add_column(heading, justify="left" if heading == "set" else "right")
        for one in self.sets:
            both = one.clean, one.contaminated
            table.add_row(
                one.name, str(len(one.added)), str(one.learned), *_aurocs([one.clean], [one.contaminated]),
                *(f"{accuracy.false_rejects} of {accuracy.good}" for accuracy in both),
                *(f"{accuracy.misses[ALL]} of {accuracy.images[ALL]}" for accuracy in both),
            )  # fmt: skip
        clean, contaminated = [one.clean for one in self.sets], [one.contaminated for one in self.sets]
        rates = (
            *(np.mean([accuracy.false_reject_rate for accuracy in group]) for group in (clean, contaminated)),
            *(np.mean([accuracy.miss_rate for accuracy in group]) for group in (clean, contaminated)),
        )
        table.add_section()
        table.add_row("mean", "", "", *_aurocs(clean, contaminated), *(f"{rate:.1%}" for rate in rates), style="bold")
        return table

    def _disturbed(self) -> Table:
        table = Table(title="good parts rejected, their pictures disturbed")
        for heading in ("picture", *(one.name for one in self.sets), "mean"):
            table.add_column(heading, justify="left" if heading == "picture" else "right")
        for name, rate in self.mean_rates().items():
            table.add_row(name, *(f"{one.false_rejects[name]} of {one.good}" for one in self.sets), f"{rate:.1%}")
        return table


def measure_robustness(sets: list[LabelledSet], out: Path, settings: Settings, console: Console) -> Robustness:
    """Train each of ``sets`` clean (as ``accuracy`` does, in the same folder of ``out``) and contaminated; score both.

    The report is written after each set. Raises InputError before any training where a set has too few defective images.
    """
    done: list[SetRobustness] = []
    plans = [(labelled, contaminate(labelled)) for labelled in sets]
    for number, (labelled, contamination) in enumerate(plans, 1):
        folder = out / labelled.name
        console.rule(f"{number} of {len(sets)} · {escape(labelled.name)}")
        clean = train_set(labelled.folder, folder, settings, console)
        console.rule(f"{number} of {len(sets)} · {escape(labelled.name)}, contaminated")
        images = folder / "contaminated" / "images"
        contamination.write(images)
        contaminated = train_set(images, folder / "contaminated", settings, console)
        done.append(_measure(labelled, contamination, clean, contaminated, console))
        Robustness(done, settings).write(out)
    return Robustness(done, settings)


def _measure(
    labelled: LabelledSet, contamination: Contamination, clean: TrainedSet, contaminated: TrainedSet, console: Console
) -> SetRobustness:
    scored, good = contamination.scored, labelled.good
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("test images", total=2 * len(scored) + len(DISTURBANCES) * len(good))

        def step() -> None:
            bars.advance(task)

        with contaminated.opened() as (engine, view, slot):
            after = measure_accuracy(engine, view, slot, scored, step)
        with clean.opened() as (engine, view, slot):
            before = measure_accuracy(engine, view, slot, scored, step)
            rejects = dict.fromkeys(DISTURBANCES, 0)
            for path in good:
                image = read_image(path).image
                for name, disturb in DISTURBANCES.items():
                    scores = engine.infer(view.preprocess(disturb(image))).scores
                    if not scores.finite():
                        raise ImageError(f"{path}: the engine gave a score that is not finite; remove the image")
                    rejects[name] += scores.score >= slot.record.threshold
                    step()
    added = [str(path.relative_to(labelled.folder)) for path in contamination.added]
    learned = {file_sha256(path) for path in contamination.added} & set(contaminated.bundle.manifest.learned_images)
    return SetRobustness(labelled.name, added, len(learned), before, after, rejects, len(good))


def _mean_auroc(group: list[Accuracy]) -> float:
    return float(np.mean([accuracy.auroc[ALL]["L"] for accuracy in group]))


def _aurocs(clean: list[Accuracy], contaminated: list[Accuracy]) -> tuple[str, str, str]:
    before, after = _mean_auroc(clean), _mean_auroc(contaminated)
    return f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}"
