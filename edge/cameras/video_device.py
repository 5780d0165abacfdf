"""Which camera a /dev/videoN is, whatever its number: unplugged, it may come back under another one, and another one under its."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEVICES = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """name: as its driver calls it. place: its socket, as a path below /sys/devices. index: which of the streams there."""

    name: str
    place: str
    index: str

    @classmethod
    def at(cls, device: Path, devices: Path | None = None) -> VideoDevice | None:
        """What ``device`` is now; None where the kernel knows none of that name, or tells nothing of it."""
        entry = (devices or DEVICES) / device.name
        try:
            name, index = (entry / "name").read_text().strip(), (entry / "index").read_text().strip()
            return cls(name, os.path.realpath(entry / "device", strict=True), index)
        except OSError:
            return None

    def find(self, devices: Path | None = None) -> Path | None:
        """Its device file now; None while it is unplugged."""
        for entry in sorted((devices or DEVICES).glob("video*")):
            if VideoDevice.at(entry, devices) == self:
                return Path("/dev") / entry.name
        return None

    def describe(self) -> str:
        """For people."""
        return f"{self.name} at {Path(self.place).name}"
