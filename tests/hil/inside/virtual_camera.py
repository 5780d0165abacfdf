"""vivid's HDMI capture, fed frame by frame through its output node: what is shown is read pixel for pixel."""

from __future__ import annotations

import itertools
import mmap
import os
import signal
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from edge.frame import Image
from tests.hil.inside.v4l2 import Controls, OutputStream, set_timings

WIDTH, HEIGHT, FRAMES_PER_SECOND = 640, 480, 60.0
"""Asked for; with the machine's tick of 10 ms some 40 frames a second come."""
DEVICES = Path("/sys/class/video4linux")
DRIVER = Path("/sys/bus/platform/drivers/vivid")
CAPTURE, OUTPUT, WEBCAM = "vivid-001-vid-cap", "vivid-001-vid-out", "vivid-000-vid-cap"
LINK = "HDMI 001-0 Is Connected To"
PERIOD_S = 0.025
PRIORITY = 20
"""A sensor waits for no program: without it the picture freezes now and then."""


def device(name: str) -> Path:
    """The device file of that name now; raises FileNotFoundError while it is unplugged."""
    for entry in sorted(DEVICES.glob("video*")):
        if (entry / "name").read_text().strip() == name:
            return Path("/dev") / entry.name
    raise FileNotFoundError(f"no camera {name!r}; present: {sorted(e.name for e in DEVICES.glob('video*'))}")


class Screen:
    """The pictures a process feeds, in memory shared with who chooses them. Two banks: one is shown, one is written."""

    MOST = 8
    SIZE = WIDTH * HEIGHT * 3

    def __init__(self) -> None:
        self._banks = mmap.mmap(-1, 2 * self.MOST * self.SIZE)
        self._view = memoryview(self._banks)  # a copy of a picture is 225 pages to be found anew, each time
        self._numbers = mmap.mmap(-1, 24)
        self._bank = 0

    def choose(self, pictures: Sequence[Image]) -> None:
        """From the next frame on these."""
        self._bank = 1 - self._bank
        start = self._bank * self.MOST
        for index, picture in enumerate(pictures[: self.MOST]):
            self._banks[(start + index) * self.SIZE : (start + index + 1) * self.SIZE] = picture.tobytes()
        struct.pack_into("qq", self._numbers, 0, start, min(len(pictures), self.MOST))

    def frame(self, turn: int) -> tuple[memoryview, bytes]:
        """(the one to show at ``turn``, its first bytes): of several each is a new one, as a sensor's noise makes it."""
        start, many = struct.unpack_from("qq", self._numbers, 0)
        first = (start + turn % many) * self.SIZE
        return self._view[first : first + self.SIZE], b"" if many == 1 else struct.pack("I", turn)

    @property
    def written(self) -> int:
        """Frames that the device took up."""
        return int(struct.unpack_from("q", self._numbers, 16)[0])

    def wrote(self) -> None:
        """One more."""
        struct.pack_into("q", self._numbers, 16, self.written + 1)


class VirtualCamera:
    """Plugged in and showing ``pictures`` one after the other, as a sensor's noise differs: uint8 480×640×3, BGR, eight at most."""

    def __init__(self, pictures: Sequence[Image]) -> None:
        self._screen = Screen()
        self._screen.choose(pictures)
        self._feeder = 0
        self.plug_in()

    @property
    def number(self) -> str:
        """As ``--camera`` takes it."""
        return device(CAPTURE).name.removeprefix("video")

    def show(self, pictures: Sequence[Image]) -> None:
        """From now on these, over and over; one alone is a frozen image. Returns when they are what is read."""
        self._screen.choose(pictures)
        # The next to be written may be an old one yet, the one after it is new, and with the one after that it has begun to show.
        wanted, until = self._screen.written + 3, time.monotonic() + 10
        while self._screen.written < wanted:
            if time.monotonic() > until:
                raise TimeoutError("the camera's output takes no more frames")
            time.sleep(0.002)
        time.sleep(2 * PERIOD_S)  # until the capturing side has copied it, too

    def show_at_once(self, pictures: Sequence[Image]) -> int:
        """The same without waiting; the monotonic time, nanoseconds."""
        self._screen.choose(pictures)
        return time.monotonic_ns()

    def unplug(self) -> None:
        """Its devices vanish, as when a cable is drawn."""
        self._stop_feeding()
        (DRIVER / "unbind").write_text("vivid.0")

    def plug_in(self) -> None:
        """There again, under whatever number is free; it needs its timings anew, as any HDMI source."""
        if not (DRIVER / "vivid.0").exists():
            (DRIVER / "bind").write_text("vivid.0")
        for name in (CAPTURE, OUTPUT):
            set_timings(device(name), WIDTH, HEIGHT, FRAMES_PER_SECOND)
        self.controls = Controls(device(CAPTURE))
        self.controls.set("OSD Text Mode", "None")
        self.controls.set(LINK, "Output HDMI 001-0")
        self._start_feeding()

    def stall(self, stalled: bool) -> None:
        """No frame comes any more, while the device stays."""
        self.controls.set("Percentage of Dropped Buffers", 100 if stalled else 0)

    def lose_signal(self, lost: bool) -> None:
        """The HDMI source is gone: the device gives noise."""
        self.controls.set("DV Timings Signal Mode", "No Signal" if lost else "Current DV Timings")

    def one_bad_buffer(self) -> None:
        """The next buffer carries V4L2_BUF_FLAG_ERROR."""
        self.controls.press("Inject V4L2_BUF_FLAG_ERROR")

    def one_io_error(self) -> None:
        """The next VIDIOC_QBUF fails."""
        self.controls.press("Inject VIDIOC_QBUF Error")

    def fail_streaming(self) -> None:
        """The driver gives up: what a USB camera does after a bus error."""
        self.controls.press("Inject Fatal Streaming Error")

    def close(self) -> None:
        """Unplugged and plugged in again without anybody feeding it: the next one begins anew."""
        self._stop_feeding()
        with suppress(OSError):
            (DRIVER / "unbind").write_text("vivid.0")
        (DRIVER / "bind").write_text("vivid.0")

    def _start_feeding(self) -> None:
        output = device(OUTPUT)
        began = self._screen.written
        self._feeder = os.fork()  # a process, since a sensor waits for nobody's interpreter lock
        if self._feeder == 0:
            with suppress(BaseException):
                _feed(output, self._screen)
            os._exit(0)
        while self._screen.written == began:
            assert os.waitpid(self._feeder, os.WNOHANG) == (0, 0), "the camera's output takes no frames"
            time.sleep(0.002)

    def _stop_feeding(self) -> None:
        if self._feeder:
            os.kill(self._feeder, signal.SIGKILL)
            os.waitpid(self._feeder, 0)
            self._feeder = 0


def _feed(output: Path, screen: Screen) -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    stream = OutputStream(output, WIDTH, HEIGHT)
    for turn in itertools.count():
        stream.write(*screen.frame(turn))
        screen.wrote()
