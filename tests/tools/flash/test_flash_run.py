"""Flashing with recorders in place of NVIDIA's scripts: what is called, what is refused, and how a run goes on after a failure."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge.errors import InputError
from tests.tools.flash.fake_bsp import FakeBsp, make_bsp, plug_in
from tools.flash.cli import main
from tools.flash.device_contents import Wanted

SUCCESS = "Flash is successful\nReboot device"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="files on a device are root's")


@pytest.fixture
def bsp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBsp:
    """A BSP, all host packages, and no device yet."""
    monkeypatch.setattr("tools.flash.host.missing_packages", list)
    monkeypatch.setattr("tools.flash.flash_run.SYS_USB", tmp_path / "usb")
    monkeypatch.setattr("tools.flash.flash_run.FlashRun.__init__.__defaults__", (tmp_path / "usb",))
    return make_bsp(tmp_path / "Linux_for_Tegra")


def flash(bsp: FakeBsp, wanted: Wanted, *more: str, command: str = "flash", board: str = "jetson-orin-nano-devkit") -> int:
    flags = ["--l4t", bsp.path, "--board", board, "--bundle", wanted.bundle, "--station", wanted.station, "--wheelhouse",
             wanted.wheelhouse, "--jetpack", "apt"]  # fmt: skip
    if command == "flash":
        flags += ["--logs", bsp.path.parent / "logs", "--json"]
    return main([command, *map(str, flags), *more])


CONSENT = ("--yes-erase", "--accept-license")


@as_root
def test_one_device(bsp: FakeBsp, wanted: Wanted, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plug_in(tmp_path / "usb", "1-2", "7523", "1422")
    bsp.behave(**{"l4t_initrd_flash.sh": {"devices": {"1-2": SUCCESS}}})
    assert flash(bsp, wanted, *CONSENT) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["port"], result["serial"], result["flashed"]) == ("1-2", "1422", True)
    assert SUCCESS.splitlines()[0] in Path(result["log"]).read_text()
    assert [Path(one[0]).name for one in bsp.commands()] == ["apply_binaries.sh", *["l4t_initrd_flash.sh"] * 2]
    assert "--no-flash" in bsp.commands()[1]
    assert "--flash-only" in bsp.commands()[2]
    assert (bsp.path / "rootfs/var/lib/edge-inspect/bundle/manifest.yaml").is_file()
    # NVIDIA's step left its wizard as the target; staging comes after it.
    assert os.readlink(bsp.path / "rootfs/etc/systemd/system/default.target") == "/lib/systemd/system/multi-user.target"


@as_root
def test_no_secret_and_no_password_is_in_an_argument_or_in_the_environment(bsp: FakeBsp, wanted: Wanted, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("ssh-ed25519 AAAAC3NzaSECRETKEY someone@somewhere\n")
    plug_in(tmp_path / "usb", "1-2")
    bsp.behave(**{"l4t_initrd_flash.sh": {"devices": {"1-2": SUCCESS}}})
    assert flash(bsp, wanted, *CONSENT, "--admin", "technician", "--authorized-keys", str(keys)) == 0
    assert "SECRETKEY" not in json.dumps(bsp.calls())
    assert not [one for one in bsp.commands() if "user" in one[0] or "--password" in one]
    assert (bsp.path / "rootfs/etc/ssh/authorized_keys.d/technician").read_text() == keys.read_text()
    assert oct((bsp.path / "rootfs/etc/sudoers.d/edge-inspect-admin").stat().st_mode)[-4:] == "0440"


@as_root
def test_the_device_that_failed_alone_is_flashed_again(
    bsp: FakeBsp, wanted: Wanted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for port in ("1-1", "1-2", "1-3.1"):
        plug_in(tmp_path / "usb", port)
    bsp.behave(
        time="one", **{"l4t_initrd_flash.sh": {"exit": 1, "devices": {"1-1": SUCCESS, "1-2": "Error: timeout", "1-3.1": SUCCESS}}}
    )
    assert flash(bsp, wanted, *CONSENT, "--mass", "3") == 1
    found = {one["port"]: (one["flashed"], one["words"]) for one in json.loads(capsys.readouterr().out)}
    assert found == {"1-1": (True, "flashed"), "1-2": (False, "Error: timeout"), "1-3.1": (True, "flashed")}
    for port in ("1-1", "1-3.1"):  # they boot
        (tmp_path / "usb" / port / "idProduct").write_text("7020")
    bsp.behave(time="two", **{"l4t_initrd_flash.sh": {"devices": {"1-2": SUCCESS}}})
    calls = len(bsp.calls())
    assert flash(bsp, wanted, *CONSENT, "--mass", "3") == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["port"], result["flashed"]) == ("1-2", True)
    assert ["--flash-only" in one for one in bsp.commands()[calls:]] == [True]  # the images were kept


@as_root
def test_images_are_made_anew_where_what_is_in_them_changed(bsp: FakeBsp, wanted: Wanted, tmp_path: Path) -> None:
    plug_in(tmp_path / "usb", "1-2")
    bsp.behave(**{"l4t_initrd_flash.sh": {"devices": {"1-2": SUCCESS}}})
    assert flash(bsp, wanted, *CONSENT) == 0
    (bsp.path / "rootfs/usr/lib/edge-inspect/setup").write_text("edited by hand")
    bsp.behave(time="later", **{"l4t_initrd_flash.sh": {"devices": {"1-2": SUCCESS}}})
    calls = len(bsp.calls())
    assert flash(bsp, wanted, *CONSENT) == 0
    assert len(bsp.calls()) - calls == 2


@as_root
@pytest.mark.parametrize(
    ("script", "words"),
    [("apply_binaries.sh", "ended with 3: working[31m on it | no dpkg"), ("l4t_initrd_flash.sh --no-flash", "3")],
)
def test_a_script_that_fails_ends_the_run_with_its_words(
    bsp: FakeBsp, wanted: Wanted, tmp_path: Path, capsys: pytest.CaptureFixture[str], script: str, words: str
) -> None:
    plug_in(tmp_path / "usb", "1-2")
    bsp.behave(**{script: {"exit": 3, "says": "no dpkg"}})
    assert flash(bsp, wanted, *CONSENT) == 1
    told = capsys.readouterr().err
    assert words in told
    assert "\x1b" not in told
    assert not [one for one in bsp.commands() if "--flash-only" in one]


@as_root
def test_a_device_that_nvidias_script_says_nothing_of_is_not_taken_for_flashed(
    bsp: FakeBsp, wanted: Wanted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plug_in(tmp_path / "usb", "1-2")
    assert flash(bsp, wanted, *CONSENT) == 1
    (result,) = json.loads(capsys.readouterr().out)
    assert "wrote no log of it" in result["words"]


@as_root
def test_emmc_goes_by_the_exit_code_of_flash_sh(
    bsp: FakeBsp, wanted: Wanted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plug_in(tmp_path / "usb", "2-1", "7023")
    for code, flashed in ((0, True), (1, False)):
        bsp.behave(**{"flash.sh": {"exit": code}})
        assert flash(bsp, wanted, *CONSENT, board="jetson-agx-orin-devkit") == code
        assert json.loads(capsys.readouterr().out)[0]["flashed"] is flashed
    assert bsp.commands()[-1] == ["./flash.sh", "jetson-agx-orin-devkit", "internal"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "say --yes-erase"),
        (("--yes-erase",), "say --accept-license"),
        (CONSENT, "in recovery mode at a USB port; connect"),
    ],
)
def test_nothing_is_touched_without_consent_or_device(
    bsp: FakeBsp,
    wanted: Wanted,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tools.flash.stage.os.geteuid", lambda: 0)
    assert flash(bsp, wanted, *flags) == 2
    assert words in capsys.readouterr().err
    assert bsp.calls() == []
    assert not (bsp.path / "rootfs/usr").exists()


@pytest.mark.parametrize("command", ["stage", "flash"])
def test_without_root(
    bsp: FakeBsp, wanted: Wanted, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("tools.flash.stage.os.geteuid", lambda: 1000)
    assert flash(bsp, wanted, *(CONSENT if command == "flash" else ()), command=command) == 2
    assert "needs root" in capsys.readouterr().err


@as_root
def test_stage_and_unstage(bsp: FakeBsp, wanted: Wanted, capsys: pytest.CaptureFixture[str]) -> None:
    before = {str(one) for one in (bsp.path / "rootfs").rglob("*") if not one.is_dir()}
    assert flash(bsp, wanted, command="stage") == 0
    assert "43 of them changed" in capsys.readouterr().err
    assert flash(bsp, wanted, command="stage") == 0
    assert "0 of them changed" in capsys.readouterr().err
    assert main(["unstage", "--l4t", str(bsp.path)]) == 0
    assert {str(one) for one in (bsp.path / "rootfs").rglob("*") if not one.is_dir()} == before
    assert main(["unstage", "--l4t", str(bsp.path)]) == 2


def test_a_bsp_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    from tools.flash.device_manifest import DeviceManifest, text_file
    from tools.flash.stage import stage

    if os.geteuid() != 0:
        pytest.skip("staging is root's")
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr").write_text("a file where a folder must be")
    with pytest.raises(InputError, match="run it again"):
        stage(DeviceManifest({}, (text_file("/usr/x", "x", "made"),)), tmp_path)
