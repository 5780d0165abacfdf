"""Which edge-inspect this is, for records."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def product_version() -> str:
    """As installed; "unknown" where it runs from a folder."""
    try:
        return version("edge-inspect")
    except PackageNotFoundError:
        return "unknown"
