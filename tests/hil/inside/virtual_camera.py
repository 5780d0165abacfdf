"""vivid's HDMI capture, fed frame by frame through its output node: what is shown is read pixel for pixel."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
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


def device(name: str) -> Path:
    """The device file of that name now; raises FileNotFoundError while it is unplugged."""
    for entry in sorted(DEVICES.glob("video*")):
        if (entry / "name").read_text().strip() == name:
            return Path("/dev") / entry.name
    raise FileNotFoundError(f"no camera {name!r}; present: {sorted(e.name for e in DEVICES.glob('video*'))}")


class VirtualCamera:
    """Plugged in and showing ``pictures`` one after the other, as a sensor's noise differs: uint8 480×640×3, BGR."""

    def __init__(self, pictures: Sequence[Image]) -> None:
        self._pictures = [picture.tobytes() for picture in pictures]
        self._stream: OutputStream | None = None
        self._thread: threading.Thread | None = None
        self._feeding = False
        self._wrote, self._written = threading.Condition(), 0
        self.plug_in()

    @property
    def number(self) -> str:
        """As ``--camera`` takes it."""
        return device(CAPTURE).name.removeprefix("video")

    def show(self, pictures: Sequence[Image]) -> None:
        """From now on these, over and over; one alone is a frozen image. Returns when they are what is read."""
        self._pictures = [picture.tobytes() for picture in pictures]
        # The next to be written may be an old one yet, the one after it is new, and with the one after that it has begun to show.
        with self._wrote:
            wanted = self._written + 3
            if not self._wrote.wait_for(lambda: self._written >= wanted, 5):
                raise TimeoutError("the camera's output takes no more frames")
        time.sleep(2 * PERIOD_S)  # until the capturing side has copied it, too

    def show_at_once(self, pictures: Sequence[Image]) -> int:
        """The same without waiting; the monotonic time, nanoseconds."""
        self._pictures = [picture.tobytes() for picture in pictures]
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
        self._stream = OutputStream(device(OUTPUT), WIDTH, HEIGHT)
        self._feeding = True
        self._thread = threading.Thread(target=self._feed, name="camera feed", daemon=True)
        self._thread.start()

    def stall(self, stalled: bool) -> None:
        """No frame comes any more, while the device stays."""
        self.controls.set("Percentage of Dropped Buffers", 100 if stalled else 0)

    def lose_signal(self, lost: bool) -> None:
        """The HDMI source is gone: the device gives noise."""
        self.controls.set("DV Timings Signal Mode", "No Signal" if lost else "Current DV Timings")

    def one_bad_buffer(self) -> None:
        """The next buffer carries V4L2_BUF_FLAG_ERROR."""
        self.controls.press("Inject V4L2_BUF_FLAG_ERROR")

    def fail_streaming(self) -> None:
        """The driver gives up: what a USB camera does after a bus error."""
        self.controls.press("Inject Fatal Streaming Error")

    def close(self) -> None:
        """Unplugged and plugged in again without anybody feeding it: the next one begins anew."""
        self._stop_feeding()
        with suppress(OSError):
            (DRIVER / "unbind").write_text("vivid.0")
        (DRIVER / "bind").write_text("vivid.0")

    def _feed(self) -> None:
        stream = self._stream
        assert stream is not None
        with suppress(OSError):  # unplugged
            for turn in count():
                if not self._feeding:
                    return
                pictures = self._pictures
                stream.write(pictures[turn % len(pictures)])
                with self._wrote:
                    self._written += 1
                    self._wrote.notify_all()

    def _stop_feeding(self) -> None:
        self._feeding = False
        if self._thread is not None:
            self._thread.join(2)
        if self._stream is not None:
            self._stream.close()
        self._thread = self._stream = None
