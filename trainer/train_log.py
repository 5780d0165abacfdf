"""What a run writes down of every step: metrics.csv, and TensorBoard's event files beside it."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edge.errors import InputError
from edge.storage.durable_files import write_file
from trainer.train_loop import HELD_OUT_METRICS, METRICS

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

METRICS_FILE = "metrics.csv"
TENSORBOARD = "tensorboard"


class MetricsFile:
    """metrics.csv, one line a step, each in the file at once; on resume the lines after the checkpoint are cut."""

    def __init__(self, path: Path, from_step: int) -> None:
        kept = [row for row in read_metrics(path) if int(row["step"]) <= from_step] if from_step and path.is_file() else []
        beginning = io.StringIO(newline="")
        writer = csv.DictWriter(beginning, (*METRICS, *HELD_OUT_METRICS))
        writer.writeheader()
        writer.writerows(kept)
        write_file(path, beginning.getvalue().encode())
        self._file = open(path, "a", buffering=1, newline="")  # noqa: SIM115 - closed by close()
        self._writer = csv.DictWriter(self._file, (*METRICS, *HELD_OUT_METRICS))

    def write(self, metrics: dict[str, float]) -> None:
        """Add one line; the held-out losses are empty at steps without evaluation."""
        self._writer.writerow(metrics)

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


class TrainLog:
    """Both files of one run, in ``folder``; with ``enabled`` false (every rank but the first) nothing is written."""

    def __init__(self, folder: Path, from_step: int, *, enabled: bool, tensorboard: bool) -> None:
        self._metrics = MetricsFile(folder / METRICS_FILE, from_step) if enabled else None
        self._events: SummaryWriter | None = None
        if enabled and tensorboard:
            require_tensorboard()
            from torch.utils.tensorboard import SummaryWriter

            purge = from_step + 1 if from_step else None  # TensorBoard then hides what a killed run wrote after its checkpoint
            self._events = SummaryWriter(str(folder / TENSORBOARD), purge_step=purge)

    def write(self, metrics: dict[str, float]) -> None:
        """One step."""
        if self._metrics is not None:
            self._metrics.write(metrics)
        if self._events is not None:
            for name, value in metrics.items():
                if name != "step" and not math.isnan(value):
                    self._events.add_scalar(_tag(name), value, int(metrics["step"]))

    def __enter__(self) -> TrainLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for one in (self._metrics, self._events):
            if one is not None:
                one.close()


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The lines of a metrics.csv; without one that a killed run or a power cut left torn."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n") and "\0" not in line]
    return [row for row in csv.DictReader(whole) if row["step"].isdigit() and None not in row.values()]


def require_tensorboard() -> None:
    """Raise InputError where the tensorboard package is missing, before hours of training rather than after."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise InputError(
            "TensorBoard logs need the package tensorboard; pip install tensorboard, or leave them out with --no-tensorboard"
        ) from error


def _tag(name: str) -> str:
    """The same loss of training and held-out images in one chart group."""
    return f"{name.removeprefix('held_out_')}/{'held_out' if name.startswith('held_out_') else 'train'}"
