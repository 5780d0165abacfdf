"""Who made which calibration active, when and why: one JSON line an activation, on the disk before ``current`` moves."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from edge.storage.durable_files import sync_folder
from edge.storage.strict_yaml import StrictModel

FILE = "activations.jsonl"
Action = Literal["activate", "rollback"]


class Activation(StrictModel):
    """One line. time: UTC. from_serial: None where no calibration was active."""

    time: str
    action: Action
    operator: str
    reason: str
    from_serial: int | None
    to_serial: int


@dataclass(frozen=True, slots=True)
class History:
    """All activations, oldest first. damaged: lines that cannot be read, such as one torn by a power cut."""

    activations: tuple[Activation, ...]
    damaged: int

    def took_effect(self, active: int | None) -> list[bool]:
        """Of each activation, whether ``current`` moved after its line was written; active: the serial it names now.

        The line comes first, so a power cut between the two leaves one that the next line's ``from_serial`` contradicts.
        """
        found_after = [later.from_serial for later in self.activations[1:]] + [active]
        return [one.to_serial == found for one, found in zip(self.activations, found_after, strict=False)]

    def before(self, active: int | None) -> list[int]:
        """The slots to go back to from ``active``, the nearest first: an activation goes forward, a rollback takes it back."""
        trail: list[int] = []
        for one, effective in zip(self.activations, self.took_effect(active), strict=True):
            if not effective:
                continue
            if one.from_serial is not None and trail[-1:] != [one.from_serial]:
                trail.append(one.from_serial)
            if one.action == "rollback" and one.to_serial in trail:
                while trail[-1] != one.to_serial:
                    trail.pop()
            elif trail[-1:] != [one.to_serial]:
                trail.append(one.to_serial)
        return [serial for serial in reversed(trail) if serial != active]

    def highest_serial(self) -> int:
        """The highest serial that was ever active, 0 for none."""
        return max((one.to_serial for one in self.activations), default=0)


class ActivationLog:
    """The file of one model's slots. One process writes at a time (``SlotStore.writing``); anyone may read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def append(self, activation: Activation) -> None:
        """Add one line, durably; raises OSError, and then nothing was added."""
        is_new = not self.path.exists()
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(handle).st_size
            # A line that a power cut left without its end stays by itself.
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            line = ("\n" if torn else "") + json.dumps(activation.model_dump()) + "\n"
            try:
                _write_all(handle, line.encode())
                os.fsync(handle)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)
        if is_new:
            sync_folder(self.path.parent)

    def read(self) -> History:
        """What was written; none where there is no file. Raises OSError."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return History((), 0)
        activations, damaged = [], 0
        for line in filter(None, lines):
            try:
                activations.append(Activation.model_validate_json(line))
            except ValidationError:
                damaged += 1
        return History(tuple(activations), damaged)


def _write_all(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]
