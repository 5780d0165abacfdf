"""A plan, a comparison and a summary as tables for people."""

from __future__ import annotations

import shlex

from rich.table import Table

from edge.console.plain_table import cell, show_table
from tools.flash.flash_plan import FlashPlan

GROUPED = ("/usr/share/edge-inspect/wheelhouse/", "/usr/share/edge-inspect/jetpack-debs/", "/var/lib/edge-inspect/bundles/")


def show_plan(plan: FlashPlan, *, every_file: bool) -> None:
    """To stdout: what, the steps with their commands, the files."""
    head = Table(show_header=False, box=None)
    rows = (
        ("board", f"{plan.board.title} ({plan.board.name})"), ("BSP", f"{plan.bsp.path}, L4T {plan.bsp.version}"),
        ("release", f"{plan.bsp.release.name}: Ubuntu {plan.bsp.release.ubuntu}, Python {plan.bsp.release.python}, CUDA "
                    f"{plan.bsp.release.cuda}, TensorRT {' or '.join(plan.bsp.release.tensorrt)}"),
        ("storage", plan.storage), ("devices at a time", str(plan.mass)), ("JetPack", plan.jetpack.words),
        ("signatures", plan.manifest.facts["signatures"]), ("model", plan.manifest.facts["model"]),
        ("room needed", f"{plan.room / 1e9:.1f} GB (estimate)"),
    )  # fmt: skip
    for row in rows:
        head.add_row(*map(cell, row))
    show_table(head)
    steps = Table("", "step", "command", box=None, title="steps")
    for number, step in enumerate(plan.steps, 1):
        words = step.words + (" – ERASES the device" if step.erases else "")
        steps.add_row(str(number), cell(words), cell(shlex.join(step.command) or "edge-flash stage"))
    show_table(steps)
    show_table(files_table(plan, every_file=every_file))
    for warning in plan.warnings:
        note = Table(show_header=False, box=None)
        note.add_row(cell("see to"), cell(warning), style="yellow")
        show_table(note)


def files_table(plan: FlashPlan, *, every_file: bool) -> Table:
    """Wheels, packages and the bundle's files as one row each, unless every file is wanted."""
    table = Table("path", "mode", "owner", "sha256", "from", box=None, title="files, all of them new or as they are")
    groups: dict[str, list[int]] = {}
    for one in plan.manifest.entries:
        group = next((prefix for prefix in GROUPED if one.path.startswith(prefix)), None)
        if group is not None and not every_file:
            if one.kind == "file":
                groups.setdefault(group, []).append(one.size)
            continue
        shown = f"{one.path} → {one.target}" if one.kind == "link" else one.path + ("/" if one.kind == "folder" else "")
        source = one.source + (" (once; then the device's own)" if one.once else "")
        table.add_row(*map(cell, (shown, one.mode, one.owner, one.sha256[:12], source)))
    for prefix, sizes in groups.items():
        table.add_row(*map(cell, (f"{prefix}…", "0644", "root:root", "", f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB")))
    return table
