from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.line.reject_gate import RejectGate
from edge.verdict import Outcome

MS = 1_000_000
EVENTS = st.lists(st.tuples(st.integers(0, 400), st.sampled_from(list(Outcome))), max_size=30)


def test_it_rejects_until_the_first_pass_and_again_when_nothing_renews_it() -> None:
    gate = RejectGate(reject_pulse_ms=100, pass_valid_ms=500)
    assert gate.rejecting(0)
    gate.apply(Outcome.PASS, 10 * MS, 10 * MS)
    assert not gate.rejecting(10 * MS)
    assert gate.next_change_ns(10 * MS) == 510 * MS
    assert not gate.rejecting(510 * MS - 1)
    assert gate.rejecting(510 * MS)


def test_a_pass_during_the_pulse_does_not_cut_it_short() -> None:
    gate = RejectGate(reject_pulse_ms=100, pass_valid_ms=500)
    gate.apply(Outcome.REJECT, 0, 0)
    gate.apply(Outcome.PASS, 40 * MS, 40 * MS)
    assert gate.rejecting(99 * MS)
    assert gate.next_change_ns(40 * MS) == 100 * MS
    assert not gate.rejecting(100 * MS)


def test_a_fault_takes_back_an_earlier_pass() -> None:
    gate = RejectGate(reject_pulse_ms=100, pass_valid_ms=5000)
    gate.apply(Outcome.PASS, 0, 0)
    gate.apply(Outcome.FAULT, 10 * MS, 10 * MS)
    assert gate.rejecting(10 * MS)
    assert gate.rejecting(4000 * MS)


def test_a_pass_is_as_old_as_its_picture() -> None:
    gate = RejectGate(reject_pulse_ms=100, pass_valid_ms=500)
    gate.apply(Outcome.PASS, 400 * MS, 0)
    assert not gate.rejecting(400 * MS)
    assert gate.rejecting(500 * MS)
    gate.apply(Outcome.PASS, 900 * MS, 0)
    assert gate.rejecting(900 * MS)


@given(EVENTS, st.integers(1, 300), st.integers(1, 300), st.integers(0, 1000))
def test_open_only_on_a_fresh_pass_that_no_pulse_covers(
    events: list[tuple[int, Outcome]], pulse: int, valid: int, later: int
) -> None:
    gate, now = RejectGate(pulse, valid), 0
    history: list[tuple[int, Outcome]] = []
    for wait, outcome in events:
        now += wait * MS
        gate.apply(outcome, now, now)
        history.append((now, outcome))
    now += later * MS
    fresh_pass = bool(history) and history[-1][1] is Outcome.PASS and now < history[-1][0] + valid * MS
    in_pulse = any(outcome is not Outcome.PASS and now < at + pulse * MS for at, outcome in history)
    assert gate.rejecting(now) == (not fresh_pass or in_pulse)


@given(EVENTS, st.integers(1, 300), st.integers(1, 300))
def test_the_state_is_constant_until_the_change_it_announces(events: list[tuple[int, Outcome]], pulse: int, valid: int) -> None:
    gate, now = RejectGate(pulse, valid), 0
    for wait, outcome in events:
        now += wait * MS
        gate.apply(outcome, now, now)
    change = gate.next_change_ns(now)
    until = change if change is not None else now + 10_000 * MS
    state = gate.rejecting(now)
    assert all(gate.rejecting(now + (until - now) * part // 10) == state for part in range(10))


def test_a_machine_that_has_run_for_a_while_holds_a_reject_as_long() -> None:
    gate, now = RejectGate(reject_pulse_ms=100, pass_valid_ms=500), 3_000_000_000_000_001
    gate.apply(Outcome.REJECT, now, now)
    assert gate.next_change_ns(now) == now + 100 * MS
    gate.apply(Outcome.PASS, now + MS, now + MS)
    assert gate.rejecting(now + 100 * MS - 1)
    assert not gate.rejecting(now + 100 * MS)
    assert gate.next_change_ns(now + 200 * MS) == now + 501 * MS  # the end of the pulse is past
    assert gate.next_change_ns(now + 501 * MS) is None
