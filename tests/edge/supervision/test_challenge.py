"""A known bad part must be rejected before any part may pass, and only an announced part is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from edge.live.live_reader import LiveReader
from edge.supervision.challenge import HOUR_NS, SECOND_NS, Challenge, ChallengeConfig, Result
from edge.supervision.challenge_announcement import ChallengeAnnouncement
from edge.supervision.challenge_cli import main
from edge.verdict import Outcome

DAILY = ChallengeConfig(every_hours=8, within_s=60)
PASS, REJECT, FAULT = Outcome.PASS, Outcome.REJECT, Outcome.FAULT


def test_none_is_ever_due_where_none_is_configured_and_an_announced_one_counts_nevertheless() -> None:
    challenge = Challenge(ChallengeConfig())
    assert not challenge.due(10**18)
    challenge.announce(0)
    assert challenge.judge(PASS, 1) is Result.FAILED


def test_it_is_due_at_the_start_and_again_after_its_hours() -> None:
    challenge = Challenge(DAILY)
    assert challenge.due(0)
    challenge.announce(5)
    assert challenge.judge(REJECT, 6) is Result.PASSED
    assert not challenge.due(6 + 8 * HOUR_NS - 1)
    assert challenge.due(6 + 8 * HOUR_NS)
    challenge.announce(HOUR_NS)
    challenge.judge(REJECT, HOUR_NS)
    assert not challenge.due(9 * HOUR_NS - 1)
    challenge.demand()
    assert challenge.due(HOUR_NS)


def test_a_reject_that_nobody_announced_proves_nothing() -> None:
    challenge = Challenge(DAILY)
    assert challenge.judge(REJECT, 5) is Result.NONE
    challenge.announce(10)
    assert challenge.judge(REJECT, 9) is Result.NONE  # in flight when it was announced
    assert challenge.awaited(10)
    assert challenge.due(10)


def test_a_challenge_part_that_would_pass_fails_until_another_one_is_rejected() -> None:
    challenge = Challenge(DAILY)
    challenge.announce(0)
    challenge.judge(REJECT, 1)
    challenge.announce(2)
    assert challenge.judge(PASS, 3) is Result.FAILED
    assert challenge.due(3)
    assert challenge.judge(REJECT, 4) is Result.NONE
    challenge.announce(5)
    assert challenge.judge(REJECT, 6) is Result.PASSED
    assert not challenge.due(6)


def test_one_that_cannot_be_judged_is_awaited_further_and_one_that_does_not_come_is_not() -> None:
    challenge = Challenge(DAILY)
    challenge.announce(0)
    assert challenge.judge(FAULT, 1) is Result.AGAIN
    assert challenge.awaited(60 * SECOND_NS)
    assert not challenge.awaited(60 * SECOND_NS + 1)
    assert challenge.judge(PASS, 60 * SECOND_NS + 2) is Result.NONE


class AnyDay(RuleBasedStateMachine):
    """Not due means: within the hours before, an announced part was rejected, and none passed since."""

    def __init__(self) -> None:
        super().__init__()
        self.challenge, self.now = Challenge(DAILY), 0
        self.announced: int | None = None
        self.proved: int | None = None

    @rule(passed=st.integers(0, HOUR_NS))
    def time_passes(self, passed: int) -> None:
        self.now += passed

    @rule()
    def announce(self) -> None:
        self.challenge.announce(self.now)
        self.announced = self.now

    @rule(outcome=st.sampled_from(Outcome), age=st.integers(0, 2 * SECOND_NS))
    def a_part(self, outcome: Outcome, age: int) -> None:
        seen = self.now - age
        counts = self.announced is not None and self.announced <= seen <= self.announced + 60 * SECOND_NS
        if self.announced is not None and seen > self.announced + 60 * SECOND_NS:
            self.announced = None
        result = self.challenge.judge(outcome, seen)
        if not counts:
            assert result is Result.NONE
        elif outcome is Outcome.REJECT:
            assert result is Result.PASSED
            self.proved, self.announced = seen, None
        elif outcome is Outcome.PASS:
            assert result is Result.FAILED
            self.proved = self.announced = None
        assert self.challenge.due(self.now) == (self.proved is None or self.now - self.proved >= 8 * HOUR_NS)


AnyDay.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, derandomize=True)
test_any_day = AnyDay.TestCase


def test_each_announcement_comes_once_and_an_old_one_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    arguments = ["--state", str(state), "--operator", "Ann"]
    monkeypatch.setattr(LiveReader, "status", lambda _: None)
    looking = ChallengeAnnouncement(state)
    assert not looking.came()
    assert main(arguments) == 0
    assert "present the challenge part now" in capsys.readouterr().err
    assert looking.came()
    assert not looking.came()
    assert not ChallengeAnnouncement(state).came()
    assert main(arguments) == 0
    assert looking.came()
    monkeypatch.undo()
    assert main(arguments) == 1
    assert "announced, but" in (said := capsys.readouterr().err)
    assert "edge-inspect does not answer there" in said
    assert looking.came()
    (tmp_path / "file").write_text("")
    assert main(["--state", str(tmp_path / "file" / "state")]) == 2
    assert "choose another --state" in capsys.readouterr().err
