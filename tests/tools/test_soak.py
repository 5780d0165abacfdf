"""A short soak of the real stages, and what it says when the account does not come out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.clock import ManualClock
from edge.line.part_tracker import Action, Finished, Part, PartTiming
from edge.verdict import Outcome, Verdict
from tools.benchmark.cli import main
from tools.benchmark.soak_account import Account, Soak
from tools.benchmark.soak_scene import ANY_TIME, FAULT_SHARE, MOST_WAITING, Kind, Script, ScriptedTrigger

MS = 1_000_000


def test_every_part_of_a_soak_with_faults_is_accounted_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["soak", "--parts", "300", "--faults", "--out", str(tmp_path)])
    result = json.loads(capsys.readouterr().out)
    assert code == 0, result
    assert result["failures"] == []
    assert (result["verdicts"], result["actions"], result["records"], result["triggers"]["accepted"]) == (300, 300, 300, 300)
    assert result["engine"].startswith("STAND-IN")
    assert {"good", "bad", "lost", "too close"} <= set(result["kinds"])
    for kind, counts in result["kinds"].items():
        if kind not in ("good", "double trigger"):
            assert counts.get("passed", 0) == counts.get("PASS", 0) == 0 or kind == "too close", kind
    assert result["kinds"]["good"]["PASS"] > 100  # a standstill of the machine costs some; rejecting all would prove nothing
    assert result["kinds"]["bad"].get("REJECT", 0) > 0
    assert json.loads((tmp_path / "soak.json").read_text()) == result
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_soak_with_a_bundle_runs_its_engine(calibrated_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["soak", "--bundle", str(calibrated_dir), "--parts", "40", "--rate", "40"])
    result = json.loads(capsys.readouterr().out)
    assert "onnxruntime" in result["engine"]
    assert result["records"] == 40
    assert result["silent_passes"] == []


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "1001", "fast"])
def test_a_rate_that_cannot_be_is_refused(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["soak", "--rate", rate])
    assert "expected parts a second" in capsys.readouterr().err


def verdict(part_id: int, outcome: Outcome) -> Verdict:
    return Verdict(part_id, outcome, "", "", 0, 0, 1, 0, None, None, None)


def account(kinds: list[Kind]) -> Account:
    script = Script(len(kinds), 7, faults=False, seed=0)
    script.kinds[:] = kinds
    return Account(script, 7)


@pytest.mark.parametrize(
    ("kind", "said", "became", "silent"),
    [
        (Kind.GOOD, Outcome.PASS, Outcome.PASS, False),
        (Kind.BAD, Outcome.PASS, Outcome.PASS, True),
        (Kind.GOOD, Outcome.FAULT, Outcome.PASS, True),
        (Kind.GOOD, Outcome.PASS, Outcome.FAULT, True),
        (Kind.NAN, Outcome.PASS, Outcome.PASS, True),
        (Kind.DOUBLE_TRIGGER, Outcome.PASS, Outcome.PASS, False),
    ],
)
def test_a_part_that_passes_but_must_not_is_found(kind: Kind, said: Outcome, became: Outcome, silent: bool) -> None:
    counted = account([Kind.GOOD, kind])
    counted.judged(verdict(8, said))
    counted.left(Finished(Part(8, 0, 0, None, 0, 0, became), Action.PASSED))
    assert counted.silent_passes() == ([8] if silent else [])


WHOLE = Soak(
    engine="", parts=3, seconds=1.0, pace="", timing_ms={}, triggers={"given": 4, "accepted": 3, "the sensor bounced": 1},
    verdicts=3, actions=3, records=3, records_that_differ=0, dropped=0, silent_passes=[], kinds={}, late_ms={}, real_time=False,
    verdict_ms={}, memory_mb={"at 10 %": 50.0, "at the end": 51.0, "growth": 1.0}, said=[],
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdicts": 2}, "2 verdicts of 3"),
        ({"verdicts": 4}, "4 verdicts of 3"),
        ({"actions": 2}, "2 actions"),
        ({"records": 4}, "4 records"),
        ({"triggers": {"given": 4, "accepted": 3}}, "triggers"),
        ({"silent_passes": [9]}, "part 9"),
        ({"records_that_differ": 1}, "1 records differ"),
        ({"dropped": 1}, "1 were dropped"),
        ({"memory_mb": {"growth": 5.0}}, "memory grew by 5.0"),
    ],
)
def test_what_does_not_come_out_is_said(change: dict[str, object], words: str) -> None:
    assert WHOLE.failures == []
    (failure,) = replace(WHOLE, **change).failures  # type: ignore[arg-type]
    assert words in failure


def test_the_kinds_of_fault_come_equally_often_and_the_same_for_a_seed() -> None:
    def kinds(seed: int) -> list[Kind]:
        script = Script(100_000, 0, faults=True, seed=seed)
        return [script.next() for _ in range(20_000)]

    drawn = kinds(1)
    counts = [drawn.count(kind) for kind in ANY_TIME]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == pytest.approx(20_000 * FAULT_SHARE, rel=0.15)
    assert kinds(1) == drawn != kinds(2)
    assert set(np.unique([Script(9, 0, faults=False, seed=1).next() for _ in range(99)])) <= {Kind.GOOD, Kind.BAD}


def test_without_a_rate_the_next_part_waits_for_verdicts() -> None:
    timing = PartTiming(deadline=40 * MS, delay=50 * MS, pulse=4 * MS, debounce=MS, spacing=5 * MS, tolerance=MS)
    clock, script = ManualClock(), Script(9, 0, faults=False, seed=0)
    trigger = ScriptedTrigger(script, timing, None, clock, lambda: None)
    times = []
    for part_id in range(MOST_WAITING):
        (event,) = trigger.wait(0.1)
        trigger.accepted(Part(part_id, event.at_ns, 0, None, None, None))
        times.append(event.at_ns)
    assert times[1] - times[0] == timing.spacing
    assert trigger.wait(0.1) == []
    script.judged += 1
    assert len(trigger.wait(0.1)) == 1
