"""Which images are scored by statistics of which others: folds, by session where there are sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Folds:
    """fold of each image, in their order. by_session: whole sessions are left out, so a score feels how sessions differ."""

    of_image: tuple[int, ...]
    by_session: bool

    def held(self, fold: int) -> list[int]:
        """Indices of the images in ``fold``."""
        return [index for index, one in enumerate(self.of_image) if one == fold]

    def outside(self, fold: int) -> list[int]:
        """Indices of the images in any other."""
        return [index for index, one in enumerate(self.of_image) if one != fold]

    @property
    def count(self) -> int:
        """How many folds."""
        return len(set(self.of_image))


def assign_folds(sessions: Sequence[str], most: int, minimum_outside: int) -> Folds:
    """Folds for images of these ``sessions``, given in an order that says nothing, such as by hash.

    At most ``most`` folds. By session where there are two or more and each leaves ``minimum_outside`` images outside; else every
    ``most``-th image. The names of the sessions do not matter.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, session in enumerate(sessions):
        members[session].append(index)
    if len(members) > 1:
        loads: list[list[int]] = [[] for _ in range(min(most, len(members)))]
        for indices in sorted(members.values(), key=lambda one: (-len(one), one[0])):  # the largest first keeps the folds alike
            min(loads, key=len).extend(indices)
        if all(len(sessions) - len(fold) >= minimum_outside for fold in loads):
            fold_of = {index: fold for fold, load in enumerate(loads) for index in load}
            return Folds(tuple(fold_of[index] for index in range(len(sessions))), by_session=True)
    count = min(most, len(sessions))
    return Folds(tuple(index % count for index in range(len(sessions))), by_session=False)
