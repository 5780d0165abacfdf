"""One live line for whoever watches the terminal."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.text import Text

from edge.line.live_line import LiveLine
from edge.verdict import Outcome, Verdict

STYLES = {Outcome.PASS: "bold green", Outcome.REJECT: "bold red", Outcome.FAULT: "bold yellow"}


class StatusLine(LiveLine):
    """Shows the newest verdict and the counts on ``console``; does nothing where that is not a terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._counts: Counter[Outcome] = Counter()

    def show(self, verdict: Verdict, warning: str = "") -> None:
        """Take the newest verdict, and what else the operator should know, in a few words."""
        self._counts[verdict.outcome] += 1
        if not self.visible:
            return
        score = f"{verdict.scores.score:.3f} of {verdict.threshold:.3f}" if verdict.scores and verdict.threshold else verdict.reason
        counts = "  ".join(f"{outcome.value} {self._counts[outcome]}" for outcome in Outcome)
        line = Text.assemble((f"{verdict.outcome.value:6}", STYLES[verdict.outcome]), f"  {score}   {counts}")
        if warning:
            line.append(f"   {warning}", "bold yellow")
        line.append(f"   {sum(verdict.stage_ms.values()):.1f} ms   {verdict.source}", "dim")
        self.update(line)
