"""The station's lines: are they there, and free? Nothing is requested or driven here, but for the loop-back that was asked for."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from edge.clock import Clock
from edge.doctor.finding import Findings
from edge.errors import ConfigError, LineOpenError
from edge.gpio.board_pins import line_address
from edge.gpio.gpiod_chips import CONSUMER, FoundLine, find_line, import_gpiod
from edge.gpio.gpiod_inputs import GpiodInputs
from edge.gpio.libgpiod import GpiodLine
from edge.line.line_config import OUTPUTS, SAFE, InputConfig, LineConfig
from edge.station_config import StationConfig

TOGGLES = 8
SETTLE_MS = 20


def station_outputs(station: StationConfig) -> dict[str, LineConfig]:
    """Those the station has, by name."""
    named = {name: getattr(station.lines, name) for name in OUTPUTS}
    return {name: config for name, config in named.items() if config is not None}


def station_inputs(station: StationConfig) -> dict[str, InputConfig]:
    """Those the station has, by name."""
    inputs = station.trigger.inputs()
    if station.reject_confirm is not None:
        inputs["confirm"] = station.reject_confirm.sensor
    return inputs


def check_lines(station: StationConfig, findings: Findings) -> None:
    """Chip, name and holder of each; none is touched."""
    outputs, inputs = station_outputs(station), station_inputs(station)
    if station.lines.backend == "recording":
        findings.warning("lines", "recording: a stand-in that drives nothing", "say `lines: backend: gpiod` for a real line")
        return
    if "reject" not in outputs:
        findings.failed("reject line", "none is configured, so a bad part could not be stopped", "name it under `lines: reject:`")
    if not outputs and not inputs:
        return
    with findings.of("gpiod"):
        gpiod = import_gpiod()
        findings.ok("gpiod", f"{gpiod.__version__}, libgpiod {gpiod.api_version}")
        places: dict[tuple[str, int], str] = {}
        for name, config in [*outputs.items(), *inputs.items()]:
            what = f"{name} {'line' if name in outputs else 'input'}"
            with findings.of(what):
                words = f"{what} ({config.describe()})"
                found = find_line(gpiod, line_address(config, words, output=name in outputs), words)
                first = places.setdefault((found.path, found.offset), name)
                if first != name:
                    findings.failed(what, f"is the same line as {first}: {_where(found)}", "give each a line of its own")
                    continue
                _tell_holder(what, config, found, findings)


def _tell_holder(what: str, config: LineConfig, found: FoundLine, findings: Findings) -> None:
    where = f"{config.describe()} = {_where(found)}, active {config.active}"
    if found.user == CONSUMER:
        findings.ok(what, f"{where}; held by edge-inspect, which runs")
    elif found.user:
        findings.failed(what, f"{where}; held by {found.user!r}", "stop that program, or take another line")
    else:
        findings.ok(what, f"{where}; free")


def check_loopback(pair: str, station: StationConfig, clock: Clock, findings: Findings) -> None:
    """``OUT:IN``: does the input follow the output? Each is a name of the station's lines or BOARD_n; OUT is driven."""
    what = f"loop-back {pair}"
    with findings.of(what):
        out_name, separator, in_name = pair.partition(":")
        if not separator:
            raise ConfigError(f"--loopback {pair!r}: expected OUT:IN, such as reject:eye or BOARD_7:BOARD_11; correct it")
        out_config = _named(out_name, station_outputs(station), "output")
        in_config = _named(in_name, station_inputs(station), "input")
        # No debounce and active high: the levels themselves are compared.
        in_config = InputConfig.model_validate({**in_config.model_dump(), "active": "high", "debounce_ms": 0})
        _require_free(out_name, out_config, output=True)
        _require_free(in_name, in_config, output=False)
        follows = _follows(out_name, out_config, in_config, clock)
        if all(follows):
            findings.ok(what, f"the input followed {TOGGLES} changes")
        elif not any(follows):
            findings.ok(what, f"the input followed {TOGGLES} changes, inverted (an inverting optocoupler?)")
        else:
            findings.failed(
                what,
                f"the input followed {sum(follows)} of {TOGGLES} levels",
                "connect the two; if they are, the pin is not muxed as GPIO: set it with Jetson-IO and reboot",
            )


def _follows(out_name: str, out_config: LineConfig, in_config: InputConfig, clock: Clock) -> list[bool]:
    never = threading.Event()
    follows = []
    safe = SAFE.get(out_name, False)
    with GpiodLine(out_name, out_config, safe) as line, GpiodInputs({"in": in_config}, clock) as inputs:
        for index in range(TOGGLES):
            value = safe == bool(index % 2)
            line.set(value)
            clock.wait(never, SETTLE_MS * 1_000_000)
            high = value == (out_config.active == "high")
            follows.append(inputs.levels()["in"] == high)
    return follows


def _named(name: str, known: Mapping[str, LineConfig], kind: str) -> LineConfig:
    for one, config in known.items():
        if one.replace(" ", "_").lower() == name.strip().replace(" ", "_").lower():
            return config
    try:
        return LineConfig(line=name.strip())
    except ValueError:
        there = ", ".join(one.replace(" ", "_") for one in known) or "none"
        raise ConfigError(
            f"--loopback: the station has no {kind} {name!r} (it has: {there}); name one of them, or a pin such as BOARD_7"
        ) from None


def _require_free(name: str, config: LineConfig, *, output: bool) -> None:
    found = find_line(import_gpiod(), line_address(config, name, output=output), name)
    if found.user:
        raise LineOpenError(f"{name} ({_where(found)}) is held by {found.user!r}, and was not touched; stop that program first")


def _where(found: FoundLine) -> str:
    return f"{found.path} line {found.offset}"
