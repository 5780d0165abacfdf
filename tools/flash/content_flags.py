"""Flags that say what a device gets, the same for plan, stage, flash, provision and verify."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.console.flags import whole_number
from tools.flash.device_contents import Wanted


def wanted_of(options: argparse.Namespace) -> Wanted:
    """What the flags of ``add_content_flags`` say."""
    return Wanted(
        options.bundle, options.station, options.wheelhouse, options.line, options.trusted_keys, options.admin,
        options.authorized_keys, options.power_mode, options.pin_overlay,
    )  # fmt: skip


def add_content_flags(parser: argparse.ArgumentParser) -> None:
    """What a device gets."""
    parser.add_argument("--bundle", type=Path, required=True, help="model bundle, as edge-export writes it")
    parser.add_argument("--station", type=Path, required=True, help="the line's station file")
    parser.add_argument("--wheelhouse", type=Path, required=True, help="folder made by edge-flash wheelhouse")
    parser.add_argument("--line", default="line1", help="name of the line: edge-inspect@NAME (default: %(default)s)")
    parser.add_argument("--trusted-keys", type=Path, metavar="FILE", help="public keys; then the device refuses other bundles")
    parser.add_argument("--admin", metavar="NAME", help="account with sudo, which logs in by key alone")
    parser.add_argument("--authorized-keys", type=Path, metavar="FILE", help="public keys of that account")
    parser.add_argument(
        "--power-mode", type=whole_number(0, 99), metavar="N", help="of nvpmodel, set at each boot, with jetson_clocks"
    )
    parser.add_argument("--pin-overlay", type=Path, metavar="DTBO", help="device tree overlay that muxes the station's pins")
    parser.add_argument("--jetpack-debs", type=Path, metavar="DIR", help="JetPack's packages, for a site without internet")
    parser.add_argument("--jetpack", choices=("apt", "installed"), help="the device fetches them itself; or has them")
