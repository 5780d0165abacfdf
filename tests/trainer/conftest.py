"""A small training set and configuration; the pretrained weights are the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from tools.demo_images import demo_image
from trainer.train_config import TrainConfig
from trainer.train_loop import TrainLoop

SMALL = {"input_size": 128, "steps": 4, "batch_size": 4, "checkpoint_every": 2, "centers": 16}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.torch)


@pytest.fixture
def small() -> TrainConfig:
    return TrainConfig.model_validate(SMALL)


@pytest.fixture(scope="session")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 good demo images in a plain folder."""
    folder = tmp_path_factory.mktemp("demo") / "good"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(24):
        cv2.imwrite(str(folder / f"{index:02d}.png"), demo_image(random)[0])
    return folder


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """Training within is interrupted, as by Ctrl-C, when it has made ``step`` steps."""
    one_step = TrainLoop.one_step

    def killed(self: TrainLoop) -> dict[str, float]:
        if self.step == step:
            raise KeyboardInterrupt
        return one_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(TrainLoop, "one_step", killed)
        yield
