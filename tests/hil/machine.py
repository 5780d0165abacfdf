"""A test machine with a real kernel's GPIO and cameras, as an ordinary process: User-Mode Linux with gpio-sim and vivid.

The kernel is named by EDGE_INSPECT_UML. It is no board: its lines and cameras are the kernel's own simulations, driven through
the same character devices and V4L2 calls as real ones.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

KERNEL = "EDGE_INSPECT_UML"
PROJECT = Path(__file__).resolve().parents[2]
VIVID = (
    "vivid.n_devs=2 vivid.node_types=0x1,0x101 vivid.num_inputs=1,1 vivid.input_types=0x0,0x3 vivid.num_outputs=1,1 "
    "vivid.output_types=0x1,0x1 vivid.vid_cap_nr=0,2 vivid.vid_out_nr=5,6 vivid.ccs_cap_mode=0,0 vivid.ccs_out_mode=0,0"
)
TIME_LIMIT_S = 600
SHARED = "/mnt/results"
"""The only folder of the host that the machine can write to; all else it writes is lost with it."""


def run_in_machine(command: list[str], results: Path) -> tuple[int, str]:
    """Run ``command`` in the project's folder inside the machine, where ``results`` is ``SHARED``; returns (exit code, output).

    Skips where no kernel is named, and, loudly, where it cannot start.
    """
    kernel = os.environ.get(KERNEL)
    if not kernel:
        pytest.skip(f"no test kernel here ({KERNEL} is not set)")
    results.mkdir(exist_ok=True)
    (results / "command.sh").write_text(shlex.join(command) + "\n")
    arguments = [
        # Before the other jobs of a busy machine where that is permitted: its clock goes on while it is not run.
        "nice", "-n", "-10", "timeout", "-k", "5", str(TIME_LIMIT_S),
        kernel, "mem=2G", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
        f"init={PROJECT / 'tests' / 'hil' / 'init.sh'}", "con0=null,fd:1", "con=null", "ssl=null", "panic=-1", "quiet",
        f"uml_dir={results}", "umid=edge", *VIVID.split(),
        f"HIL_PROJECT={PROJECT}", f"HIL_RESULTS={results}", f"HIL_PYTHON={sys.executable}",
    ]  # fmt: skip
    console = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    said = f"{console.stdout[-2000:]}{console.stderr[-500:]}"
    if not (results / "booted").is_file():
        warnings.warn(f"User-Mode Linux does not start here: {said}", stacklevel=2)
        pytest.skip(f"NOT RUN: User-Mode Linux does not start here: {said}")
    if not (results / "rc").is_file():
        output = results / "output"
        pytest.fail(f"the machine did not finish: {said}{output.read_text()[-3000:] if output.is_file() else ''}")
    return int((results / "rc").read_text()), (results / "output").read_text()
