"""A line on the terminal that renews itself while something runs."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.live import Live

Line = TypeVar("Line", bound="LiveLine")


class LiveLine:
    """Entered and left around what it shows; does nothing where ``console`` is not a terminal."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=5, transient=True) if console.is_terminal else None

    @property
    def visible(self) -> bool:
        """Whether anybody sees it."""
        return self._live is not None

    def update(self, line: RenderableType) -> None:
        """Show ``line`` instead of what was there."""
        if self._live is not None:
            self._live.update(line)

    def __enter__(self: Line) -> Line:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
