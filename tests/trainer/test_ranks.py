"""Two real processes (gloo) train what one does with the same global batch; only the first writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from edge.errors import InputError
from tests.trainer.test_train_loop import loop_for
from tests.trainer.test_training_run import config_file, train
from trainer import checkpoint
from trainer.dataset import find_normal_images
from trainer.ranks import Ranks
from trainer.train_config import TrainConfig
from trainer.train_log import read_metrics
from trainer.train_loop import HELD_OUT_METRICS, METRICS

ROUNDING = 2e-5


def torchrun(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """edge-train in two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "trainer.cli"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    root = Path(__file__).parents[2]
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def test_two_processes_equal_one_up_to_rounding(demo_dir: Path, tmp_path: Path) -> None:
    """All shares uneven: a batch of 5, 21 images learned, and a single one held out, of which the second process has none."""
    images = find_normal_images(demo_dir, 0.1)
    odd = tmp_path / "odd"
    odd.mkdir()
    for path, _ in images.learned[:21] + images.held_out[:1]:
        (odd / path.name).write_bytes(path.read_bytes())
    config = config_file(tmp_path, batch_size=5, evaluate_every=2)
    assert train(odd, "--out", tmp_path / "one", "--config", config) == 0
    result = torchrun(odd, "--out", tmp_path / "two", "--config", config)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("held out by content hash") == 1
    assert result.stderr.count("trained:") == 1
    assert "Warning" not in result.stderr
    assert "deprecated" not in result.stderr
    one, two = (read_metrics(tmp_path / name / "metrics.csv") for name in ("one", "two"))
    for name in (*METRICS, *HELD_OUT_METRICS):
        expected, actual = ([float(row[name]) for row in rows if row[name]] for rows in (one, two))
        assert expected
        # L3 is a small square of a gradient, and Adam makes whole steps of gradients that are all rounding.
        rounding = 1e-2 if name == "gradient_penalty" else ROUNDING
        np.testing.assert_allclose(actual, expected, rtol=rounding, err_msg=name)
    assert {path.name.partition(".")[0] for path in (tmp_path / "two").iterdir()} == {
        path.name.partition(".")[0] for path in (tmp_path / "one").iterdir()
    }
    assert len(list((tmp_path / "two" / "tensorboard").iterdir())) == 1
    first, second = (checkpoint.load(tmp_path / name)[0].state_dict() for name in ("one", "two"))
    for name, tensor in first.items():
        difference = (second[name] - tensor).abs()  # a gradient that is all rounding still moves Adam by a whole step
        assert float(difference.max()) <= 4 * 2e-3 and float(difference.mean()) < 1e-5, name  # noqa: PT018
    samples = [safetensors.torch.load_file(tmp_path / name / checkpoint.FEATURES)["group_0"].float() for name in ("one", "two")]
    torch.testing.assert_close(samples[1], samples[0], rtol=1e-3, atol=1e-2)


def test_bad_input_of_two_processes_is_still_one_line(demo_dir: Path, tmp_path: Path) -> None:
    result = torchrun(demo_dir, "--out", tmp_path / "run", "--config", config_file(tmp_path, batch_size=1))
    assert result.returncode != 0
    assert result.stderr.count("a batch of 1 images cannot be shared by 2 processes") == 1
    assert not (tmp_path / "run").exists()


def test_one_process_takes_everything() -> None:
    ranks, batch = Ranks(gpu=False), torch.tensor([4, 1, 3])
    assert (ranks.first, ranks.count, ranks.weight(batch)) == (True, 1, 1.0)
    assert torch.equal(ranks.share(batch), batch)
    assert torch.equal(ranks.gather(batch[None]), batch[None])
    assert ranks.mean([batch])[0] is batch


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_are_the_batch_and_their_weighted_means_its_mean(count: int) -> None:
    batch, mean = torch.tensor([7.0, 1.0, 4.0, 4.0, 9.0]), 0.0
    seen = []
    for rank in range(count):
        ranks = Ranks(gpu=False)
        ranks.rank, ranks.count = rank, count
        share = ranks.share(batch)
        seen += share.tolist()
        mean += ranks.weight(batch) * float(share.mean()) / count
    assert sorted(seen) == sorted(batch.tolist())
    assert mean == pytest.approx(5.0)


def test_mixed_precision_stays_near_full_and_keeps_weights_in_float32(small: TrainConfig) -> None:
    """In bfloat16, which a CPU has too."""
    losses = []
    for precision in ("32", "bf16-mixed"):
        loop = loop_for(small.model_copy(update={"precision": precision}))
        for _ in range(3):
            metrics = loop.one_step()
        losses.append([metrics["feature_loss"], metrics["reconstruction_loss"]])
        assert all(tensor.dtype == torch.float32 for tensor in loop.model.state_dict().values())
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)


def test_a_scaled_loss_gives_the_same_updates_and_its_scale_is_resumed(small: TrainConfig) -> None:
    """What 16-mixed does on a GPU, with float32 below it."""
    plain, scaled, resumed = (loop_for(small) for _ in range(3))
    for loop in (scaled, resumed):
        loop.ranks.scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    for _ in range(3):
        plain.one_step()
        scaled.one_step()
    for name, tensor in plain.model.state_dict().items():
        torch.testing.assert_close(scaled.model.state_dict()[name], tensor, rtol=0, atol=1e-4, msg=name)
    scaled.ranks.scaler.update(64.0)
    resumed.load_state(scaled.state())
    assert resumed.ranks.scaler.get_scale() == 64.0


def test_half_precision_without_a_gpu_is_told() -> None:
    with pytest.raises(InputError, match="16-mixed needs a GPU"):
        Ranks("16-mixed", gpu=False)


def test_another_view_of_the_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = Ranks(gpu=False)
    ranks.rank, ranks.count = 1, 2
    monkeypatch.setattr(ranks.fabric, "broadcast", lambda _: (3, ["a"]))
    ranks.require_same((3, ["a"]), "images")
    with pytest.raises(InputError, match="process 1 sees other images than process 0"):
        ranks.require_same((3, ["b"]), "images")
