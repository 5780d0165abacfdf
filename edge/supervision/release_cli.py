"""edge-inspect release: a line that was stopped may run again, since somebody has looked for the part."""

from __future__ import annotations

import argparse
import os
import pwd
import shlex
import sys
from pathlib import Path

from rich.console import Console

from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, add_operator_flag
from edge.errors import EXIT_FAILED, OutputError
from edge.records.audit_log import FOLDER, AuditTrail
from edge.storage.locations import bundle_path, state_path
from edge.supervision.stop_order import StopOrder


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code, 1 where no line stands."""
    parser = argparse.ArgumentParser("edge-inspect release", description=__doc__)
    add_bundle_flags(parser)
    add_operator_flag(parser)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-inspect release", console) as outcome:
        state = state_path(options.state, bundle_path(options.bundle))
        _as_owner(state)
        order = StopOrder(state, lambda _: None)
        if reason := order.standing():
            # Who it was is written first: where that cannot be kept, the line stands on.
            by = {"reason": reason, "operator": options.operator}
            AuditTrail(state / FOLDER).append(SystemClock().wall_ns(), "line released", by)
            order.release(reason)
            said = f"released: {reason}. A running inspection tests itself and goes on; one that is not running can be started"
        else:
            outcome.code = EXIT_FAILED
            said = f"no stopped line is known in {state}; give the --state that the fault names, once the disk has taken the order"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    return outcome.code


def _as_owner(state: Path) -> None:
    """As the user whose state it is: what root writes there, that user could not write on. Raises OutputError."""
    try:
        owner = state.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"cannot look into {state}: {error.strerror}; say it with sudo, or correct --state") from error
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        try:
            name = pwd.getpwuid(owner.st_uid).pw_name
        except KeyError:
            name = f"#{owner.st_uid}"
        again = shlex.join(["sudo", "-u", name, sys.argv[0], "release", "--state", str(state.absolute())])
        raise OutputError(f"cannot look into {state}, which is {name}'s; say it as {name}: {again} --operator NAME")


if __name__ == "__main__":
    sys.exit(main())
