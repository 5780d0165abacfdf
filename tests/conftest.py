"""Fixtures shared by all suites: images of a made-up part, and a tiny but real bundle."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from hypothesis import settings

from calibration.cli import main as calibrate_main
from tests.standins.machine import Machine
from tests.tiny_bundle import part_image, write_tiny_bundle

# The same examples every time, and no time limit: CI machines are slow now and then.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the machine's own station, bundle, state or TensorRT, unless it asks for it."""
    _hide_the_machine(monkeypatch)


def _hide_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # type: ignore[arg-type]
    for name in list(os.environ):
        if name.startswith("EDGE_INSPECT_") and name not in (
            "EDGE_INSPECT_DATA",
            "EDGE_INSPECT_UML",
            "EDGE_INSPECT_GPIO_SIM",
            "EDGE_INSPECT_DEBIAN_ROOT",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setattr("edge.storage.locations.DEFAULT_STATION", Path("/nonexistent/station.yaml"))
    monkeypatch.setattr("edge.storage.locations.DEFAULT_RECIPES", Path("/nonexistent/recipes.yaml"))


@pytest.fixture
def write_parts() -> Callable[..., Path]:
    """``write_parts(folder, count, first_seed=0, defect=False)`` writes PNGs of the made-up part."""

    return _write_parts


def _write_parts(folder: Path, count: int, first_seed: int = 0, defect: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        assert cv2.imwrite(str(folder / f"{index:03d}.png"), part_image(first_seed + index, defect))
    return folder


@pytest.fixture
def normal_dir(tmp_path: Path, write_parts: Callable[..., Path]) -> Path:
    """60 images of good parts."""
    return write_parts(tmp_path / "normal", 60)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A stand-in of a Jetson with TensorRT 10.3; at the end no rule was broken and everything was given back."""
    standing_in = Machine(monkeypatch).install()
    yield standing_in
    standing_in.assert_clean()


@pytest.fixture
def bundle_dir(tmp_path: Path) -> Path:
    """An uncalibrated tiny bundle."""
    return write_tiny_bundle(tmp_path / "bundle")


@pytest.fixture(scope="session")
def _calibrated_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated")
    bundle = write_tiny_bundle(folder / "bundle")
    with pytest.MonkeyPatch.context() as monkeypatch:
        _hide_the_machine(monkeypatch)
        assert calibrate_main([str(_write_parts(folder / "normal", 60)), "--bundle", str(bundle)]) == 0
    return folder


@pytest.fixture
def calibrated_dir(_calibrated_once: Path, tmp_path: Path) -> Path:
    """The tiny bundle, calibrated on the images of ``normal_dir``, which lie beside it, as its slots do."""
    shutil.copytree(_calibrated_once, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "bundle"


@pytest.fixture(scope="session")
def _two_slots_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two slots")
    bundle = write_tiny_bundle(folder / "bundle")
    with pytest.MonkeyPatch.context() as monkeypatch:
        _hide_the_machine(monkeypatch)
        for first_seed in (0, 200):
            normal = _write_parts(folder / f"normal from {first_seed}", 60, first_seed)
            assert calibrate_main([str(normal), "--bundle", str(bundle), "--operator", "Ann"]) == 0
    return folder


@pytest.fixture
def two_slots_dir(_two_slots_once: Path, tmp_path: Path) -> Path:
    """The tiny bundle, calibrated twice on different images; slot 2 is active, and slot 1 was before."""
    shutil.copytree(_two_slots_once, tmp_path / "two", symlinks=True)
    return tmp_path / "two" / "bundle"
