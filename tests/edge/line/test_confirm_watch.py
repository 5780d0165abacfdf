"""The sensor behind the arm sees a part leave while the arm still strikes: before anybody could say that it was rejected."""

from __future__ import annotations

import threading

from edge.clock import SystemClock
from edge.gpio.input_lines import Edge
from edge.gpio.recording_inputs import RecordingInputs
from edge.line.confirm_watch import SENSOR, ConfirmWatch
from edge.line.line_config import InputConfig, RejectConfirmConfig
from edge.line.reject_confirm import Confirm, Confirmation

PULSE_MS = 40
MS = 1_000_000


def watched(edge_after_ms: float) -> list[Confirmation]:
    """One reject, and one edge so long after the begin of its pulse; the pulse is told when it is over, as the tracker does."""
    clock, told, done = SystemClock(), list[Confirmation](), threading.Event()

    def tell(confirmation: Confirmation) -> None:
        told.append(confirmation)
        if confirmation.part_id is not None:
            done.set()

    inputs = RecordingInputs([SENSOR], clock)
    config = RejectConfirmConfig(sensor=InputConfig(chip="c", line="l"), from_ms=0, to_ms=60)
    watch = ConfirmWatch(inputs, config, PULSE_MS, tell, lambda why: None, clock)
    begin_ns = clock.monotonic_ns()
    inputs.play(Edge(SENSOR, begin_ns + round(edge_after_ms * MS), True))
    clock.wait(threading.Event(), PULSE_MS * MS)
    watch.pulse(7, begin_ns)
    assert done.wait(5)
    watch.close()
    return told


def test_a_part_that_leaves_while_the_arm_still_strikes_is_confirmed() -> None:
    assert [one.confirm for one in watched(5)] == [Confirm.CONFIRMED]


def test_an_edge_before_the_pulse_confirms_nothing() -> None:
    assert [one.confirm for one in watched(-5)] == [Confirm.UNEXPECTED, Confirm.NOT_CONFIRMED]
