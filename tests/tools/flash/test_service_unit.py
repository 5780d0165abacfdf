"""The unit that runs a line."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[3] / "tools/flash/rootfs/etc/systemd/system/edge-inspect@.service"


def unit() -> dict[str, list[str]]:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    text = UNIT.read_text(encoding="utf-8")
    parser.read_string(re.sub(r"^Environment=.*\n", "", text, flags=re.MULTILINE))
    assert parser.sections() == ["Unit", "Service", "Install"]
    return {key: value.split() for section in parser.sections() for key, value in parser.items(section)}


def test_the_unit_hears_when_it_is_ready_restarts_always_and_keeps_its_devices() -> None:
    keys = unit()
    assert keys["Type"] == ["notify"]
    assert keys["WatchdogSec"] == ["15"]
    assert keys["Restart"] == ["always"]
    assert keys["SupplementaryGroups"] == ["video", "gpio", "render"]
    assert keys["StartLimitIntervalSec"] == ["0"]  # the program has a budget of its own
    for name in (
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
    ):
        assert keys[name] == ["yes"]
    assert keys["ProtectSystem"] == ["strict"]
    assert not {"PrivateDevices", "MemoryDenyWriteExecute", "DevicePolicy"} & set(keys)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8").replace("/opt/edge-inspect/bin/edge-inspect", shutil.which("true") or "/bin/true")
    file = tmp_path / "edge-inspect@line1.service"
    file.write_text(text, encoding="utf-8")
    result = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert str(file.name) not in result.stderr
