"""Pictures of a running inspection over its socket, with readers that are slow, silent, or not what they say."""

from __future__ import annotations

import json
import socket
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.cameras.shared_frames import SharedFrames
from edge.capture.frame_server import FrameServer, SharedCamera
from edge.capture.frame_sharing import MAGIC, NEXT, SOCKET
from edge.clock import SystemClock
from edge.errors import CameraLostError, CameraOpenError, CameraTimeoutError, OutputError
from edge.frame import Frame
from edge.live import newest_server
from edge.live.newest_server import MOST_READERS
from edge.storage.private_socket import is_served, short_path
from tests.until import until

CLOCK = SystemClock()
SETTINGS = CameraSettings(exposure_us=8000, gain=2)


class Inspection:
    """The side that holds the camera."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server = FrameServer(path, CLOCK)

    def offer(self, value: int, size: int = 8, source: str = "part") -> None:
        image = np.full((size, 2 * size, 3), value, np.uint8)
        self.server.offer(Frame(image, value, CLOCK.monotonic_ns(), source), "camera", SETTINGS)

    def raw(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        with short_path(self.path) as name:
            connection.connect(name)
        return connection


@pytest.fixture
def inspection(tmp_path: Path) -> Iterator[Inspection]:
    made = Inspection(tmp_path / SOCKET)
    yield made
    made.server.close()
    made.server.close()
    assert made.server.failure is None
    assert not (tmp_path / SOCKET).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_reader_gets_the_newest_picture_each_once_and_with_its_settings(inspection: Inspection) -> None:
    for value in range(5):
        inspection.offer(value)
    with SharedFrames(inspection.path, CLOCK) as camera:
        frame = camera.read(5000)
        assert (frame.image.shape, frame.image[0, 0, 0], frame.source) == ((8, 16, 3), 4, "part")
        with pytest.raises(CameraTimeoutError):
            camera.read(30)
        inspection.offer(5)
        assert camera.read(5000).image[0, 0, 0] == 5
        inspection.offer(6)
        assert camera.lock_exposure() == SETTINGS


def test_a_picture_that_comes_while_a_reader_waits_is_handed_out(inspection: Inspection) -> None:
    with SharedFrames(inspection.path, CLOCK) as camera:
        threading.Timer(0.05, inspection.offer, (7,)).start()
        assert camera.read(5000).image[0, 0, 0] == 7


def test_an_old_picture_is_not_handed_out(inspection: Inspection) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    inspection.server.offer(Frame(image, 0, CLOCK.monotonic_ns() - 3_000_000_000, "old"), "camera", None)
    with SharedFrames(inspection.path, CLOCK) as camera, pytest.raises(CameraTimeoutError):
        camera.read(50)


def test_a_file_name_that_is_no_text_and_a_very_long_one_are_shared(inspection: Inspection) -> None:
    for source in ("part\udcff", "x" * 10_000):
        inspection.offer(1, source=source)
        with SharedFrames(inspection.path, CLOCK) as camera:
            assert len(camera.read(5000).source) <= 1000


def test_only_its_own_user_may_connect_and_a_second_inspection_may_not_take_over(inspection: Inspection) -> None:
    assert stat.S_IMODE(inspection.path.stat().st_mode) == 0o600
    assert is_served(inspection.path)
    with pytest.raises(OutputError, match="another edge-inspect listens"):
        FrameServer(inspection.path, CLOCK)


def test_a_socket_left_by_a_killed_inspection_makes_way(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead, short_path(tmp_path / SOCKET) as name:
        dead.bind(name)
    assert (tmp_path / SOCKET).is_socket()
    assert not is_served(tmp_path / SOCKET)
    server = FrameServer(tmp_path / SOCKET, CLOCK)
    assert is_served(tmp_path / SOCKET)
    server.close()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another --state"):
        FrameServer(tmp_path / "file" / SOCKET, CLOCK)


def test_a_path_longer_than_a_socket_address_serves(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120) / SOCKET
    server = FrameServer(path, CLOCK)
    SharedFrames(path, CLOCK).close()
    assert path.exists()
    server.close()
    assert not path.exists()


def test_a_reader_that_takes_nothing_holds_up_nobody(inspection: Inspection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_server, "SEND_LIMIT_NS", 200_000_000)
    monkeypatch.setattr(newest_server, "TICK_S", 0.05)
    stuck = inspection.raw()
    stuck.sendall(NEXT)
    started = time.monotonic()
    for value in range(100):
        inspection.offer(value, size=500)  # 1.5 MB, more than a socket buffers
    assert time.monotonic() - started < 1
    until(lambda: any(reader.sending for reader in inspection.server._server._readers.values()))  # and not one of the small ones
    with SharedFrames(inspection.path, CLOCK) as camera:
        for value in range(100, 110):
            inspection.offer(value)
            assert camera.read(5000).image[0, 0, 0] == value
    until(lambda: not inspection.server._server._readers)
    stuck.close()


def test_who_asks_nothing_makes_place_for_others(inspection: Inspection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_server, "IDLE_LIMIT_NS", 100_000_000)
    monkeypatch.setattr(newest_server, "TICK_S", 0.05)
    silent = [inspection.raw() for _ in range(MOST_READERS + 3)]
    assert silent[-1].recv(1) == b""  # one too many
    until(lambda: not inspection.server._server._readers)
    inspection.offer(9)
    with SharedFrames(inspection.path, CLOCK) as camera:
        assert camera.read(5000).image[0, 0, 0] == 9
        until(lambda: not inspection.server._server._readers)
        inspection.offer(10)
        assert camera.read(5000).image[0, 0, 0] == 10  # it connects again by itself
    for connection in silent:
        connection.close()


@pytest.mark.parametrize("said", [b"X", b"GET / HTTP/1.1\r\n\r\n", NEXT * 2, b"\x00" * 100_000])
def test_who_says_something_else_is_cut_off(inspection: Inspection, said: bytes) -> None:
    connection = inspection.raw()
    try:
        connection.sendall(said)
        assert connection.recv(1) == b""
    except (BrokenPipeError, ConnectionResetError):
        pass
    inspection.offer(1)
    with SharedFrames(inspection.path, CLOCK) as camera:
        assert camera.read(5000).image[0, 0, 0] == 1
    connection.close()


def test_readers_that_come_and_go_in_the_middle_of_a_picture(inspection: Inspection) -> None:
    for value in range(30):
        inspection.offer(value, size=500)
        connection = inspection.raw()
        connection.sendall(NEXT)
        connection.recv(1000 * (value % 3))
        connection.close()
    inspection.offer(99)
    with SharedFrames(inspection.path, CLOCK) as camera:
        assert camera.read(5000).image[0, 0, 0] == 99


def test_the_end_of_the_inspection_is_a_lost_camera(inspection: Inspection) -> None:
    inspection.offer(1)
    with SharedFrames(inspection.path, CLOCK) as camera:
        camera.read(5000)
        inspection.server.close()
        with pytest.raises(CameraLostError, match="is it running"):
            camera.read(5000)


def test_without_an_inspection_it_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(CameraOpenError, match="no running edge-inspect shares its pictures"):
        SharedFrames(tmp_path / SOCKET, CLOCK)
    with pytest.raises(CameraOpenError):
        SharedFrames(tmp_path / "nowhere" / SOCKET, CLOCK)


class Impostor:
    """Listens where an inspection should, and answers whatever it likes."""

    def __init__(self, path: Path, answer: bytes, end: bool = True) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._answer, self._end = answer, end
        self._held: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
                connection.recv(1)
                connection.sendall(self._answer)
            except OSError:
                return
            if self._end:
                connection.close()
            else:
                self._held.append(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._held:
            connection.close()


def header(**changes: object) -> bytes:
    fields = {"width": 2, "height": 2, "exposed_ns": 1, "camera": "c", "source": "s", "settings": None} | changes
    text = json.dumps(fields).encode()
    return MAGIC + len(text).to_bytes(4, "big") + text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    answer=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=60).map(lambda rest: MAGIC + rest),
        st.integers(0, 2**32 - 1).map(lambda length: MAGIC + length.to_bytes(4, "big") + b"{}"),
        st.sampled_from(
            [
                header(width=-1), header(width=10**9), header(height=0), header(exposed_ns=-5), header(source="s" * 9000),
                header(width=16384, height=16384), header(settings={"exposure_us": "x"}), header(more=1), header() + b"1234",
            ]
        ),
    )
)  # fmt: skip
def test_no_answer_gets_through_that_is_no_picture(answer: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "impostor.sock"
    path.unlink(missing_ok=True)
    impostor = Impostor(path, answer)
    with SharedFrames(path, CLOCK) as camera, pytest.raises((CameraLostError, CameraTimeoutError)):
        camera.read(2000)
    impostor.close()


def test_a_picture_from_the_future_and_one_that_never_ends(tmp_path: Path) -> None:
    impostor = Impostor(tmp_path / "a", header(exposed_ns=2**62) + bytes(12))
    with SharedFrames(tmp_path / "a", CLOCK) as camera:
        assert camera.read(2000).exposed_ns <= CLOCK.monotonic_ns()
    impostor.close()
    endless = Impostor(tmp_path / "b", header() + bytes(11), end=False)
    with SharedFrames(tmp_path / "b", CLOCK) as camera, pytest.raises(CameraTimeoutError):
        camera.read(50)
    endless.close()


def test_an_inspection_gets_all_of_a_frame_that_it_shares(inspection: Inspection) -> None:
    """A figure that the sharing drops is a check that never strikes."""

    class Own(Camera):
        live = True

        def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
            self._driver_ns, self._still_ns = 5, 7
            return np.zeros((8, 8, 3), np.uint8), 3, "own"

        def _close_impl(self) -> None: ...

    shared, alone = SharedCamera(Own("own"), inspection.server, None).read(10), Own("own").read(10)
    for field in fields(Frame):
        if field.name != "image":
            assert getattr(shared, field.name) == getattr(alone, field.name), field.name
