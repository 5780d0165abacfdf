from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import LineOpenError
from edge.gpio.board_pins import BOARDS, LineAddress, board_of, line_address
from edge.line.line_config import LineConfig

ORIN_NANO = ("NVIDIA Jetson Orin Nano Developer Kit", "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234")
AGX_ORIN = ("NVIDIA Jetson AGX Orin Developer Kit", "nvidia,p3737-0000+p3701-0000\0nvidia,p3701-0000\0nvidia,tegra234")
THOR = ("NVIDIA Jetson AGX Thor Developer Kit", "nvidia,p4071-0000+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264")


def device_tree(folder: Path, model: str, compatible: str) -> Path:
    (folder / "model").write_text(f"{model}\0")
    if compatible:
        (folder / "compatible").write_text(f"{compatible}\0")
    return folder


@pytest.mark.parametrize(
    ("board", "pin", "expected"),
    [
        (ORIN_NANO, 7, LineAddress("tegra234-gpio", "PAC.06")),
        (ORIN_NANO, 29, LineAddress("tegra234-gpio", "PQ.05")),
        (AGX_ORIN, 7, LineAddress("tegra234-gpio", "PQ.06")),
        (AGX_ORIN, 32, LineAddress("tegra234-gpio-aon", "PBB.00")),
        (THOR, 16, LineAddress("tegra264-gpio-aon", "PDD.03")),
        (THOR, 40, LineAddress("tegra264-gpio-main", "PV.07")),
    ],
)
@pytest.mark.parametrize("by_model", [True, False])
def test_a_pin_is_a_line_of_the_board_this_is(
    tmp_path: Path, board: tuple[str, str], pin: int, expected: LineAddress, by_model: bool
) -> None:
    tree = device_tree(tmp_path, board[0] if by_model else "", "" if by_model else board[1])
    for config in (LineConfig(pin=pin), LineConfig(line=f"BOARD_{pin}")):
        assert line_address(config, "reject line", output=True, device_tree=tree) == expected


def test_chip_and_line_need_no_board(tmp_path: Path) -> None:
    assert line_address(LineConfig(chip="a", line=3), "x", output=False, device_tree=tmp_path) == LineAddress("a", 3)


@pytest.mark.parametrize(
    ("tree", "pin", "output", "words"),
    [
        (("", ""), 7, True, "this is none; name `chip:` and `line:`"),
        (("Raspberry Pi 5 Model B", "raspberrypi,5-model-b\0brcm,bcm2712"), 7, True, "this is Raspberry Pi 5 Model B; name"),
        (("NVIDIA Jetson Orin NX", "acme,carrier+p3767-0000\0nvidia,tegra234"), 7, True, "this is NVIDIA Jetson Orin NX; name"),
        (ORIN_NANO, 1, True, "pin 1 of the Jetson Orin Nano/NX developer kit is no GPIO; those are 7, 11, "),
        (AGX_ORIN, 11, False, "is an output only"),
    ],
)
def test_a_pin_that_cannot_be_is_told(tmp_path: Path, tree: tuple[str, str], pin: int, output: bool, words: str) -> None:
    with pytest.raises(LineOpenError) as error:
        line_address(LineConfig(pin=pin), "reject line", output=output, device_tree=device_tree(tmp_path, *tree))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_no_board_where_there_is_no_device_tree(tmp_path: Path) -> None:
    assert board_of(tmp_path / "none") is None


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_header_has_22_lines_each_once_and_none_on_a_supply_pin(board: object) -> None:
    lines = [board.address(pin) for pin in board.pins]  # type: ignore[attr-defined]
    assert len(set(lines)) == len(lines) == 22
    supply = {1, 2, 4, 6, 9, 14, 17, 20, 25, 30, 34, 39}
    buses = {3, 5, 8, 10, 27, 28}
    assert set(board.pins) == set(range(1, 41)) - supply - buses  # type: ignore[attr-defined]
