"""Errors of calibration, beside the tree of ``edge.errors``."""

from __future__ import annotations

from edge.errors import InputError


class TooFewImagesError(InputError):
    """The images at hand cannot support the false-reject rate asked for; exit code 3."""

    exit_code = 3
