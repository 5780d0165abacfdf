"""From the station's configuration to a trigger."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge.clock import Clock
from edge.gpio.input_lines import Edge
from edge.gpio.open_line import Backend, open_inputs
from edge.gpio.recording_inputs import parts_passing
from edge.line.trigger_config import TriggerConfig
from edge.triggers.base import ConveyorListener, Trigger
from edge.triggers.conveyor import A, B, Conveyor
from edge.triggers.encoder import EncoderTrigger
from edge.triggers.photo_eye import EYE, PhotoEye
from edge.triggers.pitch_watch import PitchWatch
from edge.triggers.software import SOCKET, SoftwareTrigger


def open_trigger(
    config: TriggerConfig, backend: Backend, state: Path, clock: Clock, listener: ConveyorListener | None = None
) -> Trigger | None:
    """The trigger, or None for ``kind: free``, where every picture is a part. Raises LineOpenError.

    state: the folder of the software trigger's socket. listener: told of the conveyor within the trigger's ``wait``.
    """
    if config.kind == "free":
        return None
    pitch = None
    if config.expected_pitch_counts is not None:
        pitch = PitchWatch(config.expected_pitch_counts, config.pitch_tolerance)
    elif config.expected_pitch_ms is not None:
        pitch = PitchWatch(config.expected_pitch_ms * 1e6, config.pitch_tolerance)
    if config.kind == "software":
        return SoftwareTrigger(state / SOCKET, clock, pitch)
    script: Iterable[Edge] = ()
    if config.recording_pitch_ms is not None:
        script = parts_passing(EYE, clock.monotonic_ns(), config.recording_pitch_ms)
    only = {EYE: config.edge == "begin"}
    if config.encoder is not None and config.encoder.b is None:
        only[A] = True
    inputs = open_inputs(config.inputs(), backend, clock, script, only)
    try:
        conveyor = None
        if config.encoder is not None:
            levels = inputs.levels()
            conveyor = Conveyor(levels[A], levels.get(B), reverse=config.encoder.reverse, listener=listener)
        if config.kind == "encoder":
            assert conveyor is not None
            assert config.every_counts is not None
            return EncoderTrigger(inputs, conveyor, config.every_counts)
        return PhotoEye(
            inputs, begin=config.edge == "begin", conveyor=conveyor, pitch=pitch,
            pitch_in_counts=config.expected_pitch_counts is not None,
        )  # fmt: skip
    except BaseException:
        inputs.close()
        raise
