"""Errors of calibration, beside the tree of ``edge.errors``."""

from __future__ import annotations

from edge.errors import InputError

EXIT_RECALIBRATE = 4
"""No error: `calibrate advise` found that calibrating again would help."""


class TooFewImagesError(InputError):
    """The images at hand cannot support the false-reject rate asked for; exit code 3."""

    exit_code = 3


class PrecisionsDisagreeError(InputError):
    """On this site's images an 8-bit model does not score as the wider one of its bundle does."""
