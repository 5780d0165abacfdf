"""From trials to AUROCs with intervals: for each set, and the mean over sets, of each score on each kind of anomaly."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.auroc import auroc
from tools.benchmark.anomaly_set import SYNTHETIC
from tools.benchmark.complementarity_trial import Trial
from tools.benchmark.paired_bootstrap import DRAWS, Estimate, estimate_auroc, mean_of, resample

SCORES = ("L1", "L2", "L")
KINDS = ("local", "global")
BOTH = "both"
GROUPS = (*KINDS, BOTH, "local, real", "local, synthetic", "global, real", "global, synthetic")
FEWEST = 5
"""A group with fewer images than this in a set says nothing there."""

Row = dict[str, Estimate]
"""Score → AUROC."""


@dataclass(frozen=True)
class Figures:
    """of_set: regulariser → set → group → Row, the mean over seeds. pooled: regulariser → group → Row, the mean of those over sets.

    of_seed: regulariser → group → AUROC of L for each seed, the mean over sets. images: set → group or ``good`` → how many.
    """

    of_set: dict[str, dict[str, dict[str, Row]]]
    pooled: dict[str, dict[str, Row]]
    of_seed: dict[str, dict[str, list[float]]]
    images: dict[str, dict[str, int]]


def figures_of(trials: list[Trial], draws: int = DRAWS) -> Figures:
    """Every trial of a set is resampled alike, so that differences between scores, seeds and regularisers are paired."""
    regularisers, sets = _names(one.regulariser for one in trials), _names(one.set_name for one in trials)
    rows: dict[tuple[str, str, int], dict[str, Row]] = {}
    images: dict[str, dict[str, int]] = {}
    for name in sets:
        of_set = [one for one in trials if one.set_name == name]
        masks = _masks(of_set[0])
        images[name] = {"good": of_set[0].kinds.count("good"), **{group: int(mask.sum()) for group, mask in masks.items()}}
        anomalous = np.array(of_set[0].kinds) != "good"
        bases, kinds = np.array(of_set[0].bases)[anomalous], np.array(of_set[0].kinds)[anomalous].tolist()
        drawn = resample(bases, kinds, images[name]["good"], zlib.crc32(name.encode()), draws)
        for trial in of_set:
            scores = trial.scores()
            rows[trial.regulariser, name, trial.seed] = {
                group: {label: estimate_auroc(scores[label][~anomalous], scores[label][anomalous], drawn, mask) for label in SCORES}
                for group, mask in masks.items()
                if _enough(group, images[name])
            }
    seeds = sorted({one.seed for one in trials})
    of_set_rows = {
        regulariser: {name: _mean_rows([rows[regulariser, name, seed] for seed in seeds]) for name in sets}
        for regulariser in regularisers
    }
    return Figures(
        of_set=of_set_rows,
        pooled={regulariser: _mean_rows(list(by_set.values())) for regulariser, by_set in of_set_rows.items()},
        of_seed={
            regulariser: {
                group: [row["L"].value for row in by_seed]
                for group in GROUPS
                if (by_seed := [r[group] for s in seeds if group in (r := _mean_rows([rows[regulariser, n, s] for n in sets]))])
            }
            for regulariser in regularisers
        },
        images=images,
    )


def by_source(trials: list[Trial], regulariser: str) -> dict[str, dict[str, float]]:
    """Synthetic anomaly, or set and folder → AUROC of each score, the mean over seeds and sets; to see what each score misses."""
    found: dict[str, dict[str, list[float]]] = {}
    for trial in (one for one in trials if one.regulariser == regulariser):
        kinds, sources = np.array(trial.kinds), np.array(trial.sources)
        for source in _names(source for source in trial.sources if source != "good"):
            name = source if source.startswith(SYNTHETIC) else f"{trial.set_name}/{source}"
            values = found.setdefault(name, {label: [] for label in SCORES})
            for label, scores in trial.scores().items():
                values[label].append(auroc(scores[kinds == "good"], scores[(sources == source) & (kinds != "good")]))
    return {name: {label: float(np.mean(values[label])) for label in SCORES} for name, values in found.items()}


def _masks(trial: Trial) -> dict[str, NDArray[np.bool_]]:
    """Group → which of the anomalous images are in it."""
    kinds = [kind for kind in trial.kinds if kind != "good"]
    sources = [source for kind, source in zip(trial.kinds, trial.sources, strict=True) if kind != "good"]
    synthetic = np.array([source.startswith(SYNTHETIC) for source in sources], bool)
    masks: dict[str, NDArray[np.bool_]] = {kind: np.array([one == kind for one in kinds], bool) for kind in KINDS}
    return {
        **masks,
        BOTH: np.ones(len(kinds), bool),
        **{f"{kind}, real": masks[kind] & ~synthetic for kind in KINDS},
        **{f"{kind}, synthetic": masks[kind] & synthetic for kind in KINDS},
    }


def _enough(group: str, images: dict[str, int]) -> bool:
    """Both together says something only where there is enough of each."""
    return all(images[kind] >= FEWEST for kind in KINDS) if group == BOTH else images[group] >= FEWEST


def _mean_rows(rows: list[dict[str, Row]]) -> dict[str, Row]:
    """The mean of each group over those that have it."""
    return {
        group: {label: mean_of([row[group][label] for row in rows if group in row]) for label in SCORES}
        for group in GROUPS
        if any(group in row for row in rows)
    }


def _names(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
