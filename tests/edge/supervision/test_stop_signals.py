from __future__ import annotations

import os
import signal
import threading

import pytest

from edge.supervision.stop_signals import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_sets_the_event_and_nothing_else(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopSignals() as signals:
        assert not signals.stop.is_set()
        os.kill(os.getpid(), number)
        assert signals.stop.wait(5)
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_burst_while_others_wait_for_the_event_ends_and_other_signals_are_no_stop() -> None:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    with StopSignals() as signals:
        waiting = [threading.Thread(target=signals.stop.wait) for _ in range(4)]
        for thread in waiting:
            thread.start()
        for _ in range(200):
            os.kill(os.getpid(), signal.SIGUSR1)
        assert not signals.stop.is_set()
        for _ in range(200):
            os.kill(os.getpid(), signal.SIGTERM)
        for thread in waiting:
            thread.join(5)
        assert signals.stop.is_set()
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def test_it_may_be_entered_again_and_leaves_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with StopSignals() as signals:
            pass
        assert not signals.stop.is_set()
    assert len(os.listdir("/proc/self/fd")) == before
