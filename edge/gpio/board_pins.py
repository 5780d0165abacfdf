"""Pins of the 40-pin header of NVIDIA's developer kits: pin number → chip label and line name.

Source of the facts: NVIDIA's jetson-gpio 2.1.9+ (commit 8e5f0a0), lib/python/Jetson/GPIO/gpio_pin_data.py. None of them was
checked on a board. Where a pin is named here it need not be muxed as GPIO: `edge-doctor --loopback` finds out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.errors import LineOpenError
from edge.line.line_config import LineConfig

DEVICE_TREE = Path("/proc/device-tree")


@dataclass(frozen=True, slots=True)
class LineAddress:
    """Where a line is: chip by label or path, line by name or offset."""

    chip: str
    line: str | int


@dataclass(frozen=True, slots=True)
class Board:
    """A developer kit. models: what its device tree's model begins with. compatible: base board + module in ``compatible``.

    output_only: pins behind a buffer of the base board.
    """

    name: str
    models: tuple[str, ...]
    compatible: tuple[str, ...]
    chip: str
    pins: dict[int, str]
    other_chip: str = ""
    other_pins: frozenset[int] = frozenset()
    output_only: frozenset[int] = frozenset()

    def address(self, pin: int) -> LineAddress:
        """Of one of ``pins``."""
        return LineAddress(self.other_chip if pin in self.other_pins else self.chip, self.pins[pin])


ORIN_NANO_NX = Board(
    "Jetson Orin Nano/NX developer kit",
    ("NVIDIA Jetson Orin Nano", "NVIDIA Jetson Orin NX"),
    ("p3768-0000+p3767-", "p3509-0000+p3767-"),
    "tegra234-gpio",
    {
        7: "PAC.06", 11: "PR.04", 12: "PH.07", 13: "PY.00", 15: "PN.01", 16: "PY.04", 18: "PY.03", 19: "PZ.05", 21: "PZ.04",
        22: "PY.01", 23: "PZ.03", 24: "PZ.06", 26: "PZ.07", 29: "PQ.05", 31: "PQ.06", 32: "PG.06", 33: "PH.00", 35: "PI.02",
        36: "PR.05", 37: "PY.02", 38: "PI.01", 40: "PI.00",
    },
)  # fmt: skip
AGX_ORIN = Board(
    "Jetson AGX Orin developer kit",
    ("NVIDIA Jetson AGX Orin", "Jetson AGX Orin"),
    ("p3737-0000+p3701-",),
    "tegra234-gpio",
    {
        7: "PQ.06", 11: "PR.04", 12: "PH.07", 13: "PR.00", 15: "PN.01", 16: "PBB.01", 18: "PH.00", 19: "PZ.05", 21: "PZ.04",
        22: "PP.04", 23: "PZ.03", 24: "PZ.06", 26: "PZ.07", 29: "PAA.01", 31: "PAA.00", 32: "PBB.00", 33: "PAA.02", 35: "PI.02",
        36: "PR.05", 37: "PAA.03", 38: "PI.01", 40: "PI.00",
    },
    "tegra234-gpio-aon",
    frozenset({16, 29, 31, 32, 33, 37}),
    frozenset({11}),
)  # fmt: skip
AGX_THOR = Board(
    "Jetson AGX Thor developer kit",
    ("NVIDIA Jetson AGX Thor",),
    ("p4071-0000+p3834-", "p3971-0050+p3834-", "p3971-0080+p3834-", "p3971-0089+p3834-"),
    "tegra264-gpio-main",
    {
        7: "PL.06", 11: "PM.04", 12: "PV.06", 13: "PM.00", 15: "PF.07", 16: "PDD.03", 18: "PU.07", 19: "PK.01", 21: "PK.00",
        22: "PU.00", 23: "PJ.07", 24: "PK.02", 26: "PK.03", 29: "PAD.01", 31: "PAD.00", 32: "PDD.04", 33: "PAE.00", 35: "PW.01",
        36: "PM.05", 37: "PAE.01", 38: "PW.00", 40: "PV.07",
    },
    "tegra264-gpio-aon",
    frozenset({16, 29, 31, 32, 33, 37}),
    frozenset({11}),
)  # fmt: skip
BOARDS = (ORIN_NANO_NX, AGX_ORIN, AGX_THOR)


def line_address(config: LineConfig, name: str, *, output: bool, device_tree: Path = DEVICE_TREE) -> LineAddress:
    """Where ``config``'s line is on this machine; raises LineOpenError for a pin that is none, or on an unknown board."""
    pin = config.board_pin
    if pin is None:
        assert config.chip is not None
        assert config.line is not None
        return LineAddress(config.chip, config.line)
    board = board_of(device_tree)
    if board is None:
        raise LineOpenError(
            f"{name}: pin {pin} is known on {', '.join(one.name for one in BOARDS)} only, this is {_model(device_tree) or 'none'}; "
            "name `chip:` and `line:` instead, list them with `gpioinfo`"
        )
    if pin not in board.pins:
        raise LineOpenError(f"{name}: pin {pin} of the {board.name} is no GPIO; those are {', '.join(map(str, board.pins))}")
    if not output and pin in board.output_only:
        raise LineOpenError(f"{name}: pin {pin} of the {board.name} is an output only; take another for an input")
    return board.address(pin)


def board_of(device_tree: Path = DEVICE_TREE) -> Board | None:
    """The developer kit this is by its device tree; None where it is none of them."""
    base_and_module = [word for entry in _strings(device_tree / "compatible") for word in entry.split(",") if "+" in word]
    if base_and_module:  # it says which base board it has; on another one the header may differ
        return next((board for board in BOARDS if any(word.startswith(board.compatible) for word in base_and_module)), None)
    model = _model(device_tree)
    return next((board for board in BOARDS if model.startswith(board.models)), None)


def _model(device_tree: Path) -> str:
    return next(iter(_strings(device_tree / "model")), "")


def _strings(path: Path) -> list[str]:
    try:
        return [text for text in path.read_text(encoding="utf-8", errors="replace").split("\0") if text]
    except OSError:
        return []
