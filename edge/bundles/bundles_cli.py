"""edge-bundle: which bundle this device uses; tries another, proves it, and goes back by itself where it does not hold."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edge.bundle import MANIFEST, open_bundle
from edge.bundles.bundle_signature import TRUSTED_KEYS, require_trusted
from edge.bundles.bundle_slots import BundleSlots
from edge.bundles.line_services import LineServices, ServiceError
from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.plain_table import cell, show_table
from edge.errors import BundleError, EdgeInspectError, InputError, OutputError
from edge.storage.file_lock import lock_folder, taken
from edge.storage.locations import DEFAULT_RECIPES, DEFAULT_STATION, SETTINGS_FOLDER, STATE_FOLDER

CHECK_S = 3600.0
"""A first TensorRT plan is built in it."""


class _RefusedError(EdgeInspectError):
    """The bundle was not taken, or not kept."""

    exit_code = 1


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code: 1 where the bundle was refused, and the old one is in use."""
    options = _parser().parse_args(arguments)
    # Whoever started this over a line that was cut: what was begun is finished, or undone, all the same.
    with suppress(ValueError):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    console = Console(stderr=True)
    with reported("edge-bundle", console) as outcome:
        slots = BundleSlots(options.root)
        if options.command is _list:
            _list(slots, options)
        else:
            # The lock of edge-flash too (place_files.py): a bundle that is still being sent must not be cleared away as a third.
            with lock_folder(options.root) as handle:
                if not taken(handle):
                    raise OutputError(f"another edge-bundle or edge-flash is at work in {options.root}; wait for it")
                options.command(slots, options)
    return outcome.code


def _list(slots: BundleSlots, options: argparse.Namespace) -> None:
    active, previous = slots.active(), slots.previous()
    found = []
    for name in slots.names():
        try:
            bundle = open_bundle(slots.path(name))
            words, model = (f"signed by {bundle.signed_by}" if bundle.signed_by else "whole"), bundle.manifest.model_id
        except InputError as error:
            words, model = str(error), "–"
        found.append({"name": name, "use": "active" if name == active else "previous" if name == previous else "", "model": model,
                      "state": words})  # fmt: skip
    if options.json:
        print(json.dumps({"active": active, "previous": previous, "trying": slots.trying(), "bundles": found}))
        return
    table = Table("", "bundle", "model", "state", box=None)
    for one in found:
        table.add_row(*map(cell, (one["use"], one["name"], one["model"], one["state"])))
    show_table(table)


def _use(slots: BundleSlots, options: argparse.Namespace) -> None:
    _settle(slots, options)
    given = options.bundle if options.bundle.is_dir() else slots.path(str(options.bundle))
    _require_trusted(given, options.root)
    name = slots.take_in(given)
    if name == slots.active():
        _say(f"bundle {name} is in use already, and whole")
        return
    _check(slots, name, options)
    _switch(slots, name)


def _rollback(slots: BundleSlots, options: argparse.Namespace) -> None:
    _settle(slots, options)
    name = slots.previous()
    if name is None:
        raise BundleError(f"{slots.folder}: there is no bundle to go back to; see edge-bundle list")
    _require_trusted(slots.path(name), options.root)
    open_bundle(slots.path(name))
    _switch(slots, name)


def _settle(slots: BundleSlots, _: argparse.Namespace) -> None:
    if (before := slots.settle()) is not None:
        _say(f"a bundle was being tried when that was cut off; back to {before}")


def _switch(slots: BundleSlots, name: str) -> None:
    """The link, then the services; back to the bundle before where they do not run with it."""
    services = LineServices(SystemClock(), threading.Event())
    running = services.running()
    before = slots.active()
    slots.try_out(name)
    _say(f"bundle {name} is in use, {before or 'none'} was before; {len(running)} services start anew")
    try:
        services.restart(running)
    except ServiceError as error:
        if before is None:
            raise _RefusedError(f"{error}; there is no bundle to go back to") from error
        slots.settle()
        words = "and runs again"
        try:
            services.restart(running)
        except ServiceError as worse:
            words = f"and does not run either: {worse}"
        raise _RefusedError(f"{error}; the bundle {before} is in use again, {words}") from error
    slots.keep()
    _say(f"bundle {name} is kept")


