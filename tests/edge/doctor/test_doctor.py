"""edge-doctor as a technician sees it, and its view of a machine that is made up of files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge.capture.frame_server import FrameServer
from edge.capture.frame_sharing import SOCKET
from edge.clock import SystemClock
from edge.doctor.doctor_cli import main
from edge.doctor.engine import _tell_time
from edge.doctor.finding import Finding, Findings, Status
from edge.doctor.machine import check_machine
from edge.doctor.software import check_software
from edge.errors import CameraError, LineOpenError
from edge.frame import Frame
from edge.station_config import StationConfig
from edge.storage.strict_yaml import load_yaml_text, parse
from tests.standins.machine import Machine
from tests.tiny_bundle import part_image

STATION = "camera: {{source: '{source}'}}\nlines: {{backend: recording}}\n"


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, dict[str, str]]]:
    code = main([*map(str, arguments), "--json"])
    return code, {one["check"]: one for one in json.loads(capsys.readouterr().out)}


def station_file(folder: Path, source: Path, more: str = "") -> Path:
    path = folder / "station.yaml"
    path.write_text(STATION.format(source=source) + more)
    return path


def test_a_station_that_works(two_slots_dir: Path, normal_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    station = station_file(tmp_path, normal_dir)
    code, found = doctor(capsys, "--bundle", two_slots_dir, "--station", station)
    assert code == 0, found
    assert {name for name, one in found.items() if one["status"] == "failed"} == set()
    assert found["lines"]["status"] == "warning"
    assert "files have their hash" in found["bundle"]["found"]
    assert found["calibration"]["found"].startswith("2 of 20")
    assert found["camera"]["status"] == "ok"
    assert main(["--bundle", str(two_slots_dir), "--station", str(station)]) == 0
    out = capsys.readouterr().out
    assert "a stand-in that drives nothing" in out
    assert "0 failed" in out


def break_model(bundle: Path, _: Path) -> None:
    with open(bundle / "model.fp32.onnx", "ab") as file:
        file.write(b"x")


def break_slot(bundle: Path, _: Path) -> None:
    (bundle.parent / "calibration" / "tiny" / "000002" / "slot.yaml").write_text("{")


def remove_slots(bundle: Path, _: Path) -> None:
    shutil.rmtree(bundle.parent / "calibration")


def other_view(_: Path, station: Path) -> None:
    station.write_text(station.read_text() + "region: {x: 0, y: 0, width: 20, height: 20}\n")


def no_camera(_: Path, station: Path) -> None:
    station.write_text(STATION.format(source="/nonexistent"))


def csi_camera(_: Path, station: Path) -> None:
    station.write_text(STATION.format(source="csi://0"))


def no_reject(_: Path, station: Path) -> None:
    station.write_text(station.read_text().replace("recording", "gpiod"))


def no_chip(_: Path, station: Path) -> None:
    station.write_text(station.read_text().replace("backend: recording", "reject: {chip: tegra999-gpio, line: 1}"))


def unknown_key(_: Path, station: Path) -> None:
    station.write_text("linse: 3")


@pytest.mark.parametrize(
    ("harm", "check", "words"),
    [
        (break_model, "bundle", "sha256 differs"),
        (break_slot, "calibration", "not valid YAML"),
        (remove_slots, "calibration", "run: calibrate normal_dir/"),
        (other_view, "calibration", "calibrate again, or correct the station file"),
        (no_camera, "camera", "does not exist"),
        (csi_camera, "OpenCV", "use JetPack's cv2"),
        (no_reject, "reject line", "a bad part could not be stopped"),
        (no_chip, "reject line", "there is no GPIO chip 'tegra999-gpio'"),
        (unknown_key, "station", "did you mean `lines`?"),
    ],
)
def test_what_is_wrong_is_found_and_the_rest_is_still_looked_at(
    two_slots_dir: Path, normal_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    harm: object, check: str, words: str,
) -> None:  # fmt: skip
    station = station_file(tmp_path, normal_dir)
    harm(two_slots_dir, station)  # type: ignore[operator]
    code, found = doctor(capsys, "--bundle", two_slots_dir, "--station", station)
    assert code == 1
    assert {name for name, one in found.items() if one["status"] == "failed"} == {check}
    assert words in f"{found[check]['found']}; {found[check]['remedy']}"
    assert {"bundle", "clock", "disk", "real time"} <= set(found)


def test_a_camera_that_edge_inspect_holds_is_read_through_it(
    two_slots_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.doctor.camera.FRAMES", 1)
    station = station_file(tmp_path, Path("/dev/video99"))
    server = FrameServer(two_slots_dir.parent / SOCKET, SystemClock())
    try:
        server.offer(Frame(part_image(1, False), 0, SystemClock().monotonic_ns(), "x"), "/dev/video99", None)
        code, found = doctor(capsys, "--bundle", two_slots_dir, "--station", station)
    finally:
        server.close()
    assert code == 0, found
    assert "held by edge-inspect, which runs" in found["camera"]["found"]
    assert found["exposure"]["status"] == "warning"


def test_a_check_that_breaks_hides_no_other() -> None:
    findings = Findings()
    for error in (LineOpenError("is in use by 'x'; stop that program"), CameraError("gone"), ZeroDivisionError("bug")):
        with findings.of("it"):
            raise error
    assert findings.all == [
        Finding("it", Status.FAILED, "is in use by 'x'", "stop that program"),
        Finding("it", Status.FAILED, "gone"),
        Finding("it", Status.FAILED, "the check itself failed: ZeroDivisionError: bug", "report it"),
    ]


JETSON = {
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
    "etc/nvpmodel.conf": "< PARAM TYPE=FILE NAME=X >\n< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n",
    "var/lib/nvpmodel/status": "pmode:0002 fmode:cool\n",
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "arch_sys_counter\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "51500\n",
    "sys/class/thermal/thermal_zone0/trip_point_0_type": "passive\n",
    "sys/class/thermal/thermal_zone0/trip_point_0_temp": "99000\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "60000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "1728000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1728000\n",
}


def machine_findings(folder: Path, files: dict[str, str]) -> dict[str, Finding]:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    findings = Findings()
    check_machine(folder / "state" / "not yet", findings, folder)
    return {one.check: one for one in findings.all}


def test_a_jetson_in_order(tmp_path: Path) -> None:
    found = machine_findings(tmp_path, JETSON)
    assert found["board"].found == "Jetson Orin Nano/NX developer kit, L4T R36 (release), REVISION: 4.3"
    assert found["clock"].found == "arch_sys_counter"
    assert found["temperature"].found == "cpu-thermal 52 °C, slowed down from 99 °C"
    assert found["power mode"].found.startswith("2 (MAXN_SUPER)")
    assert found["CPU clocks"].found == "held at their highest"
    for name in ("board", "clock", "temperature", "power mode", "CPU clocks", "disk"):
        assert found[name].status is Status.OK, found[name]


@pytest.mark.parametrize(
    ("file", "text", "check", "words"),
    [
        ("sys/class/thermal/thermal_zone0/temp", "96000", "temperature", "cpu-thermal 96 °C"),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq", "729600", "CPU clocks", "1 of 1 CPUs may slow down"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "jiffies", "clock", "too coarse"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "", "clock", "does not tell"),
        ("var/lib/nvpmodel/status", "", "power mode", "has not told"),
        ("var/lib/nvpmodel/status", "pmode:", "power mode", "has not told"),
    ],
)
def test_a_machine_that_should_be_seen_to(tmp_path: Path, file: str, text: str, check: str, words: str) -> None:
    found = machine_findings(tmp_path, {**JETSON, file: text})
    assert found[check].status is Status.WARNING
    assert words in found[check].found
    assert found[check].remedy


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    found = machine_findings(tmp_path, {})
    assert "power mode" not in found
    assert found["temperature"].status is Status.OK
    assert found["board"].found.startswith("no developer kit")


@pytest.mark.parametrize(("free_mb", "status"), [(50, Status.FAILED), (500, Status.WARNING), (5000, Status.OK)])
def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, status: Status) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free_mb * 1_000_000))
    assert machine_findings(tmp_path, {})["disk"].status is status


def software_findings(folder: Path, line: str | None, python: tuple[int, int] = (3, 10)) -> dict[str, Finding]:
    if line is not None:
        (folder / "etc").mkdir(parents=True, exist_ok=True)
        (folder / "etc/nv_tegra_release").write_text(line)
    findings = Findings()
    check_software(findings, folder, python)
    return {one.check: one for one in findings.all}


def test_jetpack_tensorrt_and_python_that_belong_together(tmp_path: Path, machine: Machine) -> None:
    found = software_findings(tmp_path, JETSON["etc/nv_tegra_release"])
    assert found["JetPack"].found == "L4T R36.4 (JetPack 6.1/6.2): Python 3.10, TensorRT 10.3"
    for name in ("JetPack", "Python", "TensorRT", "PyCUDA"):
        assert found[name].status is Status.OK, found[name]
    assert found["signatures"].status is Status.WARNING


@pytest.mark.parametrize(
    ("line", "python", "check", "words"),
    [
        ("# R39 (release), REVISION: 2.0, GCID: 1", (3, 12), "TensorRT", "10.3.0, and R39.2 (JetPack 7.2) has 10.16 or 11.4"),
        ("# R36 (release), REVISION: 4.3, GCID: 1", (3, 11), "Python", "3.11, JetPack's tensorrt and cv2 are for 3.10"),
        ("# R35 (release), REVISION: 6.1, GCID: 1", (3, 10), "JetPack", "L4T R35.6 is too old"),
        ("nonsense", (3, 10), "JetPack", "is not as NVIDIA writes it"),
    ],
)
def test_jetpack_that_does_not_fit(
    tmp_path: Path, machine: Machine, line: str, python: tuple[int, int], check: str, words: str
) -> None:
    found = software_findings(tmp_path, line, python)
    assert found[check].status is Status.FAILED
    assert words in found[check].found
    assert found[check].remedy


def test_a_jetson_without_tensorrt(tmp_path: Path) -> None:
    found = software_findings(tmp_path, JETSON["etc/nv_tegra_release"])
    assert found["TensorRT"].status is Status.FAILED
    assert "system-site-packages" in found["TensorRT"].remedy + found["TensorRT"].found


def test_off_a_jetson_what_is_jetpacks_does_not_apply(tmp_path: Path) -> None:
    found = software_findings(tmp_path, None, (3, 11))
    assert {one.status for one in found.values()} == {Status.OK}
    assert found["TensorRT"].found == "does not apply: this is no Jetson"


def test_the_engine_scores_as_recorded_and_its_time_is_held_against_the_deadline(
    two_slots_dir: Path, normal_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = "trigger: {{kind: software}}\nreject_pulse_ms: 20\ntiming: {{deadline_ms: {deadline}, reject_delay_ms: 60000}}\n"
    for deadline, status in ((50_000, "ok"), (1, None)):
        station = station_file(tmp_path, normal_dir, more.format(deadline=deadline).replace("{{", "{").replace("}}", "}"))
        _, found = doctor(capsys, "--bundle", two_slots_dir, "--station", station, "--only", "station,bundle,calibration,engine")
        assert set(found) <= {"station", "bundle", "calibration", "calibration age", "engine", "engine time"}
        assert "those of calibration 2" in found["engine"]["found"]
        assert f"the deadline is {deadline} ms" in found["engine time"]["found"]
        assert status is None or found["engine time"]["status"] == status


@pytest.mark.parametrize(("times", "status"), [([1.0] * 19 + [49.0], Status.OK), ([1.0] * 19 + [50.0], Status.WARNING),
                                               ([100.0] * 20, Status.FAILED)])  # fmt: skip
def test_engine_times(times: list[float], status: Status) -> None:
    station = load_model_text("trigger: {kind: software}\ntiming: {deadline_ms: 100, reject_delay_ms: 500}\n")
    findings = Findings()
    _tell_time(times, station, findings)
    assert findings.all[0].status is status


def load_model_text(text: str) -> StationConfig:
    return parse(StationConfig, load_yaml_text(text, "station.yaml"), "station.yaml")


def test_parts_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "bundle,enigne"]) == 2
    assert "got 'enigne'" in capsys.readouterr().err


def test_over_current_watchdog_and_the_time_of_day(tmp_path: Path) -> None:
    files = {"hwmon/hwmon1/oc3_event_cnt": "4", "hwmon/hwmon1/oc1_event_cnt": "0", "watchdog/watchdog0/timeout": "120"}
    found = machine_findings(tmp_path, {**JETSON, **{f"sys/class/{name}": text for name, text in files.items()}})
    assert found["throttling"].status is Status.WARNING
    assert "oc3: 4" in found["throttling"].found
    assert "120 s" in found["watchdog"].found
    assert found["time of day"].status is Status.WARNING
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert machine_findings(tmp_path, {})["time of day"].status is Status.OK
