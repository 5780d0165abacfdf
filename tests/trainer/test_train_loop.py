"""The three updates, each touching only what it may; the same seed the same model; stop and go on as if nothing had been."""

from __future__ import annotations

import copy

import pytest
import torch

from trainer.model import Model
from trainer.one_class_loss import CollapseError, guard_against_collapse, one_class_loss
from trainer.train_config import TrainConfig
from trainer.train_loop import Cache, TrainLoop


def loop_for(config: TrainConfig) -> TrainLoop:
    torch.manual_seed(config.seed)
    model = Model(config)
    generator = torch.Generator().manual_seed(5)
    fine = torch.randn(12, 32, config.grid, config.grid, generator=generator).half()
    deep = torch.randn(12, 64, config.grid // 4, config.grid // 4, generator=generator).half()
    image = torch.rand(12, 3, config.decoder_grid, config.decoder_grid, generator=generator)
    return TrainLoop(model, Cache([fine, deep], image))


def weights(loop: TrainLoop) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in loop.model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name.partition(".")[0] + "." + name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(("update", "may_change"), [(0, "encoder.head"), (2, "decoder")])
def test_l1_changes_phi_only_and_l3_psi_only(small: TrainConfig, update: int, may_change: str) -> None:
    """With the other two optimizers standing still, a step changes what this update owns and nothing else."""
    loop = loop_for(small)
    for number, optimizer in enumerate(loop.optimizers):
        if number != update:
            optimizer.step = lambda *_: None  # type: ignore[method-assign,assignment]
    before = weights(loop)
    loop.one_step()
    names = changed(before, weights(loop))
    assert names
    assert all(name.startswith(may_change) for name in names)


def test_l2_changes_both_and_the_trunk_never_changes(small: TrainConfig) -> None:
    loop = loop_for(small)
    before = weights(loop)
    loop.one_step()
    names = changed(before, weights(loop))
    assert "encoder.head" in names
    assert any(name.startswith("decoder") for name in names)
    assert not any(name.startswith(("encoder.trunk", "encoder.project")) for name in names)


def test_the_same_seed_gives_the_same_model_another_does_not(small: TrainConfig) -> None:
    runs = []
    for seed in (0, 0, 1):
        loop = loop_for(small.model_copy(update={"seed": seed}))
        for _ in range(3):
            loop.one_step()
        runs.append(weights(loop))
    assert not changed(runs[0], runs[1])
    assert changed(runs[0], runs[2])


def test_a_resumed_loop_goes_on_as_if_it_had_not_stopped(small: TrainConfig) -> None:
    straight, first = loop_for(small), loop_for(small)
    for _ in range(4):
        expected = straight.one_step()
    for _ in range(2):
        first.one_step()
    state, model = copy.deepcopy(first.state()), copy.deepcopy(first.model.state_dict())
    second = loop_for(small)
    second.model.load_state_dict(model)
    second.load_state(state)
    for _ in range(2):
        actual = second.one_step()
    assert actual == expected
    assert not changed(weights(straight), weights(second))


def test_l1_by_hand() -> None:
    feature = torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)
    center, scale = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1), torch.tensor([2.0, 0.5]).reshape(1, 2, 1, 1)
    assert float(one_class_loss(feature, center, scale)) == pytest.approx((4 + 1) / 2)
    assert float(one_class_loss(feature, center, scale, absolute=True)) == pytest.approx((2 + 1) / 2)


def test_a_collapsing_feature_fails_loudly() -> None:
    guard_against_collapse(0.0101, 1.0)
    for variance in (0.0099, 0.0, float("nan")):
        with pytest.raises(CollapseError, match="feature_rate"):
            guard_against_collapse(variance, 1.0)


def test_smoothness_does_not_depend_on_the_scale_of_z(small: TrainConfig) -> None:
    """ψ(Z/a) fed with a·Z is the same decoder; L3 alone falls by a², the scale-free smoothness does not move."""
    loop = loop_for(small)
    for _ in range(2):
        loop.one_step()
    before, penalty = loop.smoothness(), float(loop.gradient_penalty(0).detach())
    with torch.no_grad():
        loop.model.center.mul_(4)
        for layer in loop.model.encoder.head.children():
            layer.weight.mul_(4)
            layer.bias.mul_(4)
        loop.model.decoder.down[0].weight.div_(4)
    assert loop.smoothness() == pytest.approx(before, rel=1e-3)
    after = float(loop.gradient_penalty(0).detach())
    assert after == pytest.approx(penalty / 16, rel=1e-3)