def _check(slots: BundleSlots, name: str, options: argparse.Namespace) -> None:
    """edge-doctor on the spare slot, for each line, as the user whose state it is; raises _RefusedError."""
    wanted = "station,bundle,engine" if options.allow_uncalibrated else "station,bundle,calibration,engine"
    for station, state in _lines(options.root):
        command = [sys.executable, "-m", "edge.doctor.doctor_cli", "--json", "--only", wanted, "--bundle", str(slots.path(name)),
                   "--state", str(state), "--station", str(station)]  # fmt: skip
        owner = os.stat(state)
        identity = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 and owner.st_uid != 0 else {}
        if identity:
            identity["extra_groups"] = os.getgrouplist(_user_name(owner.st_uid), owner.st_gid)  # type: ignore[assignment]
        try:
            result = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=CHECK_S, check=False, **identity)  # type: ignore[call-overload]
            findings = json.loads(result.stdout)
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise _RefusedError(f"the self-check of {station.stem} gave no answer ({error}); the bundle in use stays") from error
        failed = [one for one in findings if one["status"] == "failed"]
        if failed or result.returncode != 0:
            words = (
                "; ".join(f"{one['check']}: {one['found']}; {one['remedy']}" for one in failed) or f"exit code {result.returncode}"
            )
            raise _RefusedError(f"the self-check of {station.stem} failed, so the bundle in use stays: {words}")
        _say(f"self-check of {station.stem}: {len(findings)} checks, none failed")


def _lines(root: Path) -> list[tuple[Path, Path]]:
    """(station file, state folder) of each line of this device."""
    settings, state = root / SETTINGS_FOLDER.relative_to("/"), root / STATE_FOLDER.relative_to("/")
    files = sorted(one for one in settings.glob("*.yaml") if one.name != DEFAULT_RECIPES.name)
    pairs = [(one, state if one.name == DEFAULT_STATION.name else state / one.stem) for one in files]
    return [(station, folder) for station, folder in pairs if folder.is_dir()]


def _require_trusted(bundle: Path, root: Path) -> None:
    if not (bundle / MANIFEST).is_file():
        raise BundleError(
            f"{bundle}: expected a model bundle ({MANIFEST}), there is none; see edge-bundle list, or give its folder"
        )
    require_trusted(bundle, (bundle / MANIFEST).read_bytes(), root / TRUSTED_KEYS.relative_to("/"))


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "nobody"


def _say(text: str) -> None:
    """To stderr, where somebody may no longer listen."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-bundle", description=__doc__)
    parser.add_argument(
        "--root", type=Path, default=Path("/"), help="where / of the device is, for an image (default: %(default)s)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("list", help="bundles on this device, and which is in use")
    one.add_argument("--json", action="store_true", help="one JSON object on stdout")
    one.set_defaults(command=_list)
    one = commands.add_parser("use", help="check a bundle here, switch to it, and back where the services do not run with it")
    one.add_argument("bundle", type=Path, help="a folder, such as on a USB stick, or a name that list shows")
    one.add_argument(
        "--allow-uncalibrated", action="store_true", help="also where this line has no calibration for it; it then waits, rejecting"
    )
    one.set_defaults(command=_use)
    one = commands.add_parser("rollback", help="back to the bundle before")
    one.set_defaults(command=_rollback)
    one = commands.add_parser("settle", help="at boot: give up a bundle that was being tried when the power went")
    one.set_defaults(command=_settle)
    return parser


if __name__ == "__main__":
    sys.exit(main())
