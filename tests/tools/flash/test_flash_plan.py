"""Plans over made-up BSPs, against golden ones; and every refusal as the one line that a technician reads."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.bundles.bundle_slots import slot_name
from edge.errors import InputError
from edge.jetpack_releases import RELEASES, find_release, parse_l4t_release
from tests.tools.flash.fake_bsp import make_bsp, make_wheelhouse_names, plug_in
from tools.flash.boards import BOARDS, Storage
from tools.flash.cli import main
from tools.flash.device_contents import Wanted
from tools.flash.flash_plan import FlashPlan, make_plan
from tools.flash.host import recovery_devices, require_devices, require_packages, require_room

GOLDEN = Path(__file__).parent / "golden"
CASES: dict[str, tuple[str, str, Storage | None, int]] = {
    "r36.4-orin-nano": ("36.4.3", "jetson-orin-nano-devkit", None, 1),
    "r36.5-orin-nano-super-mass": ("36.5.0", "jetson-orin-nano-devkit-super", "nvme", 4),
    "r38.4-thor": ("38.4.0", "jetson-agx-thor-devkit", None, 1),
    "r39.2-agx-orin-emmc": ("39.2.0", "jetson-agx-orin-devkit", "emmc", 1),
    "r39.2-agx-orin-nvme": ("39.2.0", "jetson-agx-orin-devkit", "nvme", 1),
    "r39.2-agx-orin-emmc-mass": ("39.2.0", "jetson-agx-orin-devkit", "emmc", 2),
}


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def planned(wanted: Wanted, tmp_path: Path, version: str, board: str, storage: Storage | None, mass: int) -> FlashPlan:
    bsp = make_bsp(tmp_path / "Linux_for_Tegra", version)
    python = find_release(*map(int, version.split(".")[:2])).python
    wheels = wanted.wheelhouse if python == "3.10" else make_wheelhouse_names(tmp_path / "wheels312", python)
    return make_plan(bsp.path, board, storage, mass, None, "apt", dataclasses.replace(wanted, wheelhouse=wheels))


def plain(plan: FlashPlan, wanted: Wanted, tmp_path: Path) -> dict[str, Any]:
    """Without what is this machine's or this bundle's: places, hashes, room. One line a file."""
    record = {**plan.record(), "warnings": [], "room_bytes": 0}
    record["files"] = [
        f"{one['mode']} {one['owner']} {one['path']}" + (f" -> {one['target']}" if one["target"] else "") + " once" * one["once"]
        for one in record["files"]
    ]
    text = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", json.dumps(record)).replace(slot_name(wanted.bundle), "SLOT")
    text = text.replace(plan.manifest.facts["application"], "APPLICATION").replace(plan.manifest.facts["edge_inspect"], "VERSION")
    return dict(json.loads(text.replace(str(tmp_path), "")))


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_the_golden_one(name: str, wanted: Wanted, tmp_path: Path) -> None:
    plan = planned(wanted, tmp_path, *CASES[name])
    found = json.dumps(plain(plan, wanted, tmp_path), indent=1) + "\n"
    (tmp_path / f"{name}.json").write_text(found)
    assert found == (GOLDEN / f"{name}.json").read_text(), f"if that is meant: cp {tmp_path}/{name}.json {GOLDEN}"


def test_a_plan_changes_nothing_and_is_told_as_table_and_as_json(
    wanted: Wanted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bsp = make_bsp(tmp_path / "Linux_for_Tegra")
    before = files_below(tmp_path)
    flags = ["plan", "--l4t", str(bsp.path), "--board", "jetson-orin-nano-devkit", "--bundle", str(wanted.bundle),
             "--jetpack", "apt", "--station", str(wanted.station), "--wheelhouse", str(wanted.wheelhouse)]  # fmt: skip
    assert main(flags) == 0
    table = capsys.readouterr().out
    for words in (
        "ERASES the device",
        "flash_l4t_t234_nvme.xml",
        "/etc/edge-inspect/line1.yaml",
        "TensorRT 10.3",
        "needs internet",
    ):
        assert words in table
    assert main([*flags, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in record["steps"]] == ["binaries", "stage", "images", "flash"]
    station = next(one for one in record["files"] if one["path"] == "/etc/edge-inspect/line1.yaml")
    assert (station["mode"], station["owner"], len(station["sha256"])) == ("0644", "root:root", 64)
    assert files_below(tmp_path) == before
    assert bsp.calls() == []


@pytest.mark.parametrize("compiler", [(), ("python3-dev_3.10.6-1", "g++_11.2.0-1")])
def test_packages_for_a_site_without_internet_go_onto_the_device(wanted: Wanted, tmp_path: Path, compiler: tuple[str, ...]) -> None:
    bsp = make_bsp(tmp_path / "Linux_for_Tegra")
    debs = tmp_path / "debs"
    debs.mkdir()
    names = [
        "libnvinfer10_10.3.0.30-1+cuda12.5",
        "python3-libnvinfer_10.3.0.30-1+cuda12.5",
        "cuda-cudart-12-6_12.6.68-1",
        *compiler,
    ]
    for name in names:
        (debs / f"{name}_arm64.deb").write_text(name)
    plan = make_plan(bsp.path, "jetson-orin-nano-devkit", None, 1, debs, None, wanted)
    record = plan.record()
    files = {one["path"]: one for one in record["files"]}
    for name in names:
        there = files[f"/usr/share/edge-inspect/jetpack-debs/{name}_arm64.deb"]
        assert there["sha256"] == hashlib.sha256(name.encode()).hexdigest()
    assert files["/usr/share/edge-inspect/jetpack-source"]["sha256"] == hashlib.sha256(b"debs\n").hexdigest()
    words = json.dumps(record)
    assert f"{len(names)} packages go onto the device and are installed at its first boot, without a network" in words
    assert ("python3-dev and g++, not among them, must be in its root already" in words) is (not compiler)


def no_bsp(bsp: Path, _: dict[str, Any]) -> None:
    shutil.rmtree(bsp / "nv_tegra")


def odd_version(bsp: Path, _: dict[str, Any]) -> None:
    (bsp / "nv_tegra/bsp_version").write_text("BSP_BRANCH=x\n")


def old_release(bsp: Path, _: dict[str, Any]) -> None:
    (bsp / "nv_tegra/bsp_version").write_text("BSP_BRANCH=35\nBSP_MAJOR=6\nBSP_MINOR=1\n")


def release_before_tensorrt_10(bsp: Path, _: dict[str, Any]) -> None:
    (bsp / "nv_tegra/bsp_version").write_text("BSP_BRANCH=36\nBSP_MAJOR=3\nBSP_MINOR=0\n")


def unknown_release(bsp: Path, _: dict[str, Any]) -> None:
    (bsp / "nv_tegra/bsp_version").write_text("BSP_BRANCH=41\nBSP_MAJOR=1\nBSP_MINOR=0\n")


def empty_rootfs(bsp: Path, _: dict[str, Any]) -> None:
    shutil.rmtree(bsp / "rootfs/etc")


def other_rootfs(bsp: Path, _: dict[str, Any]) -> None:
    (bsp / "rootfs/etc/nv_tegra_release").write_text("# R38 (release), REVISION: 2.0, GCID: 1\n")


def misspelt_board(_: Path, options: dict[str, Any]) -> None:
    options["board_name"] = "jetson-orin-nano-dvkit"


def thor_on_36(_: Path, options: dict[str, Any]) -> None:
    options["board_name"] = "jetson-agx-thor-devkit"


def no_conf(bsp: Path, _: dict[str, Any]) -> None:
    (bsp / "jetson-orin-nano-devkit.conf").unlink()


def no_layout(bsp: Path, _: dict[str, Any]) -> None:
    (bsp / "tools/kernel_flash/flash_l4t_t234_nvme.xml").unlink()


def no_emmc(_: Path, options: dict[str, Any]) -> None:
    options["storage"] = "emmc"


def no_jetpack(_: Path, options: dict[str, Any]) -> None:
    options["jetpack"] = None


def jetpack_is_there(_: Path, options: dict[str, Any]) -> None:
    options["jetpack"] = "installed"


def other_tensorrt(bsp: Path, options: dict[str, Any]) -> None:
    debs = bsp.parent / "debs"
    debs.mkdir()
    for name in ("libnvinfer10_10.13.3.9-1+cuda13.0", "python3-libnvinfer_10.13.3.9-1+cuda13.0", "cuda-cudart-13-0_13.0.1-1"):
        (debs / f"{name}_arm64.deb").touch()
    options.update(jetpack_debs=debs, jetpack=None)


def few_debs(bsp: Path, options: dict[str, Any]) -> None:
    debs = bsp.parent / "debs"
    debs.mkdir()
    (debs / "libnvinfer10_10.3.0.30-1+cuda12.5_arm64.deb").touch()
    options.update(jetpack_debs=debs, jetpack=None)


def corrupt_bundle(_: Path, options: dict[str, Any]) -> None:
    with open(options["wanted"].bundle / "model.fp32.onnx", "ab") as file:
        file.write(b"x")


def wrong_station(_: Path, options: dict[str, Any]) -> None:
    options["wanted"].station.write_text("linse: 3\n")


def other_python(bsp: Path, options: dict[str, Any]) -> None:
    options["wanted"] = dataclasses.replace(options["wanted"], wheelhouse=make_wheelhouse_names(bsp.parent / "w", "3.12"))


def no_wheelhouse(bsp: Path, options: dict[str, Any]) -> None:
    options["wanted"] = dataclasses.replace(options["wanted"], wheelhouse=bsp / "nothing")


def admin_without_keys(_: Path, options: dict[str, Any]) -> None:
    options["wanted"] = dataclasses.replace(options["wanted"], admin="technician")


def admin_root(bsp: Path, options: dict[str, Any]) -> None:
    options["wanted"] = dataclasses.replace(options["wanted"], admin="root", authorized_keys=bsp / "k")


def private_key(bsp: Path, options: dict[str, Any]) -> None:
    (bsp / "k").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    options["wanted"] = dataclasses.replace(options["wanted"], admin="technician", authorized_keys=bsp / "k")


def line_with_slash(_: Path, options: dict[str, Any]) -> None:
    options["wanted"] = dataclasses.replace(options["wanted"], line="../x")


def too_many(_: Path, options: dict[str, Any]) -> None:
    options["mass"] = 33


def bad_trust_file(bsp: Path, options: dict[str, Any]) -> None:
    (bsp / "trust").write_text("ssh-rsa AAAA\n")
    options["wanted"] = dataclasses.replace(options["wanted"], trusted_keys=bsp / "trust")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (no_bsp, "expected NVIDIA's Linux_for_Tegra folder, nv_tegra/bsp_version is missing"),
        (odd_version, "expected BSP_BRANCH, BSP_MAJOR and BSP_MINOR"),
        (old_release, "L4T R35.6 is too old"),
        (release_before_tensorrt_10, "L4T R36.3 is too old: TensorRT 10.3"),
        (unknown_release, "L4T R41.1 is not known; use one of R36.4"),
        (empty_rootfs, "rootfs/ is empty"),
        (other_rootfs, "the BSP is 36.4.3, rootfs/ holds R38.2"),
        (misspelt_board, "did you mean jetson-orin-nano-devkit?"),
        (thor_on_36, "is not for the Jetson AGX Thor"),
        (no_conf, "has no jetson-orin-nano-devkit.conf; the nearest it has is jetson-orin-nano-devkit-super"),
        (no_layout, "tools/kernel_flash/flash_l4t_t234_nvme.xml is missing"),
        (no_emmc, "is flashed to nvme or sd"),
        (no_jetpack, "carries neither CUDA nor TensorRT; say where they come from"),
        (jetpack_is_there, "nothing is on a device that is flashed"),
        (other_tensorrt, "TensorRT 10.13.3.9-1+cuda13.0 is not that of R36.4"),
        (few_debs, "has no python3-libnvinfer"),
        (corrupt_bundle, "sha256 differs"),
        (wrong_station, "did you mean `lines`?"),
        (other_python, "is not for Python 3.10"),
        (no_wheelhouse, "make it with: edge-flash wheelhouse --python 3.10"),
        (admin_without_keys, "--admin and --authorized-keys belong together"),
        (admin_root, "--admin 'root': expected"),
        (private_key, "is a PRIVATE key"),
        (line_with_slash, "--line '../x': expected"),
        (too_many, "expected 1 to 32 devices"),
        (bad_trust_file, "trust line 1: is no OpenSSH public key"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_with_the_remedy(
    wanted: Wanted, tmp_path: Path, harm: Callable[[Path, dict[str, Any]], None], words: str
) -> None:
    bsp = make_bsp(tmp_path / "Linux_for_Tegra")
    options: dict[str, Any] = {
        "l4t": bsp.path, "board_name": "jetson-orin-nano-devkit", "storage": None, "mass": 1, "jetpack_debs": None,
        "jetpack": "apt", "wanted": wanted,
    }  # fmt: skip
    harm(bsp.path, options)
    with pytest.raises(InputError) as refused:
        make_plan(**options)
    assert words in str(refused.value)
    assert "; " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(bytes(1000))
    assert require_room(tmp_path, tmp_path, 500) == 10_000_003_000
    usage = shutil.disk_usage(tmp_path)._replace(free=10**10)
    monkeypatch.setattr("tools.flash.host.shutil.disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"10\.0 GB are free, 10\.0 GB are needed; free some"):
        require_room(tmp_path, tmp_path, 500)


def test_missing_host_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tools.flash.host.shutil.which", lambda name, **_: None if name in ("sshpass", "dtc") else f"/usr/bin/{name}"
    )
    with pytest.raises(InputError, match="run: sudo apt install device-tree-compiler sshpass"):
        require_packages()


def test_devices_in_recovery_mode(tmp_path: Path) -> None:
    board = BOARDS[0]
    with pytest.raises(InputError, match="no Jetson Orin Nano/NX developer kit in recovery mode at a USB port; connect"):
        require_devices(board, 1, tmp_path)
    plug_in(tmp_path, "3-1", "7020")  # it has booted
    with pytest.raises(InputError, match="0955:7020 is here, which is another module or has booted"):
        require_devices(board, 1, tmp_path)
    plug_in(tmp_path, "1-2", "7523", "1422")
    plug_in(tmp_path, "1-3", "7323")
    assert [(one.port, one.serial) for one in recovery_devices(board, tmp_path)] == [("1-2", "1422"), ("1-3", "")]
    with pytest.raises(InputError, match="2 boards are in recovery mode, 1 were asked for"):
        require_devices(board, 1, tmp_path)


def test_the_table_of_releases_is_that_of_the_devices_own_file() -> None:
    assert parse_l4t_release("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic") == (36, 4)
    assert parse_l4t_release("R36") is None
    assert find_release(36, 4).has_tensorrt("10.3.0.30-1+cuda12.5")
    assert not find_release(36, 4).has_tensorrt("10.30.0")
    assert find_release(39, 2).has_tensorrt("11.4.1.6")
    assert {one.family for one in BOARDS} == {family for release in RELEASES for family in release.families}
