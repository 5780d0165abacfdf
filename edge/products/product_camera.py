"""The camera as the present product wants it: exposure, gain and white balance of its pictures, shared with who reads along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.cameras.lasting_camera import LastingCamera
from edge.cameras.open_camera import open_calibrated_camera, video_device
from edge.cameras.video_device import VideoDevice
from edge.capture.frame_server import FrameSharing
from edge.capture.frame_sharing import SOCKET
from edge.clock import Clock
from edge.errors import CameraOpenError
from edge.station_config import CameraConfig


class ProductCamera:
    """Opens it once, and has it opened anew where another product wants other settings. state: where it is shared."""

    def __init__(self, state: Path, clock: Clock, say: Callable[[str], None]) -> None:
        self._shared, self._clock = state / SOCKET, clock
        self._sharing = FrameSharing(self._shared, clock, say)
        self._wanted: tuple[CameraConfig, CameraSettings | None] | None = None
        self._device: VideoDevice | None = None

    def open(
        self, config: CameraConfig, settings: CameraSettings | None, wait_for: Callable[[Callable[[], Camera]], Camera]
    ) -> LastingCamera:
        """settings: what the slot's pictures were taken with. wait_for: tries until it is there, or raises CameraOpenError."""
        self._wanted = config, settings
        opener = self._opener(config, settings)
        return LastingCamera(wait_for(opener), opener, self._clock)

    def suit(self, camera: LastingCamera, config: CameraConfig, settings: CameraSettings | None) -> None:
        """From the next read on ``camera`` is as these want it; a folder or a recording is as it is. Never waits."""
        if camera.live and self._wanted != (config, settings):
            self._wanted = config, settings
            camera.change(self._opener(config, settings))

    def close(self) -> None:
        """End the sharing; may be called twice."""
        self._sharing.close()

    def _opener(self, config: CameraConfig, settings: CameraSettings | None) -> Callable[[], Camera]:
        return lambda: self._sharing.shared(
            open_calibrated_camera(self._same_device(config), self._clock, settings, self._shared), settings
        )

    def _same_device(self, config: CameraConfig) -> CameraConfig:
        """``config`` with the number that the camera has now: after it was unplugged that may be another, or another camera's."""
        named = video_device(config)
        if named is None:
            return config
        if self._device is None:
            self._device = VideoDevice.at(named)
            return config
        found = self._device.find()
        if found is None:
            raise CameraOpenError(f"camera {named}: {self._device.describe()} is not there any more; connect it where it was")
        return config.model_copy(update={"source": str(found)})
