"""Wheels for the board's Python, resolved by pip itself; and folders that are none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from edge.errors import FlashError
from tests.tools.flash.fake_bsp import make_wheelhouse_names
from tools.flash.wheelhouse import PROJECT, _absent, application_id, make_wheelhouse, read_wheelhouse


@pytest.mark.pypi
@pytest.mark.parametrize("python", ["3.10", "3.12"])
def test_pip_resolves_everything_the_device_needs(python: str, tmp_path: Path) -> None:
    probe = [
        sys.executable,
        "-m",
        "pip",
        "-q",
        "--disable-pip-version-check",
        "download",
        "--no-deps",
        "--dest",
        str(tmp_path),
        "wheel",
    ]
    if (result := subprocess.run(probe, capture_output=True, text=True, check=False)).returncode != 0:
        pytest.skip(f"PyPI is out of reach: {result.stderr[-200:]}")
    out = tmp_path / "wheels"
    make_wheelhouse(out, python, PROJECT, Console(stderr=True))
    names = [one.name for one in read_wheelhouse(out, python)]
    begin = {name.split("-")[0].lower() for name in names}
    assert {"edge_inspect", "numpy", "pydantic_core", "gpiod", "cryptography", "matplotlib", "pyyaml", "pip", "setuptools"} <= begin
    assert not {"opencv_python_headless", "tensorrt", "torch", "onnxruntime"} & begin
    assert any(name.startswith("numpy-1.26") for name in names)  # JetPack's cv2 is built for 1.x
    assert any(name.startswith("pycuda-") and name.endswith(".tar.gz") for name in names)
    assert {"pytools", "mako"} <= begin  # what PyCUDA runs with
    assert _absent(out, python) == []


def test_what_is_no_wheelhouse_for_the_device(tmp_path: Path) -> None:
    wheels = make_wheelhouse_names(tmp_path / "wheels")
    read_wheelhouse(wheels, "3.10")
    with pytest.raises(FlashError, match=r"is not for Python 3\.12"):
        read_wheelhouse(wheels, "3.12")
    (wheels / "numpy-1.26.4-cp310-cp310-manylinux_2_28_x86_64.whl").touch()
    with pytest.raises(FlashError, match=r"x86_64\.whl is not for the device"):
        read_wheelhouse(wheels, "3.10")
    with pytest.raises(FlashError, match=r"expected the source of edge-inspect \(setup.cfg\)"):
        make_wheelhouse(tmp_path / "out", "3.10", tmp_path, Console(stderr=True))
    assert not (tmp_path / "out").exists()


def test_another_file_is_another_application(tmp_path: Path) -> None:
    wheels = make_wheelhouse_names(tmp_path / "wheels")
    before = application_id(read_wheelhouse(wheels, "3.10"))
    assert application_id(read_wheelhouse(wheels, "3.10")) == before
    (wheels / "constraints.txt").write_text("numpy<3\n")
    assert application_id(read_wheelhouse(wheels, "3.10")) != before
