"""Two bundles on a device and one link; services stand in by a systemctl that is made up, time by a manual clock."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from edge.bundle import MANIFEST, open_bundle
from edge.bundles import bundles_cli
from edge.bundles.bundle_slots import BundleSlots
from edge.bundles.bundles_cli import main
from edge.bundles.line_services import LineServices, ServiceError
from edge.clock import ManualClock
from edge.errors import InputError

# Stands in for systemctl: one unit, whose state after a restart is what `verdicts` says of the bundle that is linked then.
SYSTEMCTL = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
bundle=$(basename "$(readlink "{link}")")
case $1 in
    list-units) cat "$here/units" 2>/dev/null || : ;;
    restart) echo "$bundle" >> "$here/started" ;;
    show) verdict=$(grep "^$bundle " "$here/verdicts" 2>/dev/null || echo "x ActiveState=active NRestarts=0")
          echo "$verdict" | cut -d" " -f2- | tr " " "\\n" ;;
esac
"""


class Device:
    """A device in a folder."""

    def __init__(self, folder: Path) -> None:
        self.root, self.bin = folder / "device", folder / "bin"
        (self.root / "etc/edge-inspect").mkdir(parents=True)
        (self.root / "var/lib/edge-inspect/bundles").mkdir(parents=True)
        self.slots = BundleSlots(self.root)
        self.bin.mkdir()
        (self.bin / "systemctl").write_text(SYSTEMCTL.replace("{link}", str(self.slots.link)))
        (self.bin / "systemctl").chmod(0o755)

    def running(self, state: str = "active") -> None:
        (self.bin / "units").write_text(f"edge-inspect@line1.service loaded {state} running edge-inspect at line1\n")

    def calls(self, name: str) -> list[str]:
        file = self.bin / name
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    """Without bundle and without services, its clock a manual one."""
    made = Device(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    monkeypatch.setattr(bundles_cli, "SystemClock", ManualClock)
    return made


@pytest.fixture
def bundles(bundle_dir: Path, tmp_path: Path) -> list[Path]:
    """Three that differ in their manifest."""
    return [another(bundle_dir, tmp_path / f"b{number}", f"2026-01-0{number + 1}T00:00:00Z") for number in range(3)]


def another(bundle: Path, place: Path, created: str, **more: object) -> Path:
    shutil.copytree(bundle, place)
    manifest = yaml.safe_load((place / MANIFEST).read_text())
    (place / MANIFEST).write_text(yaml.safe_dump({**manifest, "created": created, **more}))
    return place


def use(device: Device, what: Path | str, *more: str) -> int:
    return main(["--root", str(device.root), "use", str(what), *more])


def test_two_bundles_stay_and_the_third_goes(device: Device, bundles: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    names = []
    for one in bundles:
        assert use(device, one) == 0
        names.append(device.slots.active())
    assert len(set(names)) == 3
    assert device.slots.names() == sorted(str(one) for one in names[1:])
    assert device.slots.previous() == names[1]
    assert open_bundle(device.slots.link).manifest.created == "2026-01-03T00:00:00Z"
    assert use(device, bundles[2]) == 0
    assert "in use already" in capsys.readouterr().err
    assert main(["--root", str(device.root), "rollback"]) == 0
    assert (device.slots.active(), device.slots.previous()) == (names[1], names[2])
    assert main(["--root", str(device.root), "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["use"] for one in told["bundles"] if one["name"] == names[1]] == ["active"]


def test_services_start_anew_with_it(device: Device, bundles: list[Path]) -> None:
    device.running()
    assert use(device, bundles[0]) == 0
    assert device.calls("started") == [device.slots.active()]
    assert "restart --no-block edge-inspect@line1.service" in device.calls("calls")


@pytest.mark.parametrize("bad", ["ActiveState=failed NRestarts=0", "ActiveState=activating NRestarts=0"])
def test_a_bundle_that_the_service_does_not_run_with_is_given_up(
    device: Device, bundles: list[Path], capsys: pytest.CaptureFixture[str], bad: str
) -> None:
    device.running()
    assert use(device, bundles[0]) == 0
    before = device.slots.active()
    new = device.slots.take_in(bundles[1])
    (device.bin / "verdicts").write_text(f"{new} {bad}\n")
    assert use(device, new) == 1
    assert device.slots.active() == before
    assert device.slots.trying() is None
    assert device.calls("started")[-2:] == [new, before]
    told = capsys.readouterr().err
    assert f"the bundle {before} is in use again, and runs again" in told


def test_a_service_that_waited_for_hardware_before_may_wait_on(device: Device, bundles: list[Path]) -> None:
    device.running("activating")
    new = device.slots.take_in(bundles[0])
    (device.bin / "verdicts").write_text(f"{new} ActiveState=activating NRestarts=0\n")
    assert use(device, new) == 0


def test_one_that_falls_again_and_again_does_not_run(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = iter(range(100))
    monkeypatch.setattr(
        "edge.bundles.line_services._systemctl",
        lambda *words: f"ActiveState=active\nNRestarts={next(shown)}\n" if words[0] == "show" else "x loaded active running\n",
    )
    services = LineServices(ManualClock(), threading.Event())
    with pytest.raises(ServiceError, match="does not stay up"):
        services.restart(services.running())


def test_the_power_goes_while_a_bundle_is_tried(device: Device, bundles: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert use(device, bundles[0]) == 0
    before = device.slots.active()
    new = device.slots.take_in(bundles[1])
    device.slots.try_out(new)  # and no `keep`
    assert device.slots.active() == new
    assert main(["--root", str(device.root), "settle"]) == 0
    assert device.slots.active() == before
    assert f"back to {before}" in capsys.readouterr().err
    assert main(["--root", str(device.root), "settle"]) == 0
    assert capsys.readouterr().err == ""
    device.slots.try_out(new)
    device.slots.keep()
    assert main(["--root", str(device.root), "settle"]) == 0
    assert (device.slots.active(), device.slots.previous()) == (new, before)


@pytest.mark.parametrize("cut", range(11))
def test_wherever_the_program_dies_the_device_has_a_whole_bundle_in_use(
    device: Device, bundles: list[Path], monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    assert use(device, bundles[0]) == 0
    old = device.slots.active()

    class DiedError(BaseException):
        pass

    left = [cut]

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if left[0] == 0:
                raise DiedError
            left[0] -= 1
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("symlink_to", "rename", "unlink"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        with pytest.raises(DiedError):  # all eleven: with one more it would live
            use(device, bundles[1])
    open_bundle(device.slots.link)
    assert main(["--root", str(device.root), "settle"]) == 0
    assert open_bundle(device.slots.link).manifest.created in ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    if device.slots.trying() is None and device.slots.active() != old:
        assert device.slots.previous() == old
    assert use(device, bundles[1]) == 0
    assert open_bundle(device.slots.link).manifest.created == "2026-01-02T00:00:00Z"


def test_what_cannot_be_used_is_refused_and_nothing_changes(
    device: Device, bundles: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert use(device, bundles[0]) == 0
    before = device.slots.active()
    with open(bundles[1] / "model.fp32.onnx", "ab") as file:
        file.write(b"x")
    for what, words in (
        (bundles[1], "sha256 differs"),
        (tmp_path / "nothing", "there is none"),
        ("0123456789abcdef", "there is none"),
    ):
        assert use(device, what) == 2
        assert words in capsys.readouterr().err
        assert device.slots.active() == before
        assert device.slots.names() == [before]
    assert main(["--root", str(device.root), "rollback"]) == 2
    assert "there is no bundle to go back to" in capsys.readouterr().err


def test_two_at_once(device: Device, bundles: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    from edge.storage.file_lock import lock_folder, taken

    with lock_folder(device.root) as handle:
        assert taken(handle)
        assert use(device, bundles[0]) == 2
    assert "another edge-bundle or edge-flash is at work" in capsys.readouterr().err


def test_a_bundle_in_place_of_the_link_is_not_lost(device: Device, bundles: list[Path]) -> None:
    shutil.copytree(bundles[0], device.slots.link)
    new = device.slots.take_in(bundles[1])
    with pytest.raises(InputError, match="is a folder, not a link"):
        device.slots.try_out(new)
    open_bundle(device.slots.link)


@pytest.fixture
def line(device: Device, calibrated_dir: Path) -> Device:
    """A device with a calibrated line."""
    (device.root / "etc/edge-inspect/line1.yaml").write_text("lines: {backend: recording}\n")
    shutil.copytree(calibrated_dir.parent / "calibration", device.root / "var/lib/edge-inspect/line1/calibration", symlinks=True)
    return device


def test_a_bundle_is_proved_in_the_spare_slot(line: Device, calibrated_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert use(line, calibrated_dir) == 0
    assert "self-check of line1: " in capsys.readouterr().err
    old = line.slots.active()
    uncalibrated = another(calibrated_dir, calibrated_dir.parent / "other", "2026-02-01T00:00:00Z", model_id="other")
    assert use(line, uncalibrated) == 1
    assert "the self-check of line1 failed, so the bundle in use stays: calibration" in capsys.readouterr().err
    assert line.slots.active() == old
    assert use(line, uncalibrated, "--allow-uncalibrated") == 0
    assert line.slots.active() != old


def test_a_bundle_whose_engine_scores_otherwise_is_refused(
    line: Device, calibrated_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.tiny_bundle import write_tiny_bundle

    honest = write_tiny_bundle(tmp_path / "honest", references=1)
    references = yaml.safe_load((honest / MANIFEST).read_text())["reference_images"]
    lying = another(honest, tmp_path / "lying", "2026-03-01T00:00:00Z", reference_images=[{**references[0], "score": 7.0}])
    assert use(line, calibrated_dir) == 0
    old = line.slots.active()
    assert use(line, lying) == 1
    assert "engine" in capsys.readouterr().err
    assert line.slots.active() == old
    assert use(line, honest) == 0
