"""What `pip install .` brings, here and on a Jetson."""

from __future__ import annotations

import zipfile
from importlib.metadata import entry_points, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edge.errors import FlashError
from tools.flash.wheelhouse import build_application


def brought(machine: str, extra: str = "") -> set[str]:
    """Names that installing the package asks for on ``machine``."""
    environment = {"platform_machine": machine, "sys_platform": "linux", "extra": extra}
    requirements = [Requirement(line) for line in requires("edge-inspect") or []]
    return {one.name for one in requirements if one.marker is None or one.marker.evaluate(environment)}


def test_a_jetson_gets_neither_torch_nor_a_wheel_that_shadows_jetpacks_own() -> None:
    for extra in ("", "jetson"):
        names = brought("aarch64", extra)
        assert {"numpy", "pyyaml", "pydantic"} <= {name.lower() for name in names}
        assert not [name for name in names if name.startswith(("torch", "onnxruntime", "opencv", "tensorrt"))]


def test_another_machine_gets_what_it_needs_to_inspect() -> None:
    assert {"onnxruntime", "opencv-python-headless"} <= brought("x86_64")
    assert "torch" not in brought("x86_64")
    assert "torch" in brought("x86_64", "train")


@pytest.mark.parametrize(
    "command",
    [
        "calibrate",
        "edge-bench",
        "edge-build",
        "edge-bundle",
        "edge-capture",
        "edge-demo",
        "edge-export",
        "edge-flash",
        "edge-inspect",
        "edge-slots",
        "edge-train",
    ],
)
def test_every_command_has_its_entry_and_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    (entry,) = (one for one in entry_points(group="console_scripts") if one.name == command)
    if command in ("edge-demo", "edge-bench", "edge-export", "edge-train"):
        pytest.importorskip("onnx")
    with pytest.raises(SystemExit) as stopped:
        entry.load()(["--help"])
    assert stopped.value.code == 0
    assert command in capsys.readouterr().out


def test_the_wheel_holds_what_goes_onto_a_device(tmp_path: Path) -> None:
    project = Path(__file__).parents[1]
    try:
        build_application(project, tmp_path)
    except FlashError as error:
        pytest.skip(f"no wheel can be built here: {error}")
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    files = {str(one.relative_to(project)) for one in (project / "tools/flash/rootfs").rglob("*") if one.is_file()}
    assert len(files) == 10
    assert files <= names
