"""What a running inspection shows, for a program beside it; believes nothing of an answer that it has not checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edge.clock import Clock
from edge.errors import NotRunningError
from edge.frame import Image
from edge.live.live_status import MAGIC, MOST_CONTENT_BYTES, MOST_HEADER_BYTES, SOCKET, STATUS, VIEW, LiveStatus, LiveView
from edge.live.message import NoMessageError, read_header
from edge.live.newest_reader import NewestReader, Receive

STATUS_MS = 2000


@dataclass(frozen=True, slots=True)
class SeenPart:
    """The newest part. image: uint8 H×W×3, BGR, H = W = 0 without one. anomaly_map: float32 h×w, over ``header.region``."""

    header: LiveView
    image: Image
    anomaly_map: NDArray[np.float32]


class LiveReader:
    """Reads from ``<state>/live.sock``. For one thread. Every method raises NotRunningError where no inspection answers."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self._path = state / SOCKET
        self._reader = NewestReader(self._path, clock)

    def status(self) -> LiveStatus:
        """What it says now."""
        try:
            return self._reader.ask(STATUS, _status, STATUS_MS)
        except (TimeoutError, OSError, EOFError, NoMessageError, ValidationError) as error:
            raise self._not_running(error) from error

    def view(self, timeout_ms: int) -> SeenPart | None:
        """The newest part, unless it was given before: then the next one; None where none came in time."""
        try:
            return self._reader.ask(VIEW, _view, timeout_ms, patient=True)
        except TimeoutError:
            return None
        except (OSError, EOFError, NoMessageError, ValidationError) as error:
            raise self._not_running(error) from error

    def close(self) -> None:
        """May be called twice."""
        self._reader.close()

    def _not_running(self, error: Exception) -> NotRunningError:
        said = "gives another version's answers" if isinstance(error, NoMessageError | ValidationError) else "does not answer"
        return NotRunningError(
            f"{self._path}: edge-inspect {said} there; start it as the same user, or name its --bundle or --state"
        )


def _status(receive: Receive) -> LiveStatus:
    return LiveStatus.model_validate_json(read_header(MAGIC, MOST_HEADER_BYTES, receive))


def _view(receive: Receive) -> SeenPart:
    header = LiveView.model_validate_json(read_header(MAGIC, MOST_HEADER_BYTES, receive))
    if header.image_bytes() + header.map_bytes() > MOST_CONTENT_BYTES:
        raise NoMessageError(f"a picture of {header.width}×{header.height}")
    image = np.frombuffer(receive(header.image_bytes()), np.uint8).reshape(header.height, header.width, 3)
    heat = np.frombuffer(receive(header.map_bytes()), np.float32).reshape(header.map_height, header.map_width)
    return SeenPart(header, image, heat)
