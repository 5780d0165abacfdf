"""Every error the toolkit raises, as one tree.

    EdgeInspectError
    ├── InputError            what a person gave is wrong: one line, exit code 2
    │   ├── ConfigError       a YAML file or flag
    │   ├── ImageError        an image or a folder of images
    │   ├── BundleError       a model bundle
    │   │   ├── HashMismatchError
    │   │   ├── NewerFormatError
    │   │   └── UntrustedBundleError
    │   ├── PlanError         a TensorRT plan: cannot be built, or is not to be trusted
    │   │   └── BuildStoppedError   told to stop while building one
    │   ├── SlotError         a calibration slot
    │   │   └── NotCalibratedError
    │   ├── OutputError       a place to write to
    │   ├── RecordsError      part records, an audit trail or a recorded run
    │   ├── NotRunningError   an edge-inspect that should run beside
    │   ├── CameraOpenError   a camera that does not open
    │   ├── LineOpenError     a GPIO line that does not exist or is in use
    │   └── FlashError        a device cannot be flashed, provisioned or updated as asked
    ├── CameraError           while running; each becomes a FAULT verdict, except the end of a recording
    │   ├── CameraTimeoutError
    │   ├── CameraLostError
    │   ├── FrameError        a frame came, and is not usable
    │   └── EndOfStream       a file or folder has no more images
    ├── EngineError           while running; becomes a FAULT verdict
    ├── LineError             while running; the line can no longer be trusted
    └── PlantError            what the plant is told by: a broker, a PLC, a server; a weakness, and never a part's

A message says what was expected, what came and what to do, in one line.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INPUT = 2


class EdgeInspectError(Exception):
    """Base of every error raised on purpose."""


class InputError(EdgeInspectError):
    """What a person gave cannot be used; shown as one line, exit code 2."""


class ConfigError(InputError):
    """A YAML file or a flag has an unknown key, a wrong type or a value out of range."""


class ImageError(InputError):
    """An image file or a folder of images cannot be used."""


class BundleError(InputError):
    """A model bundle is missing a file or contradicts itself."""


class HashMismatchError(BundleError):
    """A file of a bundle or slot is not the one its manifest names."""


class NewerFormatError(BundleError):
    """A bundle was written by a newer version of the toolkit."""


class UntrustedBundleError(BundleError):
    """A bundle is not signed by a key this device trusts."""


class PlanError(InputError):
    """No TensorRT plan can be built or trusted for this model on this machine."""


class BuildStoppedError(PlanError):
    """Told to stop before the plan was finished; nothing of it was kept."""


class SlotError(InputError):
    """A calibration slot cannot be used with this bundle, precision or runtime."""


class NotCalibratedError(SlotError):
    """There is no calibration for this bundle on this machine."""


class OutputError(InputError):
    """A result cannot be written where it was asked for."""


class RecordsError(InputError):
    """Part records, an audit trail or a recorded run cannot be read, or belong to another version or process."""


class NotRunningError(InputError):
    """No edge-inspect answers where one should run, or one of another version."""


class CameraOpenError(InputError):
    """The camera cannot be opened."""


class LineOpenError(InputError):
    """A GPIO chip or line does not exist, is in use, or may not be used."""


class FlashError(InputError):
    """A device cannot be flashed, provisioned or updated as asked."""


class CameraError(EdgeInspectError):
    """The camera failed while running."""


class CameraTimeoutError(CameraError):
    """No frame came within the time allowed; the camera may still come back."""


class CameraLostError(CameraError):
    """The camera is gone; it must be opened again."""


class FrameError(CameraError):
    """A frame came but cannot be inspected, for instance a truncated image file."""


class EndOfStream(CameraError):  # noqa: N818 - an end, not an error, as in StopIteration
    """A folder or a recording has no more images."""


class EngineError(EdgeInspectError):
    """The engine failed, or was used against its contract."""


class LineError(EdgeInspectError):
    """A GPIO line could not be driven while running."""


class PlantError(EdgeInspectError):
    """A peer in the plant is away, refuses or breaks its protocol."""
