"""A benchmark's result on disk: JSON for programs, Markdown for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from edge.errors import OutputError
from edge.storage.durable_files import write_file


def require_folder(folder: Path) -> None:
    """Make ``folder`` where it is not there; raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write there: {error.strerror}; choose another --out") from error


def write_report(folder: Path, name: str, content: dict[str, object], tables: Sequence[Table], notes: str) -> None:
    """Write ``name``.json and ``name``.md, the tables with ``notes`` below, into ``folder``; raises OutputError."""
    write_file(folder / f"{name}.json", (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())
    parts = [f"# edge-bench {name}", *(markdown(table) for table in tables), notes]
    write_file(folder / f"{name}.md", ("\n\n".join(parts) + "\n").encode())


def markdown(table: Table) -> str:
    """``table`` in Markdown, under its title; cells and headings must be plain strings."""
    headings = [str(column.header).replace("\n", " ") for column in table.columns]
    lines = [headings, ["---" if column.justify == "left" else "---:" for column in table.columns]]
    lines += [list(row) for row in zip(*(map(str, column.cells) for column in table.columns), strict=True)]
    rows = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"**{table.title}**\n\n{rows}" if table.title else rows
