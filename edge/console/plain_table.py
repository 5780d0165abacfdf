"""Tables and lines for people that keep the terminal safe from what is in the data, and fit into a file or a pipe too."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

FILE_WIDTH = 160
"""Columns of a table that goes into a file or a pipe."""


def cell(text: str) -> Text:
    """What comes from elsewhere may hold anything, control codes of the terminal too."""
    return Text("".join(c if c.isprintable() else "\ufffd" for c in text))


def say(console: Console, text: str, style: str = "") -> None:
    """One line, however long."""
    console.print(cell(text), style=style, soft_wrap=True)


def show_table(table: Table) -> None:
    """To stdout."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_WIDTH)
    console.print(table)
