"""TensorRT itself: imported where it is needed, its version, its log, and our own table of its types."""

from __future__ import annotations

import logging
from collections import deque
from functools import cache
from typing import Any

import numpy as np

from edge.errors import ConfigError

MISSING = (
    "TensorRT or PyCUDA is not installed ({reason}); on a Jetson use a venv with --system-site-packages and run: "
    "pip install 'edge-inspect[jetson]'; elsewhere calibrate and edge-inspect take --engine onnxruntime"
)
KEPT_ERRORS = 8
logger = logging.getLogger(__name__)


def import_tensorrt() -> Any:
    """The module ``tensorrt``; raises ConfigError with the remedy where there is none."""
    try:
        import tensorrt
    except (ImportError, OSError) as error:  # OSError: a shared library that does not load
        raise ConfigError(MISSING.format(reason=one_line(error))) from error
    return tensorrt


def version(tensorrt: Any) -> tuple[int, int]:
    """(major, minor)."""
    major, minor = tensorrt.__version__.split(".")[:2]
    return int(major), int(minor)


def numpy_types(tensorrt: Any) -> dict[Any, np.dtype[Any]]:
    """The types an inspection graph has at its edges. ``tensorrt.nptype`` breaks with a newer numpy."""
    kinds = tensorrt.DataType
    return {kinds.FLOAT: np.dtype(np.float32), kinds.UINT8: np.dtype(np.uint8)}


@cache
def collecting_log(tensorrt: Any) -> Any:
    """The process's ILogger, which keeps the last errors for ``errors_in_words``; everything goes to Python's logging as well.

    TensorRT takes the first logger it is given and ignores any later one, so there is one, and it lives as long as the process.
    """

    class Log(tensorrt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=KEPT_ERRORS)

        def log(self, severity: Any, msg: str) -> None:
            is_error = severity in (tensorrt.ILogger.ERROR, tensorrt.ILogger.INTERNAL_ERROR)
            if is_error:
                self.errors.append(msg)
            logger.log(logging.INFO if is_error or severity == tensorrt.ILogger.WARNING else logging.DEBUG, "TensorRT: %s", msg)

        def errors_in_words(self) -> str:
            """What went wrong since the last call, in one line."""
            words = "; ".join(dict.fromkeys(" ".join(error.split()) for error in self.errors))
            self.errors.clear()
            return words or "TensorRT gave no reason"

    return Log()


def one_line(error: BaseException) -> str:
    """An exception's text in one line; its kind where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
