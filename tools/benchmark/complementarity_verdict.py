"""Whether the figures show what the method claims: two scores that cover for each other, the better for a smooth decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tools.benchmark.complementarity_figures import BOTH, KINDS, Figures, Row
from tools.benchmark.complementarity_trial import NONE
from tools.benchmark.paired_bootstrap import CONFIDENCE, Estimate

MARGIN = 0.005
"""What "never clearly worse" allows: half a point of AUROC."""

NEAR = f"L within {100 * MARGIN:g} point of the better single score on each kind"
ABOVE = "L above both on the union"
SMOOTH = "regularised above unregularised"

Answer = Literal["yes", "no", "tie"]


@dataclass(frozen=True)
class Verdict:
    """One claim, a part of ``target``. low, high: 95 % interval of the difference.

    settled: the whole interval lies on the answer's side.
    sets: name → difference there. tie: both are at the ceiling of 1, where nothing can be better.
    """

    target: str
    regulariser: str
    claim: str
    answer: Answer
    settled: bool
    difference: float
    low: float
    high: float
    sets: dict[str, float]

    def line(self) -> str:
        """For people, in points of AUROC (hundredths)."""
        how = "" if self.answer == "tie" else ", settled" if self.settled else ", not settled by these images"
        interval = f"{CONFIDENCE:.0%} interval {100 * self.low:+.2f} to {100 * self.high:+.2f}"
        kept = f"not below in {sum(value >= 0 for value in self.sets.values())} of {len(self.sets)} sets"
        lowest = f"lowest {100 * min(self.sets.values()):+.2f}"
        return f"{self.claim}: {self.answer}{how} ({100 * self.difference:+.2f} points, {interval}; {kept}, {lowest})"


def near(regulariser: str, claim: str, first: Estimate, second: Estimate, sets: dict[str, float]) -> Verdict:
    """The first target: first ≥ second − 0.005."""
    low, high = (first - second).interval()
    difference = first.value - second.value
    yes = difference >= -MARGIN
    settled = low >= -MARGIN if yes else high < -MARGIN
    return Verdict(NEAR, regulariser, claim, "yes" if yes else "no", settled, difference, low, high, sets)


def above(target: str, regulariser: str, claim: str, first: Estimate, second: Estimate, sets: dict[str, float]) -> Verdict:
    """first > second; a tie where both are 1, which is no failure of the first."""
    low, high = (first - second).interval()
    difference = first.value - second.value
    if first.value == second.value == 1.0:
        return Verdict(target, regulariser, claim, "tie", False, difference, low, high, sets)
    yes = difference > 0
    settled = low > 0 if yes else high <= 0
    return Verdict(target, regulariser, claim, "yes" if yes else "no", settled, difference, low, high, sets)


def verdicts(figures: Figures) -> list[Verdict]:
    """The three targets for every regulariser. The better single score is the one with the higher AUROC, of all sets or of each."""
    found = []
    for name, pooled in figures.pooled.items():
        of_set = figures.of_set[name]
        for kind in [kind for kind in KINDS if kind in pooled]:
            claim = f"{name}: L within {100 * MARGIN:g} point of the better of L1 and L2 on {kind} anomalies"
            sets = {one: rows[kind]["L"].value - better(rows[kind]).value for one, rows in of_set.items() if kind in rows}
            found.append(near(name, claim, pooled[kind]["L"], better(pooled[kind]), sets))
        for single in ("L1", "L2") if BOTH in pooled else ():
            sets = {one: rows[BOTH]["L"].value - rows[BOTH][single].value for one, rows in of_set.items() if BOTH in rows}
            claim = f"{name}: L above {single} on both kinds together"
            found.append(above(ABOVE, name, claim, pooled[BOTH]["L"], pooled[BOTH][single], sets))
    free = figures.pooled.get(NONE)
    for name, pooled in figures.pooled.items():
        for group in (*KINDS, BOTH):
            if free is None or name == NONE or group not in pooled:
                continue
            what = "both kinds together" if group == BOTH else f"{group} anomalies"
            sets = {
                one: rows[group]["L"].value - figures.of_set[NONE][one][group]["L"].value
                for one, rows in figures.of_set[name].items()
                if group in rows
            }
            claim = f"L with {name} above L without on {what}"
            found.append(above(SMOOTH, name, claim, pooled[group]["L"], free[group]["L"], sets))
    return found


def answers(found: list[Verdict]) -> dict[tuple[str, str], Answer]:
    """(target, regulariser) → no where any of its claims fails, tie where all are ties, else yes."""
    groups: dict[tuple[str, str], set[Answer]] = {}
    for one in found:
        groups.setdefault((one.target, one.regulariser), set()).add(one.answer)
    return {key: "no" if "no" in of else "tie" if of == {"tie"} else "yes" for key, of in groups.items()}


def better(row: Row) -> Estimate:
    """The single score with the higher AUROC."""
    return max(row["L1"], row["L2"], key=lambda one: one.value)
