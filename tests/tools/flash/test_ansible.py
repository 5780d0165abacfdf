"""The fleet's playbooks by ansible-playbook itself, on three devices behind one sshd: batches, no change, stop on failure."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from edge.bundles.bundle_slots import BundleSlots, slot_name
from tests.tools.flash.loopback_device import PROJECT, LoopbackDevice, loopback_device, make_root
from tests.tools.flash.test_ssh_device import next_bundle
from tools.flash.device_contents import Wanted

PLAYBOOK = shutil.which("ansible-playbook", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
FLEET = PROJECT / "deploy" / "ansible"
pytestmark = pytest.mark.skipif(PLAYBOOK is None, reason="ansible-playbook is not here (extra fleet)")
RECAP = re.compile(r"^(\w+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[LoopbackDevice]:
    """An sshd, whose device is not used: each host has a root of its own."""
    (tmp_path / "ssh").mkdir()
    with loopback_device(tmp_path / "ssh") as made:
        yield made


@pytest.fixture
def fleet(device: LoopbackDevice, wanted: Wanted, tmp_path: Path) -> Path:
    """The inventory of three devices."""
    wanted.station.write_text("lines: {backend: recording}\n")
    program = tmp_path / "edge-flash"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m tools.flash.cli "$@"\n')
    program.chmod(0o755)
    hosts = {}
    for number in range(3):
        make_root(tmp_path / f"device{number}")
        hosts[f"device{number}"] = {"edge_root": str(tmp_path / f"device{number}"), "ansible_host": "device"}
    common = {"edge_ssh_config": str(device.config), "edge_station": str(wanted.station), "edge_flash": str(program)}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"inspection": {"hosts": hosts, "vars": common}}))
    return tmp_path / "hosts.yml"


def play(name: str, inventory: Path, bundle: Path, wanted: Wanted) -> tuple[int, dict[str, tuple[int, int]], str]:
    """Exit code, (changed, failed) by host, output."""
    assert PLAYBOOK is not None
    values = json.dumps({"bundle": str(bundle), "wheelhouse": str(wanted.wheelhouse), "batches": [1, 2]})
    environment = {**os.environ, "ANSIBLE_CONFIG": str(FLEET / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8",
                   "ANSIBLE_LOCALHOST_WARNING": "False"}  # fmt: skip
    command = [PLAYBOOK, "-i", str(inventory), str(FLEET / "playbooks" / f"{name}.yml"), "-e", values]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    recap = {match[1]: (int(match[3]), int(match[5])) for match in RECAP.finditer(result.stdout)}
    return result.returncode, recap, result.stdout + result.stderr


def test_a_fleet(fleet: Path, wanted: Wanted, tmp_path: Path) -> None:
    code, recap, said = play("provision", fleet, wanted.bundle, wanted)
    assert (code, recap) == (0, {f"device{number}": (1, 0) for number in range(3)}), said
    code, recap, said = play("verify", fleet, wanted.bundle, wanted)
    assert (code, recap) == (0, {f"device{number}": (0, 0) for number in range(3)}), said

    new = next_bundle(wanted.bundle, tmp_path / "new")
    (tmp_path / "device1/opt/edge-inspect/bin/edge-bundle").write_text("#!/bin/sh\necho no room >&2; exit 1\n")
    code, recap, said = play("update", fleet, new, wanted)
    assert code != 0
    assert "no room" in said
    assert recap["device0"] == (1, 0)  # the batch before
    assert recap["device1"] == (0, 1)
    assert BundleSlots(tmp_path / "device0").active() == slot_name(new)
    assert BundleSlots(tmp_path / "device1").active() == slot_name(wanted.bundle)
