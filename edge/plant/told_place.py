"""How far one protocol has come in telling parts: kept in a file that outlives a crash, a quarter of a second behind at most."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from edge.clock import Clock
from edge.errors import OutputError, RecordsError
from edge.plant.part_result import Place
from edge.storage.durable_files import write_file
from edge.storage.strict_yaml import StrictModel

KEEP_NS = 250_000_000
"""A protocol that is killed tells again what it told in this time; a write for each part would wear out a card."""


class _Kept(StrictModel):
    records_id: str
    part_id: int
    wall_ns: int | None


class ToldPlace:
    """In the file ``path``, which begins with ``begin`` where there is none; raises OutputError, RecordsError."""

    def __init__(self, path: Path, begin: Place, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._kept_ns = clock.monotonic_ns()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = _Kept.model_validate_json(path.read_bytes())
            self.place = self._kept = Place(kept.records_id, kept.part_id, kept.wall_ns)
        except FileNotFoundError:
            # Written at once: a run that ends before it told anything must not be passed over by the next.
            self.place = begin
            self._write()
        except OSError as error:
            raise OutputError(f"{path}: cannot be used: {error.strerror}; check the state folder") from error
        except ValidationError as error:
            raise RecordsError(
                f"{path}: expected how far the plant was told, got something else; remove it, and parts are told from the next "
                "run's first on"
            ) from error

    def move(self, place: Place) -> None:
        """All up to ``place`` was told."""
        self.place = place

    @property
    def due(self) -> bool:
        """Whether ``keep`` has something to do."""
        return self.place != self._kept and self._clock.monotonic_ns() - self._kept_ns >= KEEP_NS

    def keep(self) -> None:
        """Write it down, durably; raises OutputError."""
        if self.place != self._kept:
            self._write()

    def _write(self) -> None:
        place = self.place
        write_file(self._path, _Kept(**place._asdict()).model_dump_json().encode())
        self._kept, self._kept_ns = place, self._clock.monotonic_ns()
