"""What a capture tells: one live line while it runs, one or two when it is over."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edge.capture.capture_gates import Skip
from edge.capture.capture_session import CaptureSession
from edge.line.live_line import LiveLine
from edge.pictures.image_file import CONTACT_SHEET

REMEDIES = {
    Skip.NO_FRAME: "check the camera's trigger and cable",
    Skip.UNUSABLE: "check the camera's pixel format or the files",
    Skip.DARK: "more light, or a longer exposure_us in the station file",
    Skip.BRIGHT: "less light, or a shorter exposure_us in the station file",
    Skip.SATURATED: "less light, or a shorter exposure_us in the station file",
    Skip.SAME_PART: "put the next part there; for parts that look alike lower --same-below",
    Skip.BLURRED: "focus the lens, or a shorter exposure_us for moving parts",
}


class CaptureStatus(LiveLine):
    """Shows the newest frame's fate and the counts on ``console``; between start and end nothing where that is not a terminal."""

    def __init__(self, console: Console, frames: int | None) -> None:
        super().__init__(console)
        self._of = "" if frames is None else f" of {frames}"
        self._before: int | None = None

    def show(self, session: CaptureSession, skip: Skip | None) -> None:
        """Take the fate of the newest frame; None where it was kept."""
        if self._before is None:
            self._before = session.kept - (skip is None)
        if self.visible:
            fate = ("kept", "bold green") if skip is None else (skip.value, "bold yellow")
            line = Text.assemble((f"{session.kept - self._before}{self._of} pictures", "bold"), "   ", fate)
            line.append(f"   {in_words(session)}   Ctrl-C ends", "dim")
            self.update(line)


def in_words(session: CaptureSession) -> str:
    """The skipped, by reason."""
    counts = ", ".join(f"{count} {skip.value}" for skip, count in session.skipped.most_common())
    return f"skipped: {counts}" if counts else "none skipped"


def summary(session: CaptureSession) -> list[str]:
    """Lines for the end."""
    lines = [f"{session.kept} pictures in {session.folder}, {in_words(session)}"]
    if session.kept:
        lines.append(f"look at {session.folder / CONTACT_SHEET}, remove what is no good part")
    if session.skipped.total() > session.kept:
        worst, count = session.skipped.most_common(1)[0]
        lines.append(f"{count} frames were skipped as {worst.value}: {REMEDIES[worst]}")
    return lines
