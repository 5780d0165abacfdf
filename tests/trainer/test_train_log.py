"""TensorBoard's own reader reads what training wrote, also after a resume; without it there is metrics.csv."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from tests.trainer.test_training_run import config_file, train
from trainer.train_log import TrainLog, read_metrics
from trainer.train_loop import HELD_OUT_METRICS, METRICS


def metrics(step: int, *, evaluated: bool = False) -> dict[str, float]:
    values: dict[str, float] = {name: step + number / 8 for number, name in enumerate(METRICS)}
    return values | {"step": step} | (dict.fromkeys(HELD_OUT_METRICS, 0.5) if evaluated else {})


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    accumulator = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_tensorboard_reads_what_a_run_wrote(demo_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train(demo_dir, "--out", out, "--config", config_file(tmp_path, evaluate_every=2)) == 0
    rows = read_metrics(out / "metrics.csv")
    for name, tag in (("feature_loss", "feature_loss/train"), ("held_out_reconstruction_loss", "reconstruction_loss/held_out")):
        expected = [(int(row["step"]), pytest.approx(float(row[name]), rel=1e-6)) for row in rows if row[name]]
        assert scalars(out / "tensorboard", tag) == expected
    assert [bool(row["held_out_feature_loss"]) for row in rows] == [False, True, False, True]


def test_a_resumed_log_forgets_what_came_after_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Files of one second and one process are told apart by a count, and read in the order of their names: 10 before 9.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))
    with TrainLog(tmp_path, 0, enabled=True, tensorboard=True) as log:
        for step in (1, 2, 3):
            log.write(metrics(step, evaluated=step == 2))
    with TrainLog(tmp_path, 2, enabled=True, tensorboard=True) as log:
        log.write(metrics(3))
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.csv")] == ["1", "2", "3"]
    assert [step for step, _ in scalars(tmp_path / "tensorboard", "feature_loss/train")] == [1, 2, 3]


@pytest.mark.parametrize("torn", ["15", "2,0.5,0.2", "2,0.5,0.25,0,1,,", "\0\0\0\0", "\0,\0\r\n"])
def test_each_step_is_in_the_file_at_once_and_a_torn_line_is_none(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "metrics.csv"
    with TrainLog(tmp_path, 0, enabled=True, tensorboard=False) as log:
        log.write(metrics(1))
        assert [row["step"] for row in read_metrics(path)] == ["1"]
    with open(path, "a", newline="") as file:
        file.write(torn)
    assert [row["step"] for row in read_metrics(path)] == ["1"]
    with TrainLog(tmp_path, 150, enabled=True, tensorboard=False) as log:
        log.write(metrics(151))
    assert [row["step"] for row in read_metrics(path)] == ["1", "151"]


def test_a_penalty_that_is_not_computed_leaves_no_point(tmp_path: Path) -> None:
    with TrainLog(tmp_path, 0, enabled=True, tensorboard=True) as log:
        log.write(metrics(1) | {"gradient_penalty": float("nan")})
    tags = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()["scalars"]
    assert "feature_loss/train" in tags
    assert "gradient_penalty/train" not in tags


def test_ranks_after_the_first_write_nothing(tmp_path: Path) -> None:
    with TrainLog(tmp_path, 0, enabled=False, tensorboard=True) as log:
        log.write(metrics(1))
    assert not list(tmp_path.iterdir())


def test_it_can_be_left_out_and_a_missing_package_is_told_first(
    demo_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_file(tmp_path)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert train(demo_dir, "--out", tmp_path / "run", "--config", config) == 2
    assert "--no-tensorboard" in capsys.readouterr().err
    assert train(demo_dir, "--out", tmp_path / "run", "--config", config, "--no-tensorboard") == 0
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert (tmp_path / "run" / "metrics.csv").is_file()
