"""edge-page: who may use the operator page, and the page by itself where no inspection runs."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags
from edge.console.plain_table import cell, say, show_table
from edge.errors import ConfigError
from edge.page.accounts import FOLDER, LONGEST, AccountFile, Accounts
from edge.page.page_server import add_page_flags, require_packages, serve
from edge.page.roles import Role
from edge.records.audit_log import FOLDER as AUDIT
from edge.records.audit_log import AuditTrail
from edge.storage.locations import bundle_path, state_path

ROLES = [role.word for role in Role]


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-page", console) as outcome:
        options.command(options, console)
    return outcome.code


def _list(options: argparse.Namespace, console: Console) -> None:
    found = _accounts(options).all()
    if options.json:
        print(json.dumps([{"name": one.name, "role": one.role.word, "created": one.created} for one in found]))
        return
    if not found:
        say(console, "nobody has an account; run: edge-page user add NAME --role engineer")
        return
    table = Table("name", "role", "created", box=None)
    for one in found:
        table.add_row(*map(cell, (one.name, one.role.word, one.created)))
    show_table(table)


def _add(options: argparse.Namespace, console: Console) -> None:
    require_packages()
    _accounts(options).add(options.name, Role.named(options.role), _password())
    _audit(options, "account added", role=options.role)
    say(console, f"{options.name} may log in as {options.role}")


def _set_password(options: argparse.Namespace, console: Console) -> None:
    require_packages()
    _accounts(options).set_password(options.name, _password())
    _audit(options, "password set")
    say(console, f"{options.name} has a new password, and is logged in nowhere")


def _set_role(options: argparse.Namespace, console: Console) -> None:
    _accounts(options).set_role(options.name, Role.named(options.role))
    _audit(options, "role set", role=options.role)
    say(console, f"{options.name} is {options.role} now")


def _remove(options: argparse.Namespace, console: Console) -> None:
    _accounts(options).remove(options.name)
    _audit(options, "account removed")
    say(console, f"{options.name} can no longer log in, and is logged in nowhere")


def _accounts(options: argparse.Namespace) -> Accounts:
    return Accounts(AccountFile(state_path(options.state, bundle_path(options.bundle))), SystemClock())


def _audit(options: argparse.Namespace, kind: str, **details: str) -> None:
    state = state_path(options.state, bundle_path(options.bundle))
    by = {"by": "edge-page", "account": options.name, **details}
    AuditTrail(state / FOLDER / AUDIT).append(SystemClock().wall_ns(), kind, by)


def _password() -> str:
    """From the terminal, twice, or one line of stdin: never from the command line, which others on the machine can read."""
    if not sys.stdin.isatty():
        return sys.stdin.readline(LONGEST + 2).rstrip("\n")
    first = getpass.getpass("password: ")
    if getpass.getpass("again: ") != first:
        raise ConfigError("the two passwords differ; try again")
    return first


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-page", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("serve", help="serve the page alone: records, calibrations, settings", description="Serve it alone.")
    add_page_flags(one)
    one.set_defaults(command=serve)
    user = commands.add_parser("user", help="who may use the page", description="Who may use the page.")
    actions = user.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, run: Callable[[argparse.Namespace, Console], None], text: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=text, description=text)
        add_bundle_flags(action)
        action.set_defaults(command=run)
        return action

    add("list", _list, "all accounts").add_argument("--json", action="store_true", help="one JSON list on stdout")
    for name, run, text, with_role in (
        ("add", _add, "a new account; the password is asked for, or read from stdin", True),
        ("password", _set_password, "another password; it is asked for, or read from stdin", False),
        ("role", _set_role, "another role", True),
        ("remove", _remove, "remove an account", False),
    ):
        action = add(name, run, text)
        action.add_argument("name", metavar="NAME")
        if with_role:
            action.add_argument("--role", choices=ROLES, required=True, help="what it may do")
    return parser


if __name__ == "__main__":
    sys.exit(main())
