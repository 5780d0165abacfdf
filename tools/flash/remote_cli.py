"""provision, update, rollback and verify: the part of edge-flash that talks to devices over SSH."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.console.plain_table import cell, say, show_table
from edge.errors import EXIT_FAILED, EXIT_OK
from tools.flash.content_flags import add_content_flags, wanted_of
from tools.flash.provisioning import Outcome, provision, rollback, update, verify
from tools.flash.ssh_device import SshDevice


def _provision(options: argparse.Namespace, console: Console) -> int:
    return _tell(provision(_device(options), wanted_of(options), options.jetpack_debs, options.jetpack), options, console)


def _update(options: argparse.Namespace, console: Console) -> int:
    return _tell(update(_device(options), options.bundle, allow_uncalibrated=options.allow_uncalibrated), options, console)


def _rollback(options: argparse.Namespace, console: Console) -> int:
    return _tell(rollback(_device(options)), options, console)


def _verify(options: argparse.Namespace, console: Console) -> int:
    found = verify(_device(options), wanted_of(options), options.jetpack_debs, options.jetpack)
    if options.json:
        print(json.dumps({"host": options.host, "changed": False, "differences": found}))
    elif found:
        table = Table("path", "on the device", box=None)
        for path, how in found.items():
            table.add_row(cell(path), cell(how))
        show_table(table)
    say(console, f"{options.host}: {f'{len(found)} entries differ' if found else 'is as it should be'}")
    return EXIT_FAILED if found else EXIT_OK


def _tell(outcome: Outcome, options: argparse.Namespace, console: Console) -> int:
    if options.json:
        print(json.dumps({"host": outcome.host, "changed": outcome.changed, "words": outcome.words}))
    say(console, f"{outcome.host}: {outcome.words}")
    return EXIT_OK


def _device(options: argparse.Namespace) -> SshDevice:
    return SshDevice(options.host, options.ssh_config, options.root)


def add_remote_commands(commands: Any) -> None:
    """To edge-flash's commands."""

    def add(name: str, run: Callable[[argparse.Namespace, Console], int], text: str, *, contents: bool) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=run)
        one.add_argument("--host", required=True, metavar="USER@DEVICE", help="root, or a user with sudo that asks nothing")
        one.add_argument("--ssh-config", type=Path, metavar="FILE", help="of OpenSSH, for port, key and host key")
        one.add_argument("--root", default="/", help="where / of the device is, for an image (default: %(default)s)")
        one.add_argument("--json", action="store_true", help="one JSON object on stdout")
        if contents:
            add_content_flags(one)
        return one

    add("provision", _provision, "all of stage, onto a device that runs", contents=True)
    add("verify", _verify, "compare a device with what provision would make of it; exit code 1 where it differs", contents=True)
    one = add(
        "update", _update, "another bundle: spare slot, self-check, switch, back by itself where it does not hold", contents=False
    )
    one.add_argument("--bundle", type=Path, required=True, help="model bundle, as edge-export writes it")
    one.add_argument(
        "--allow-uncalibrated", action="store_true", help="also where the line has no calibration for it, and so would wait"
    )
    add("rollback", _rollback, "back to the bundle before", contents=False)
