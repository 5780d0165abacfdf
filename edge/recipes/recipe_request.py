"""Which product the running inspection is to inspect, and what became of the wish: two small files in the state folder."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from pydantic import ValidationError

from edge.clock import Clock
from edge.errors import OutputError
from edge.storage.durable_files import write_file
from edge.storage.strict_yaml import StrictModel

REQUEST = "recipe-wanted.json"
ANSWER = "recipe-running.json"


class RecipeRequest(StrictModel):
    """Who wants which recipe. ``number`` tells one request from the next, of the same recipe too. time: UTC."""

    number: int
    name: str
    operator: str
    reason: str
    time: str


class RecipeAnswer(StrictModel):
    """What runs. number: of the request this answers, 0 for none. refusal: why what it named does not run; empty where it does."""

    number: int
    running: str
    refusal: str


class RecipeFiles:
    """Both files. Anyone may ask; only the running inspection answers. Each is replaced whole, and survives a power cut."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self.folder, self._clock = state, clock

    def ask(self, name: str, operator: str, reason: str) -> RecipeRequest:
        """Want ``name`` from now on, after a restart too. Raises OutputError."""
        before = self.request()
        wall_ns = self._clock.wall_ns()
        number = max(wall_ns, before.number + 1 if before is not None else 0)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_ns / 1e9))
        request = RecipeRequest(number=number, name=name, operator=operator, reason=reason, time=now)
        self._write(REQUEST, request)
        return request

    def answer(self, answer: RecipeAnswer) -> None:
        """Say what runs. Raises OutputError."""
        self._write(ANSWER, answer)

    def request(self) -> RecipeRequest | None:
        """The last one; None where there is none that can be read."""
        try:
            return RecipeRequest.model_validate_json((self.folder / REQUEST).read_bytes())
        except (OSError, ValidationError):
            return None

    def answered(self) -> RecipeAnswer | None:
        """The last answer; None where there is none that can be read."""
        try:
            return RecipeAnswer.model_validate_json((self.folder / ANSWER).read_bytes())
        except (OSError, ValidationError):
            return None

    def state(self) -> tuple[int, int] | None:
        """Two numbers that change with each request; None where there is none."""
        try:
            status = os.stat(self.folder / REQUEST)
        except OSError:
            return None
        return status.st_ino, status.st_ctime_ns

    def _write(self, name: str, content: StrictModel) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot write there: {error.strerror}; choose another --state") from error
        write_file(self.folder / name, json.dumps(content.model_dump()).encode() + b"\n")
