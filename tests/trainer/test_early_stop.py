"""Early stop on hand-made sequences of losses, and in whole runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainer.conftest import killed_at
from tests.trainer.test_training_run import config_file, train
from trainer import checkpoint
from trainer.early_stop import EarlyStop
from trainer.train_log import read_metrics
from trainer.train_loop import TrainLoop


def seen(losses: list[float], patience: int) -> EarlyStop:
    """``losses`` at steps 10, 20, …, with the step as the weight, until it stops."""
    stop = EarlyStop(patience)
    for number, loss in enumerate(losses, 1):
        if not stop.stopped:
            stop.see(10 * number, loss, {"w": torch.tensor(10.0 * number)})
    return stop


@pytest.mark.parametrize(
    ("losses", "patience", "best_step", "stopped"),
    [
        ([3, 2, 1], 1, 30, False),
        ([3, 2, 2.5, 2.4], 2, 20, True),
        ([3, 2, 2.5, 1.9], 2, 40, False),
        ([3, 2, 2, 2], 2, 20, True),  # as low is not lower
        ([3, 4, 5, 1], 2, 10, True),  # what comes after the stop is not seen
        ([3, float("nan"), float("nan")], 2, 10, True),
        ([float("nan"), 3], 2, 20, False),
    ],
)
def test_the_lowest_loss_is_kept_and_patience_ends(losses: list[float], patience: int, best_step: int, stopped: bool) -> None:
    stop = seen(losses, patience)
    assert (stop.best_step, stop.stopped, stop.best_weights["w"].item()) == (best_step, stopped, best_step)


def test_the_best_weights_are_a_copy_of_their_moment() -> None:
    stop, weight = EarlyStop(2), torch.ones(1)
    stop.see(1, 1.0, {"w": weight})
    weight += 1
    assert stop.best_weights["w"].item() == 1


def test_its_state_goes_on_where_it_was() -> None:
    stop, other = seen([3, 2, 2.5], 2), EarlyStop(2)
    other.load_state(stop.state())
    assert (other.best_loss, other.best_step, other.evaluations_since) == (2, 20, 1)
    other.see(40, 2.1, {})
    assert other.stopped
    assert other.best_weights["w"].item() == 20


RISING_FROM = 3


@pytest.fixture
def rising(monkeypatch: pytest.MonkeyPatch) -> None:
    """The held-out L2 falls until step 3, and rises from there."""

    def held_out_losses(self: TrainLoop) -> dict[str, float]:
        return {"held_out_feature_loss": 1.0, "held_out_reconstruction_loss": float(abs(self.step - RISING_FROM))}

    monkeypatch.setattr(TrainLoop, "held_out_losses", held_out_losses)


def test_a_run_stops_early_with_its_best_model(demo_dir: Path, tmp_path: Path, rising: None) -> None:
    options = {"steps": 50, "evaluate_every": 1, "patience": 4}
    assert train(demo_dir, "--out", tmp_path / "early", "--config", config_file(tmp_path, **options)) == 0
    record = checkpoint.load(tmp_path / "early")[1]
    assert (record.finished, record.step, record.best_step) == (True, 7, 3)
    assert len(read_metrics(tmp_path / "early" / "metrics.csv")) == 7
    assert train(demo_dir, "--out", tmp_path / "three", "--config", config_file(tmp_path, steps=3)) == 0
    assert checkpoint.load(tmp_path / "three")[1].weights_sha256 == record.weights_sha256


def test_a_run_killed_between_best_and_stop_resumes_to_the_same(
    demo_dir: Path, tmp_path: Path, rising: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_file(tmp_path, steps=50, evaluate_every=1, patience=4)
    assert train(demo_dir, "--out", tmp_path / "straight", "--config", config) == 0
    with killed_at(monkeypatch, 5):
        assert train(demo_dir, "--out", tmp_path / "killed", "--config", config) == 130
    assert checkpoint.load(tmp_path / "killed")[1].step == 4
    assert train(demo_dir, "--out", tmp_path / "killed", "--config", config) == 0
    straight, resumed = (checkpoint.load(tmp_path / name)[1] for name in ("straight", "killed"))
    assert (resumed.weights_sha256, resumed.step, resumed.best_step) == (straight.weights_sha256, 7, 3)
    for name in ("metrics.csv", "report.html", checkpoint.FEATURES):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_held_out_losses_are_the_means_over_held_out_images_and_change_nothing(demo_dir: Path, small: object) -> None:
    from tests.trainer.test_train_loop import loop_for, weights
    from trainer.one_class_loss import one_class_loss
    from trainer.train_config import TrainConfig
    from trainer.train_loop import Cache

    assert isinstance(small, TrainConfig)
    loop = loop_for(small)
    generator = torch.Generator().manual_seed(9)
    fine, deep = (torch.randn(19, *size, generator=generator).half() for size in ((32, 16, 16), (64, 4, 4)))  # more than one 16
    loop.held_out = Cache([fine, deep], torch.rand(19, 3, 8, 8, generator=generator))
    before = weights(loop)
    losses = loop.held_out_losses()
    feature = loop.model.encoder(loop.held_out.frozen(loop.model, slice(19)))
    expected = float(one_class_loss(feature.detach(), loop.model.center, loop.scale))
    assert losses["held_out_feature_loss"] == pytest.approx(expected, rel=1e-5)
    assert 0 < losses["held_out_reconstruction_loss"] < 10
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(loop).items())
