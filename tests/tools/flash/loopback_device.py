"""A device in a folder behind a real sshd on loopback, with its own host key, port and config; and a wire that can be cut."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.bundles.bundle_slots import BundleSlots
from tools.flash.ssh_device import SshDevice

PROJECT = Path(__file__).parents[3]
LINE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Wire:
    """A TCP relay to ``port``. ``allow``: bytes, both ways together, after which every connection is cut."""

    def __init__(self, port: int) -> None:
        self._target, self._lock = port, threading.Lock()
        self.allow: int | None = None
        self.carried = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.allow is not None and self.carried >= self.allow:
                client.close()
                continue
            device = socket.create_connection(("127.0.0.1", self._target))
            self._open += [client, device]
            for one, other in ((client, device), (device, client)):
                thread = threading.Thread(target=self._carry, args=(one, other), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(4096):
                with self._lock:
                    left = None if self.allow is None else self.allow - self.carried
                    piece = piece if left is None else piece[: max(left, 0)]
                    self.carried += len(piece)
                sink.sendall(piece)
                if left is not None and len(piece) >= left:
                    break
        for one in (source, sink):  # cut, or come to its end: either way both sides hear of it
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Count anew, and cut nothing."""
        self.allow, self.carried = None, 0

    def close(self) -> None:
        """Cut all and end."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()


@dataclass
class LoopbackDevice:
    """root: its /. ssh: as edge-flash reaches it, over ``wire``. config: of the SSH client."""

    root: Path
    config: Path
    wire: Wire
    ssh: SshDevice = field(init=False)

    def __post_init__(self) -> None:
        self.ssh = SshDevice("device", self.config, str(self.root))

    @property
    def slots(self) -> BundleSlots:
        """Its bundles."""
        return BundleSlots(self.root)


def make_root(root: Path) -> None:
    """A flashed device with the application, and no bundle; edge-bundle runs this project's code."""
    (root / "etc").mkdir(parents=True)
    (root / "etc/nv_tegra_release").write_text(LINE)
    program = root / "opt/edge-inspect/bin/edge-bundle"
    program.parent.mkdir(parents=True)
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={PROJECT} OMP_NUM_THREADS=1 exec {sys.executable} -m edge.bundles.bundles_cli "$@"\n'
    )
    program.chmod(0o755)


@contextmanager
def loopback_device(folder: Path) -> Iterator[LoopbackDevice]:
    """A device in ``folder``, whose sshd ends with the context."""
    if SSHD is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        pytest.skip("needs sshd and ssh (apt install openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    root = folder / "device"
    make_root(root)
    (folder / "keys").write_text((folder / "client.pub").read_text())
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/keys\nPidFile none\n"
        f"StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 100\n"
        f"SetEnv PATH={os.environ['PATH']}\n"
    )
    log = (folder / "sshd.log").open("wb")
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.PIPE)
    assert server.stderr is not None
    for line in server.stderr:
        log.write(line)
        if b"Server listening" in line:
            break
    else:
        pytest.skip(f"sshd does not start here: {(folder / 'sshd.log').read_text()}")
    drain = threading.Thread(target=lambda: [log.write(line) for line in server.stderr or ()], daemon=True)
    drain.start()
    wire = Wire(port)
    (folder / "known").write_text(f"[127.0.0.1]:{wire.port} {(folder / 'host.pub').read_text()}")
    (folder / "ssh_config").write_text(
        f"Host device device?\n  HostName 127.0.0.1\n  Port {wire.port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {folder}/client\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking yes\n  LogLevel ERROR\n"
    )
    try:
        yield LoopbackDevice(root, folder / "ssh_config", wire)
    finally:
        wire.close()
        server.terminate()
        server.wait()
        drain.join()
        server.stderr.close()
        log.close()
