"""From an error to one line on stderr and an exit code, the same for every command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from edge.errors import EXIT_FAILED, EXIT_INPUT, EXIT_OK, InputError

EXIT_INTERRUPTED = 130


class Outcome:
    """What ``reported`` leaves behind: the exit code of the command."""

    code = EXIT_OK


@contextmanager
def reported(command: str, console: Console) -> Iterator[Outcome]:
    """Run a command's body; an error becomes one line and ``code``. EDGE_INSPECT_DEBUG=1 lets tracebacks through."""
    outcome = Outcome()
    try:
        yield outcome
    except KeyboardInterrupt:
        _say(console, command, "interrupted; nothing half-written was left")
        outcome.code = EXIT_INTERRUPTED
    except Exception as error:
        if os.environ.get("EDGE_INSPECT_DEBUG"):
            raise
        # What the operating system refuses (a name too long, a disk gone) has its own clear words.
        known = isinstance(error, InputError | OSError)
        kind = (
            ""
            if known or type(error).__module__.startswith(("edge.", "calibration.", "tools.", "trainer."))
            else (f"unexpected {type(error).__name__}: ")
        )
        hint = "" if not kind else "; set EDGE_INSPECT_DEBUG=1 to see where, and report it"
        _say(console, command, f"{kind}{error}{hint}")
        outcome.code = getattr(error, "exit_code", EXIT_INPUT if known else EXIT_FAILED)


def _say(console: Console, command: str, message: str) -> None:
    console.print(f"{command}: {' '.join(message.split())}", style="red", markup=False, highlight=False, soft_wrap=True)
