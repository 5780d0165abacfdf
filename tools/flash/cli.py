"""edge-flash: from a bare Jetson to an inspecting one, and from one bundle to the next."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edge.console.exit_code import reported
from edge.console.flags import whole_number
from edge.console.plain_table import cell, say, show_table
from edge.errors import EXIT_FAILED, EXIT_OK
from edge.jetpack_releases import RELEASES
from tools.flash.boards import BOARDS
from tools.flash.content_flags import add_content_flags, wanted_of
from tools.flash.flash_plan import MOST_DEVICES, FlashPlan, make_plan
from tools.flash.flash_run import Consent, FlashRun, results_record
from tools.flash.plan_report import show_plan
from tools.flash.remote_cli import add_remote_commands
from tools.flash.stage import stage, unstage
from tools.flash.wheelhouse import PROJECT, make_wheelhouse

PYTHONS = sorted({one.python for one in RELEASES})


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-flash", console) as outcome:
        outcome.code = options.command(options, console)
    return outcome.code


def _plan_of(options: argparse.Namespace) -> FlashPlan:
    return make_plan(
        options.l4t, options.board, options.storage, options.mass, options.jetpack_debs, options.jetpack, wanted_of(options)
    )


def _plan(options: argparse.Namespace, _: Console) -> int:
    plan = _plan_of(options)
    if options.json:
        print(json.dumps(plan.record(), indent=1))
    else:
        show_plan(plan, every_file=options.files)
    return EXIT_OK


def _stage(options: argparse.Namespace, console: Console) -> int:
    plan = _plan_of(options)
    if not plan.bsp.applied:
        say(console, f"{plan.bsp.rootfs}: NVIDIA's binaries are not in it yet; edge-flash flash does both, in this order", "yellow")
    changed = stage(plan.manifest, plan.bsp.rootfs)
    say(console, f"{len(plan.manifest.entries)} entries are in {plan.bsp.rootfs}, {len(changed)} of them changed")
    return EXIT_OK


def _unstage(options: argparse.Namespace, console: Console) -> int:
    gone, left = unstage(options.l4t / "rootfs")
    say(console, f"{len(gone)} entries are gone or as they were before")
    for path in left:
        say(console, f"left alone, since it was changed: {path}", "yellow")
    return EXIT_OK


def _flash(options: argparse.Namespace, console: Console) -> int:
    # Consent first: a plan reads gigabytes, and who forgot a flag should not wait for that.
    consent = Consent(options.yes_erase, options.accept_license)
    consent.require()
    results = FlashRun(_plan_of(options), options.logs, console).run(consent)
    if options.json:
        print(json.dumps(results_record(results)))
    else:
        table = Table("", "USB port", "serial", "", "log", box=None)
        for one in results:
            row = ("flashed" if one.flashed else "FAILED", one.port, one.serial or "–", "" if one.flashed else one.words, one.log)
            table.add_row(*map(cell, row))
        show_table(table)
    if all(one.flashed for one in results):
        return EXIT_OK
    say(
        console,
        "put those that failed into recovery mode and run the same command: images are kept, finished devices are left alone",
    )
    return EXIT_FAILED


def _wheelhouse(options: argparse.Namespace, console: Console) -> int:
    make_wheelhouse(options.out, options.python, options.source, console)
    say(console, f"{options.out}: {sum(1 for _ in options.out.iterdir())} files")
    return EXIT_OK


def _sign(options: argparse.Namespace, console: Console) -> int:
    from tools.flash.sign_bundle import sign_bundle

    say(console, f"{options.bundle} is signed by {sign_bundle(options.bundle, options.key)}")
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-flash", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: object, text: str, *, plans: bool = True) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=run)
        if plans:
            one.add_argument("--l4t", type=Path, required=True, metavar="DIR", help="NVIDIA's Linux_for_Tegra")
            one.add_argument("--board", required=True, help=", ".join(board.name for board in BOARDS))
            one.add_argument("--storage", choices=("nvme", "emmc", "sd"), help="where the system goes (default: the board's usual)")
            one.add_argument(
                "--mass",
                type=whole_number(1, MOST_DEVICES),
                default=1,
                metavar="N",
                help="devices at a time (default: %(default)s)",
            )
            add_content_flags(one)
        return one

    one = add("plan", _plan, "every step, file and command; changes nothing")
    one.add_argument("--json", action="store_true", help="one JSON object on stdout")
    one.add_argument("--files", action="store_true", help="each wheel, package and file of the bundle as a row of its own")
    add("stage", _stage, "put application, bundle, station and units into the BSP's rootfs/; as root")
    one = add("unstage", _unstage, "take them out again", plans=False)
    one.add_argument("--l4t", type=Path, required=True, metavar="DIR", help="NVIDIA's Linux_for_Tegra")
    one = add("flash", _flash, "binaries, stage, images and flash, by NVIDIA's own scripts; as root")
    one.add_argument("--yes-erase", action="store_true", help="everything on the devices is lost, and that is meant")
    one.add_argument("--accept-license", action="store_true", help="NVIDIA's licence is accepted")
    one.add_argument("--logs", type=Path, default=Path("edge-flash-logs"), help="where logs go (default: %(default)s)")
    one.add_argument("--json", action="store_true", help="a list of devices on stdout")
    one = add("wheelhouse", _wheelhouse, "the application and all it needs as wheels for the device; from PyPI", plans=False)
    one.add_argument("--python", choices=PYTHONS, required=True, help="the release's: 3.10 for JetPack 6, 3.12 for 7")
    one.add_argument("--out", type=Path, required=True, help="folder; must not exist")
    one.add_argument("--source", type=Path, default=PROJECT, help="source of edge-inspect (default: %(default)s)")
    one = add("sign", _sign, "sign a bundle, for devices that trust the key", plans=False)
    one.add_argument("bundle", type=Path)
    one.add_argument("--key", type=Path, required=True, metavar="FILE", help="Ed25519, as ssh-keygen -t ed25519 makes it")
    add_remote_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
