"""What a device has is enough to import edge and calibration, and importing edge is quick."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import calibration
import edge

ABSENT = (
    "torch", "tensorrt", "pycuda", "gpiod", "onnxruntime", "onnx", "safetensors", "matplotlib", "fastapi", "starlette", "uvicorn",
    "argon2", "cryptography", "python_multipart",
)  # fmt: skip
WEB = "edge.page.web"
"""Answers browsers: imported by the page's own process alone, which has looked for the extra hmi first."""
PLANT = ("paho", "pymodbus", "asyncua", "httpx", "prometheus_client")


def test_every_module_of_edge_and_calibration_imports_without_optional_packages() -> None:
    modules = [
        module.name
        for package in (edge, calibration)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not module.name.startswith(f"{WEB}.")
    ]
    assert {
        "edge.cli",
        "edge.capture.capture_cli",
        "edge.gpio.libgpiod",
        "edge.bundles.bundles_cli",
        "calibration.cli",
        "edge.page.page_server",
    } <= set(modules)
    code = (
        f"import sys, importlib\nfor name in {ABSENT + PLANT}: sys.modules[name] = None\n"
        f"for name in {modules}: importlib.import_module(name)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_what_edge_inspect_imports() -> None:
    code = "import sys, edge.cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {*ABSENT, *PLANT, "calibration", "trainer", "tools", "scipy"} & set(loaded)


def test_a_missing_opencv_is_told_with_the_remedy() -> None:
    code = "import sys; sys.modules['cv2'] = None; import edge.cli"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("ImportError: OpenCV (cv2) is not installed; on a Jetson")
