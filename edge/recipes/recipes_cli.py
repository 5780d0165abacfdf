"""edge-recipes: the products of this station; which runs, whether each could, and how to change to another one."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.clock import Clock, SystemClock
from edge.console.exit_code import reported
from edge.console.flags import add_operator_flag, add_station_flag, whole_number
from edge.engines.open_engine import open_engine
from edge.errors import EXIT_FAILED, EXIT_OK, ConfigError, EdgeInspectError
from edge.recipes.ready_recipe import prepare
from edge.recipes.recipe_file import Recipes, load_recipes
from edge.recipes.recipe_request import RecipeFiles
from edge.station_config import load_station
from edge.storage.locations import recipes_path, state_path, station_path

POLL_NS = 200_000_000


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-recipes", console) as outcome:
        recipes = load_recipes(recipes_path(options.recipes))
        outcome.code = options.command(recipes, options, console, SystemClock())
    return outcome.code


def _list(recipes: Recipes, options: argparse.Namespace, _: Console, clock: Clock) -> int:
    files = _files(options, clock)
    request, answer = files.request(), files.answered()
    wanted = request.name if request is not None else ""
    refusal = answer.refusal if request is not None and answer is not None and answer.number == request.number else ""
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "running": answer is not None and answer.running == name,
            "wanted": name == wanted and not refusal,
            "refusal": refusal if name == wanted else "",
            "bundle": str(recipe.bundle),
            "precision": recipe.precision,
        }
        for name, recipe in sorted(recipes.recipes.items())
    ]
    if options.json:
        print(json.dumps(rows))
        return EXIT_OK
    table = Table("", "recipe", "bundle", "precision", box=None)
    for row in rows:
        mark = "ran last" if row["running"] else "wanted" if row["wanted"] else "refused" if row["refusal"] else ""
        table.add_row(*(Text(str(cell)) for cell in (mark, row["name"], row["bundle"], row["precision"])))
    Console().print(table)
    return EXIT_OK


def _check(recipes: Recipes, options: argparse.Namespace, console: Console, clock: Clock) -> int:  # noqa: ARG001 - like the others
    station = load_station(station_path(options.station))
    code = EXIT_OK
    for name in [options.name] if options.name else sorted(recipes.recipes):
        try:
            ready = prepare(name, recipes.named(name), station, options.state, open_engine)
        except EdgeInspectError as error:
            _say(console, f"{name}: {error}", "red")
            code = EXIT_FAILED
        else:
            _say(
                console,
                f"{name}: {ready.precision} on {ready.runtime}, calibration {ready.slot.record.serial}, {ready.slot.describe()}",
            )
            ready.close()
    return code


def _switch(recipes: Recipes, options: argparse.Namespace, console: Console, clock: Clock) -> int:
    recipes.named(options.name)
    files = _files(options, clock)
    request = files.ask(options.name, options.operator, options.reason)
    _say(
        console,
        f"recipe {options.name} is wanted; a running edge-inspect takes it between two parts, one started later starts with it",
    )
    if options.wait is None:
        return EXIT_OK
    never, until = threading.Event(), clock.monotonic_ns() + options.wait * 1_000_000_000
    while clock.monotonic_ns() < until:
        answer = files.answered()
        if answer is not None and answer.number == request.number:
            if answer.refusal:
                raise ConfigError(f"recipe {options.name} is refused: {answer.refusal}; {answer.running} stays")
            _say(console, f"recipe {answer.running} inspects now")
            return EXIT_OK
        clock.wait(never, POLL_NS)
    _say(console, f"no answer within {options.wait} s; is edge-inspect running with --recipe, and on the same --state?", "yellow")
    return EXIT_FAILED


def _files(options: argparse.Namespace, clock: Clock) -> RecipeFiles:
    return RecipeFiles(state_path(options.state, recipes_path(options.recipes)), clock)


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-recipes", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    Command = Callable[[Recipes, argparse.Namespace, Console, Clock], int]  # noqa: N806 - a type

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("--recipes", type=Path, help="default: EDGE_INSPECT_RECIPES, /etc/edge-inspect/recipes.yaml")
        one.add_argument("--state", type=Path, help="as edge-inspect has it; default: EDGE_INSPECT_STATE, the device's own")
        one.set_defaults(command=run)
        return one

    one = add("list", _list, "all products, which ran last and which is wanted")
    one.add_argument("--json", action="store_true", help="one JSON list on stdout")
    one = add("check", _check, "open each product's bundle, calibration and engine, and score its reference images")
    one.add_argument("name", metavar="NAME", nargs="?", help="default: all")
    add_station_flag(one)
    one = add("switch", _switch, "inspect another product from the next part on")
    one.add_argument("name", metavar="NAME")
    one.add_argument("--wait", metavar="SECONDS", type=whole_number(1, 3600), help="until it inspects or was refused")
    one.add_argument("--reason", default="", help="why, for the record")
    add_operator_flag(one)
    return parser


if __name__ == "__main__":
    sys.exit(main())
