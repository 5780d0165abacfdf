"""edge-slots: the calibrations of a bundle on this device; which is active, what each holds, and how to go back."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.bundle import open_bundle
from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, add_operator_flag, whole_number
from edge.console.plain_table import cell, say, show_table
from edge.errors import InputError, SlotError
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.slots.slot_activations import Action
from edge.slots.slot_archive import export_slot, import_slot
from edge.slots.slot_difference import difference
from edge.slots.slot_record import SlotRecord
from edge.slots.slot_retention import superfluous
from edge.slots.slot_summary import rows, summary
from edge.storage.locations import bundle_path, state_path


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-slots", console) as outcome:
        bundle = open_bundle(bundle_path(options.bundle))
        options.command(SlotStore(state_path(options.state, bundle.path), bundle), options, console)
    return outcome.code


def _list(store: SlotStore, options: argparse.Namespace, console: Console) -> None:
    active = store.active_serial()
    found: dict[int, SlotRecord | InputError] = {}
    for serial in store.serials():
        try:
            found[serial] = store.load(serial).record
        except InputError as error:
            found[serial] = error
    if options.json:
        print(json.dumps([_listed(serial, one, active) for serial, one in found.items()]))
        return
    if not found:
        console.print(
            f"no calibrations in {store.folder}; run: calibrate normal_dir/", markup=False, highlight=False, soft_wrap=True
        )
        return
    table = Table("", "serial", "created", "operator", "precision", "runtime", "threshold", "promise", box=None)
    for serial, one in found.items():
        mark = "active" if serial == active else ""
        if isinstance(one, SlotRecord):
            promise = f"≤ {one.promise.false_reject_rate:.2%} ({one.promise.confidence:.0%})"
            cells = (one.created, one.operator, one.precision, one.runtime, f"{one.threshold:.6g}", promise)
            table.add_row(*map(cell, (mark, str(serial), *cells)))
        else:
            table.add_row(cell(mark), cell(str(serial)), Text("damaged", "red"))
    show_table(table)
    for one in found.values():
        if isinstance(one, InputError):
            say(console, f"edge-slots: {one}", "yellow")
    if active not in found:
        say(console, "edge-slots: no calibration is active; run: edge-slots activate SERIAL, or calibrate normal_dir/", "yellow")


def _listed(serial: int, one: SlotRecord | InputError, active: int | None) -> dict[str, object]:
    if isinstance(one, InputError):
        return {"serial": serial, "active": serial == active, "damaged": str(one)}
    names = {"created", "operator", "precision", "runtime", "threshold", "promise", "content_sha256"}
    return {"serial": serial, "active": serial == active, "damaged": None, **one.model_dump(include=names)}


def _show(store: SlotStore, options: argparse.Namespace, _: Console) -> None:
    active = store.active_serial()
    serial = active if options.serial is None else options.serial
    if serial is None:
        raise SlotError(f"{store.folder}: no calibration is active; give a serial that edge-slots list shows")
    history = store.history()
    content = summary(store.load(serial), active, history)
    if options.json:
        print(json.dumps(content))
        return
    table = Table(show_header=False, box=None)
    for row in rows(content):
        table.add_row(*map(cell, row))
    show_table(table)


def _diff(store: SlotStore, options: argparse.Namespace, console: Console) -> None:
    first, second = store.load(options.first), store.load(options.second)
    if first.record.content_sha256 == second.record.content_sha256:
        say(console, f"calibrations {options.first} and {options.second} have the same content, from the same images")
    table = Table("", str(options.first), str(options.second), "apart", box=None)
    for row in difference(first, second, store.bundle.manifest.graph):
        table.add_row(*map(cell, row))
    show_table(table)


def _log(store: SlotStore, _: argparse.Namespace, console: Console) -> None:
    history = store.history()
    table = Table("time", "operator", "", "from", "to", "reason", box=None)
    for one, effective in zip(history.activations, history.took_effect(store.active_serial()), strict=True):
        action = one.action if effective else f"{one.action}, not done"
        cells = (one.time, one.operator, action, "–" if one.from_serial is None else str(one.from_serial), str(one.to_serial))
        table.add_row(*map(cell, (*cells, one.reason)))
    show_table(table)
    if not all(history.took_effect(store.active_serial())):
        say(console, "not done: the power failed before `current` moved, or it was moved by hand since", "yellow")
    if history.damaged:
        lines = "1 line" if history.damaged == 1 else f"{history.damaged} lines"
        say(console, f"edge-slots: {lines} could not be read, torn by a power cut or edited, and passed over", "yellow")


def _activate(store: SlotStore, options: argparse.Namespace, console: Console) -> None:
    with store.writing():
        _make_active(store, options.serial, "activate", options, console)


def _rollback(store: SlotStore, options: argparse.Namespace, console: Console) -> None:
    with store.writing():
        earlier = store.earlier()
        if not earlier:
            raise SlotError(
                f"{store.folder}: there is no calibration to go back to from {store.active_serial() or 'none'}; "
                "see edge-slots log, or name one with edge-slots activate SERIAL"
            )
        _make_active(store, earlier[0], "rollback", options, console)


def _make_active(store: SlotStore, serial: int, action: Action, options: argparse.Namespace, console: Console) -> None:
    slot, before = store.load(serial), store.active_serial()
    if serial == before:
        store.require_model(slot.record)
        say(console, f"calibration {serial} is active already, and whole: {slot.describe()}")
        return
    differences = _run_differences(store, slot, before)
    store.activate(slot, options.operator, options.reason, action)
    say(console, f"calibration {serial} is active{f', {before} was before' if before is not None else ''}: {slot.describe()}")
    say(console, f"it is for {slot.record.precision} on {slot.record.runtime}, {slot.record.view.describe()}")
    for line in differences:
        say(console, f"edge-slots: {line}", "bold yellow")
    if not differences:
        say(console, "a running edge-inspect takes it between two parts, within some seconds, and says so")


def _run_differences(store: SlotStore, slot: CalibrationSlot, before: int | None) -> list[str]:
    """Why an edge-inspect that runs with the slot ``before`` will refuse ``slot``; nothing where that one cannot be read."""
    if before is None:
        return []
    try:
        old, new = store.record(before), slot.record
    except InputError:
        return []
    pairs = (
        ("precision", old.precision, new.precision, f"start it with --precision {new.precision}"),
        ("runtime", old.runtime, new.runtime, "calibrate again with the runtime of this device"),
        ("view", old.view.describe(), new.view.describe(), "correct the station file and start it anew"),
    )
    return [
        f"{what} is {after}, calibration {before} had {earlier}: an edge-inspect that runs with that refuses {new.serial}; {remedy}"
        for what, earlier, after, remedy in pairs
        if earlier != after
    ]


def _export(store: SlotStore, options: argparse.Namespace, console: Console) -> None:
    export_slot(store.load(options.serial), options.file)
    say(console, f"calibration {options.serial} is in {options.file}")


def _import(store: SlotStore, options: argparse.Namespace, console: Console) -> None:
    with store.writing():
        slot = import_slot(store, options.file)
    record = slot.record
    same = [one for one in store.serials() if one != record.serial and _content(store, one) == record.content_sha256]
    say(console, f"calibration {record.serial} was taken in, made {record.created} by {record.operator}: {slot.describe()}")
    if same:
        say(console, f"it has the content of calibration {same[0]}, which was there already")
    say(console, f"it is not active; run: edge-slots activate {record.serial}")


def _content(store: SlotStore, serial: int) -> str | None:
    try:
        return store.record(serial).content_sha256
    except InputError:
        return None


def _prune(store: SlotStore, options: argparse.Namespace, console: Console) -> None:
    with store.writing():
        serials = superfluous(store, options.keep)
        for serial in () if options.dry_run else serials:
            store.remove(serial)
    names = ", ".join(map(str, serials)) or "none"
    say(console, f"{'would remove' if options.dry_run else 'removed'}: {names}; {len(store.serials())} are there")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-slots", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serial = whole_number(1)

    def add(name: str, run: Callable[[SlotStore, argparse.Namespace, Console], None], text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        add_bundle_flags(one)
        one.set_defaults(command=run)
        return one

    def add_record_flags(one: argparse.ArgumentParser) -> None:
        add_operator_flag(one)
        one.add_argument("--reason", default="", help="why, for the record that edge-slots log shows")

    one = add("list", _list, "all calibrations, oldest first, and which is active")
    one.add_argument("--json", action="store_true", help="one JSON list on stdout")
    one = add("show", _show, "everything about one calibration")
    one.add_argument("serial", metavar="SERIAL", type=serial, nargs="?", help="default: the active one")
    one.add_argument("--json", action="store_true", help="one JSON object on stdout")
    one = add("diff", _diff, "what differs between two calibrations")
    one.add_argument("first", metavar="A", type=serial)
    one.add_argument("second", metavar="B", type=serial)
    add("log", _log, "who made which calibration active, when and why")
    one = add("activate", _activate, "check a calibration and make it the active one")
    one.add_argument("serial", metavar="SERIAL", type=serial)
    add_record_flags(one)
    one = add("rollback", _rollback, "back to the calibration before the active one; once more, and further back")
    add_record_flags(one)
    one = add("export", _export, "write one calibration to a zip file, for support or another device")
    one.add_argument("serial", metavar="SERIAL", type=serial)
    one.add_argument("file", metavar="FILE", type=Path)
    one = add("import", _import, "take in a calibration that was exported for the same model; does not activate it")
    one.add_argument("file", metavar="FILE", type=Path)
    one = add("prune", _prune, "remove old calibrations, never the active one or the one before it")
    one.add_argument("--keep", metavar="N", type=whole_number(1), required=True, help="how many of the newest stay")
    one.add_argument("--dry-run", action="store_true", help="say which, remove none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
