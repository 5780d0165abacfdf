"""A device over SSH: OpenSSH's own client, one command a connection. Cut anywhere, what was written is whole or absent."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import EdgeInspectError
from tools.flash import place_files
from tools.flash.device_manifest import DeviceManifest

OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3")
LOST = 255
"""What ssh ends with where the connection fails."""
QUICK_S = 120.0
EXPAND = "import base64,sys,zlib;exec(compile(zlib.decompress(base64.b64decode(sys.argv.pop(1))),'place_files.py','exec'))"


class DeviceError(EdgeInspectError):
    """The device did not do what it was asked to."""


class ConnectionLostError(DeviceError):
    """The connection could not be made, or was cut."""


@dataclass(frozen=True, slots=True)
class SshDevice:
    """host: user@device, or a name of ``config``. root: where / of the device is, for one that is made up in a folder."""

    host: str
    config: Path | None = None
    root: str = "/"

    def run(self, command: str, stream: Iterable[bytes] = (), timeout_s: float | None = QUICK_S) -> str:
        """What ``command`` (POSIX sh, as root) says; raises DeviceError with what it complained of, ConnectionLostError."""
        remote = f"if [ $(id -u) = 0 ]; then sh -c {shlex.quote(command)}; else sudo -n sh -c {shlex.quote(command)}; fi"
        words = ["ssh", *(word for one in OPTIONS for word in ("-o", one)), *(("-F", str(self.config)) if self.config else ())]
        with subprocess.Popen(
            [*words, "--", self.host, remote], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            try:
                for piece in stream:
                    process.stdin.write(piece)
                process.stdin.flush()
            except BrokenPipeError:
                pass  # why it went is in its exit code
            except BaseException:
                process.kill()
                raise
            try:
                out, complaint = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise ConnectionLostError(f"{self.host}: no answer within {timeout_s:.0f} s; is it still there?") from error
            except BrokenPipeError:
                out, complaint = b"", b""
                process.wait()
        said = " ".join(complaint.decode(errors="replace").split())
        if process.returncode == LOST:
            raise ConnectionLostError(
                f"{self.host}: {said or 'the connection was lost'}; check the network and the key, run it again"
            )
        if process.returncode != 0 and not out.strip():
            raise DeviceError(f"{self.host}: {said or 'ended with ' + str(process.returncode)}")
        return out.decode(errors="replace")

    def differences(self, manifest: DeviceManifest) -> dict[str, str]:
        """Path → how it is not as ``manifest`` has it."""
        return dict(self._place_files("check", [manifest.header()])["differences"])

    def place(self, manifest: DeviceManifest, *, kept: bool) -> list[str]:
        """Send what differs; the paths that changed. kept: the device remembers the manifest."""
        wanted = set(dict(self._place_files("check", [manifest.header(kept=kept)])["differences"]))
        return list(self._place_files("place", manifest.stream(wanted, kept=kept))["changed"])

    def _place_files(self, action: str, stream: Iterable[bytes]) -> dict[str, Any]:
        source = base64.b64encode(zlib.compress(Path(place_files.__file__).read_bytes(), 9)).decode()
        out = self.run(f"exec python3 -c {shlex.quote(EXPAND)} {source} {action} {shlex.quote(self.root)}", stream, timeout_s=None)
        try:
            answer = json.loads(out)
        except ValueError as error:
            raise DeviceError(f"{self.host}: expected an answer of place_files.py, got {out[:80]!r}") from error
        if "error" in answer:
            raise DeviceError(f"{self.host}: {answer['error']}")
        return dict(answer)

    def bundle_command(self, *words: str) -> str:
        """edge-bundle on the device, whose words are told; raises DeviceError where it refused."""
        command = shlex.join([f"{self.root.rstrip('/')}/opt/edge-inspect/bin/edge-bundle", "--root", self.root, *words])
        # Its words go to stderr, and its exit code is the answer: both come back on stdout.
        out = self.run(f"{command} 2>&1; echo edge-bundle ended with $?", timeout_s=None)
        lines = out.strip().splitlines()
        if not lines or not lines[-1].startswith("edge-bundle ended with "):
            raise ConnectionLostError(f"{self.host}: edge-bundle was cut off; run it again")
        said = "\n".join(lines[:-1])
        if lines[-1] != "edge-bundle ended with 0":
            raise DeviceError(f"{self.host}: {' '.join(said.split()) or lines[-1]}")
        return said

    def fact(self, path: str) -> str:
        """The first line of a file on the device; empty where there is none."""
        return self.run(f"head -n 1 {shlex.quote(self.root.rstrip('/') + path)} 2>/dev/null || :").strip()
