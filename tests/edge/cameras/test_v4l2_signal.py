"""A grabber whose source is gone gives pictures all the same; its driver says that they are of nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.live_capture import LiveCamera
from edge.cameras.v4l2_signal import InputSignal, missing_of
from edge.clock import SystemClock
from edge.errors import FrameError


class Grabber:
    """cv2.VideoCapture of a grabber, and its signal; one new picture for each ``more``."""

    def __init__(self) -> None:
        self.lacking, self.closed, self.released = "", False, False
        self.more = threading.Semaphore(0)

    def read(self) -> tuple[bool, object]:
        self.more.acquire()
        return not self.released, np.zeros((4, 4, 3), np.uint8)

    def release(self) -> None:
        self.released = True

    def missing(self) -> str:
        return self.lacking

    def close(self) -> None:
        self.closed = True


def test_a_picture_of_no_signal_cannot_be_used_and_the_next_one_can() -> None:
    grabber = Grabber()
    camera = LiveCamera("grabber", grabber, SystemClock(), signal=grabber)
    outcomes = []
    for lacking in ("", missing_of(0x2), ""):
        grabber.lacking = lacking
        grabber.more.release()
        try:
            outcomes.append(camera.read(5000).source)
        except FrameError as error:
            outcomes.append(str(error))
    grabber.released = True
    grabber.more.release()
    camera.close()
    assert outcomes == ["grabber#0", "grabber#1: no signal at its input; check the source and its cable", "grabber#2"]
    assert grabber.closed


@pytest.mark.parametrize(
    ("status", "words"), [(0, ""), (0x4, ""), (0x10001, "no power, no synchronisation with the signal at its")]
)
def test_only_what_makes_a_picture_worthless_is_missing(status: int, words: str) -> None:
    assert missing_of(status).startswith(words)
    assert bool(missing_of(status)) is bool(words)


def test_a_device_that_tells_nothing_lacks_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for device in (tmp_path / "file", tmp_path / "absent"):
        signal = InputSignal(device)
        assert signal.missing() == ""
        signal.close()
        signal.close()
        assert signal.missing() == ""
