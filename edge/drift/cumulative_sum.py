"""Page's one-sided test for a change (Page 1954, Biometrika 41): evidence adds up while it lasts, and is forgotten after."""

from __future__ import annotations

FIRST_HINT = 1 / 3
"""Share of the limit at which evidence counts as a hint; it explains an alarm of another sum, and raises none."""


class CumulativeSum:
    """g ← min(limit, max(0, g + step)). Raised when g reaches ``limit``, cleared when it is back at 0.

    The cap makes clearing take as long as the evidence against is strong, whatever went on before. Constant time and memory.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.raised = False
        self.since = 0
        """The part at which the present evidence began, where g last left 0: the maximum-likelihood estimate of the change."""
        self.length = 0
        """How many parts the present evidence is of."""
        self._sum = 0.0

    @property
    def hinted(self) -> bool:
        """True while there is evidence, if not enough for an alarm."""
        return self.raised or self._sum >= FIRST_HINT * self.limit

    def add(self, step: float, part: int) -> None:
        """Take the evidence of one ``part``: above 0 for a change, below 0 against."""
        if self._sum <= 0.0:
            self.since, self.length = part, 0
        self.length += 1
        self._sum = min(self.limit, max(0.0, self._sum + step))
        if self._sum >= self.limit:
            self.raised = True
        elif self._sum <= 0.0:
            self.raised = False
