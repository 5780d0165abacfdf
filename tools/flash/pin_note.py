"""Which pins the station uses, for whoever sets the pin mux: from JetPack 6 on nothing does it when a line is opened."""

from __future__ import annotations

from pathlib import Path

from edge.doctor.lines import station_inputs, station_outputs
from edge.station_config import StationConfig


def pin_note(station: StationConfig, overlay: Path | None) -> str:
    """A text that lies on the device."""
    outputs, inputs = station_outputs(station), station_inputs(station)
    lines = [
        "Pins of this station. Each must be muxed as GPIO; one that is not takes writes and moves nothing, without an error.",
        "",
    ]
    lines += [f"  output  {name:10} {config.describe()}, active {config.active}" for name, config in outputs.items()]
    lines += [f"  input   {name:10} {config.describe()}, active {config.active}" for name, config in inputs.items()]
    if not outputs and not inputs:
        lines.append("  none")
    lines.append("")
    if overlay is not None:
        lines.append(
            f"The overlay /boot/{overlay.name} is for them. Choose it once: sudo /opt/nvidia/jetson-io/jetson-io.py, and reboot."
        )
    else:
        lines.append(
            "No overlay was given. Set them with sudo /opt/nvidia/jetson-io/jetson-io.py, or in the BSP's pin mux, and reboot."
        )
    lines += ["Then prove each with: edge-doctor --loopback OUT:IN (docs/wiring.md).", ""]
    return "\n".join(lines)
