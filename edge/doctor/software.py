"""JetPack's parts and ours: do L4T, TensorRT and Python belong together, and can TensorRT, PyCUDA and the trust file be used?"""

from __future__ import annotations

import sys
from pathlib import Path

from edge.bundles.bundle_signature import TRUSTED_KEYS, read_trusted_keys
from edge.doctor.finding import Findings
from edge.engines.cuda_device import import_pycuda
from edge.engines.tensorrt_import import import_tensorrt
from edge.errors import ConfigError
from edge.jetpack_releases import JetPackRelease, find_release, parse_l4t_release

ROOT = Path("/")


def check_software(findings: Findings, root: Path = ROOT, python: tuple[int, int] = sys.version_info[:2]) -> None:
    """Off a Jetson, what is JetPack's does not apply, and that is said."""
    release_file = root / "etc/nv_tegra_release"
    jetson = release_file.is_file()
    release: JetPackRelease | None = None
    if jetson:
        with findings.of("JetPack"):
            parsed = parse_l4t_release(release_file.read_text(encoding="utf-8", errors="replace"))
            if parsed is None:
                raise ConfigError(f"{release_file}: is not as NVIDIA writes it; flash the device again")
            release = find_release(*parsed)
            findings.ok("JetPack", f"L4T {release.name}: Python {release.python}, TensorRT {' or '.join(release.tensorrt)}")
    _python(findings, release, python)
    _tensorrt(findings, jetson, release)
    with findings.of("signatures"):
        if TRUSTED_KEYS.exists():
            findings.ok("signatures", f"{len(read_trusted_keys(TRUSTED_KEYS))} keys are trusted, unsigned bundles are refused")
        elif jetson:
            findings.warning("signatures", f"there is no {TRUSTED_KEYS}, so any bundle is used", "stage with --trusted-keys")
        else:
            findings.ok("signatures", f"there is no {TRUSTED_KEYS}, so any bundle is used, as on a workstation")


def _python(findings: Findings, release: JetPackRelease | None, python: tuple[int, int]) -> None:
    words = f"{python[0]}.{python[1]}"
    if release is None or words == release.python:
        findings.ok("Python", words)
    else:
        findings.failed("Python", f"{words}, JetPack's tensorrt and cv2 are for {release.python}",
                        "use the system's Python in a venv with --system-site-packages")  # fmt: skip


def _tensorrt(findings: Findings, jetson: bool, release: JetPackRelease | None) -> None:
    if not jetson:
        findings.ok("TensorRT", "does not apply: this is no Jetson")
        return
    with findings.of("TensorRT"):
        version = str(import_tensorrt().__version__)
        if release is not None and not release.has_tensorrt(version):
            findings.failed("TensorRT", f"{version}, and {release.name} has {' or '.join(release.tensorrt)}",
                            "install that release's packages: sudo apt install --reinstall nvidia-jetpack")  # fmt: skip
        else:
            findings.ok("TensorRT", version)
    with findings.of("PyCUDA"):
        import_pycuda()
        findings.ok("PyCUDA", "loads, so NVIDIA's driver is there")
