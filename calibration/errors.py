"""Errors of calibration, beside the tree of ``edge.errors``."""

from __future__ import annotations

from edge.errors import InputError

EXIT_RECALIBRATE = 4
"""No error: `calibrate advise` found that calibrating again would help."""


class TooFewImagesError(InputError):
    """The images at hand cannot support the false-reject rate asked for; exit code 3."""

    exit_code = 3
