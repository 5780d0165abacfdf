"""The application with all it needs for a board's Python, as wheels: a device installs it without a network.

NumPy stays below 2: JetPack's cv2 is built for the ABI of 1.x. PyCUDA comes as source, with what its build needs, and is compiled
at the first boot. cv2 and tensorrt are JetPack's and are not here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console

from edge.bundle import file_sha256
from edge.console.plain_table import say
from edge.errors import FlashError
from edge.storage.durable_files import new_folder

EXTRAS = "jetson,hmi,plant"
"""What a device needs, and what its station may name: the operator page, and the plant's protocols."""
CONSTRAINTS = ("numpy<2",)
BUILD_NEEDS = ("pip", "setuptools", "wheel")
FROM_SOURCE = "pycuda"
PLATFORMS = ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
DEVICE = {"platform_machine": "aarch64", "sys_platform": "linux", "platform_system": "Linux"}
ROUNDS = 4
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "edge", "calibration", "trainer", "tools")
PROJECT = Path(__file__).parents[2]


def make_wheelhouse(out: Path, python: str, project: Path, console: Console) -> None:
    """Fill ``out`` (made here) for ``python``, such as 3.10; needs PyPI. Raises FlashError with what pip said last."""
    if not (project / "setup.cfg").is_file():
        raise FlashError(f"{project}: expected the source of edge-inspect (setup.cfg), there is none; name it with --source")
    with new_folder(out) as folder:
        say(console, f"wheelhouse for Python {python} on aarch64: building edge-inspect")
        build_application(project, folder)
        application = next(folder.glob("edge_inspect-*.whl"))
        constraints = folder / "constraints.txt"
        constraints.write_text("".join(f"{one}\n" for one in CONSTRAINTS), encoding="utf-8")
        target = ["--python-version", python, "--implementation", "cp", "--abi", f"cp{python.replace('.', '')}", "--abi", "abi3",
                  "--abi", "none", *(word for one in PLATFORMS for word in ("--platform", one))]  # fmt: skip
        say(console, f"fetching {FROM_SOURCE} as source")
        # Its requirements stand in the source; a wheel of it for the device cannot be made here.
        needs = _needs_of(application) + [one for one in _source_needs(folder) if not one.startswith(FROM_SOURCE)]
        say(console, f"fetching {len(needs)} requirements and what they need")
        needs += BUILD_NEEDS
        for _ in range(ROUNDS):
            _pip(
                "download",
                "--quiet",
                "--only-binary=:all:",
                *target,
                "--dest",
                str(folder),
                "--constraint",
                str(constraints),
                *needs,
            )
            # pip goes by the markers of this Python, not of the device's.
            absent = _absent(folder, python)
            if not absent:
                break
            needs += absent
        else:
            raise FlashError(f"{absent[0]} and what it needs cannot be had for Python {python} on aarch64; report it")
        if strays := [one.name for one in folder.iterdir() if one.name.lower().startswith(("opencv", "tensorrt", "torch"))]:
            raise FlashError(f"{strays[0]} would shadow JetPack's own; report it")


def build_application(project: Path, out: Path) -> None:
    """The wheel of the application into ``out``, from a copy: what an earlier build left in ``project`` would get into it."""
    with tempfile.TemporaryDirectory() as place:
        for name in SOURCES:
            if (project / name).is_dir():
                shutil.copytree(project / name, Path(place) / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(project / name, place)
        _pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), place)


def read_wheelhouse(path: Path, python: str) -> list[Path]:
    """Its files; raises FlashError where it is none, or for another Python."""
    files = sorted(one for one in path.glob("*") if one.is_file()) if path.is_dir() else []
    names = [one.name for one in files]
    remedy = f"make it with: edge-flash wheelhouse --python {python} --out {path}"
    for wanted in ("edge_inspect-", "pip-"):
        if not any(name.startswith(wanted) for name in names):
            raise FlashError(f"{path}: expected a wheelhouse, it has no {wanted.rstrip('-')}; {remedy}")
    tag = f"cp{python.replace('.', '')}"
    for name in names:
        parts = name.removesuffix(".whl").split("-")
        if name.endswith(".whl") and not (tag in parts[-3].split(".") or "abi3" in parts[-2] or parts[-2] == "none"):
            raise FlashError(f"{path}: {name} is not for Python {python}, which this release has; {remedy}")
        if name.endswith(".whl") and parts[-1] != "any" and "aarch64" not in parts[-1]:
            raise FlashError(f"{path}: {name} is not for the device (aarch64); {remedy}")
    return files


def application_id(files: list[Path]) -> str:
    """Names this application; another as soon as one file is another."""
    return hashlib.sha256("".join(f"{one.name} {file_sha256(one)}\n" for one in files).encode()).hexdigest()[:16]


def _needs_of(wheel: Path) -> list[str]:
    """What the application asks for on a device, PyCUDA left out."""
    needs: list[str] = []
    extras, done = [*EXTRAS.split(","), ""], set()
    while extras:
        done.add(extra := extras.pop())
        for one in _requirements(wheel, {**DEVICE, "extra": extra}):
            if one.marker is None and extra:
                continue
            if one.name.replace("_", "-") == "edge-inspect":
                extras += [inner for inner in one.extras if inner not in done]
            elif one.name != FROM_SOURCE:
                needs.append(f"{one.name}{one.specifier}")
    return sorted(set(needs))


def _absent(folder: Path, python: str) -> list[str]:
    """What the wheels in ``folder`` need on the device's Python and is not among them."""
    environment = {**DEVICE, "python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    here = {canonicalize_name(one.name.split("-")[0]) for one in folder.iterdir()}
    needs = [one for wheel in folder.glob("*.whl") for one in _requirements(wheel, environment)]
    return sorted({f"{one.name}{one.specifier}" for one in needs if canonicalize_name(one.name) not in here})


def _requirements(wheel: Path, environment: dict[str, str]) -> list[Requirement]:
    """Those of a wheel that apply."""
    info = next(one for one in zipfile.Path(wheel).iterdir() if one.name.endswith(".dist-info"))
    found = [Requirement(line) for line in PathDistribution(info).requires or []]
    return [one for one in found if one.marker is None or one.marker.evaluate(environment)]


def _source_needs(folder: Path) -> list[str]:
    """Fetch PyCUDA's source; what it needs to run, from its metadata. Building that metadata needs no CUDA."""
    _pip("download", "--quiet", "--no-deps", "--no-build-isolation", "--no-binary", FROM_SOURCE, "--dest", str(folder), FROM_SOURCE)
    source = next(folder.glob(f"{FROM_SOURCE}-*.tar.gz"))
    with tarfile.open(source) as archive:
        member = next(one for one in archive.getmembers() if one.name.count("/") == 1 and one.name.endswith("/PKG-INFO"))
        content = archive.extractfile(member)
        assert content is not None
        lines = content.read().decode().splitlines()
    return [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ") and "extra ==" not in line]


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", arguments[0], "--disable-pip-version-check", *arguments[1:]]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = (
            [line for line in result.stderr.splitlines() if line.startswith("ERROR")] or result.stderr.splitlines() or ["no word"]
        )
        raise FlashError(f"pip could not fetch the wheelhouse: {lines[0]}; is PyPI reachable? See: {' '.join(command[2:4])} …")
