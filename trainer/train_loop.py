"""The training loop: the three updates of the method, on one screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edge.image_file import read_image
from edge.preprocess import preprocess
from trainer.gradient_penalty import decoder_gradient_penalty
from trainer.model import GRID_STRIDE, Model
from trainer.one_class_loss import guard_against_collapse, one_class_loss
from trainer.ranks import Ranks
from trainer.reconstruction_loss import reconstruction_loss, unit_groups

METRICS = ("step", "feature_loss", "reconstruction_loss", "gradient_penalty", "feature_variance")
HELD_OUT_METRICS = ("held_out_feature_loss", "held_out_reconstruction_loss")


@dataclass
class Cache:
    """What the frozen trunk makes of each image, computed once: trunk feature N×D×h×w (half) and small image N×3×h×w."""

    feature: Tensor
    image: Tensor


def cache_features(model: Model, paths: list[Path], progress: Callable[[int], None], ranks: Ranks | None = None) -> Cache:
    """Run the trunk over ``paths``, each rank over its share; 0.14 MB an image at the default size, on the ranks' device."""
    size, ranks = model.config.input_size, ranks or Ranks(gpu=False)
    features, images = [], []
    model.eval()
    with torch.no_grad():
        for done in range(0, len(paths), ranks.count):
            path = paths[(done + ranks.rank) % len(paths)]
            bgr = torch.from_numpy(preprocess(read_image(path).image, size, size)).permute(2, 0, 1)[None].float().to(ranks.device)
            features.append(ranks.gather(model.encoder.trunk_feature(bgr.flip(1)).half()))
            images.append(ranks.gather(F.avg_pool2d(bgr, GRID_STRIDE) / 255.0))
            progress(min(done + ranks.count, len(paths)))
    return Cache(torch.cat(features)[: len(paths)], torch.cat(images)[: len(paths)])


class TrainLoop:
    """State of a run, so that it can stop after any step and go on as if it had not."""

    def __init__(self, model: Model, cache: Cache, held_out: Cache | None = None, ranks: Ranks | None = None) -> None:
        config = model.config
        self.model, self.cache, self.step = model, cache, 0
        self.held_out, self.ranks = held_out or cache, ranks or Ranks(config.precision, gpu=False)
        self.center, self.scale, self.initial_variance = _feature_statistics(model, cache)
        head, decoder = list(model.encoder.head.parameters()), list(model.decoder.parameters())
        self.optimizers = (
            torch.optim.Adam(head, config.feature_rate),
            torch.optim.Adam([*head, *decoder], config.reconstruction_rate),
            torch.optim.Adam(decoder, config.penalty_rate),
        )
        self.head, self.decoder = head, decoder
        self.last_penalty = float("nan")

    def one_step(self) -> dict[str, float]:
        """Updates (i) φ by L1, (ii) φ and ψ by L2, (iii) ψ by L3; returns the losses."""
        config, model = self.model.config, self.model
        random = np.random.default_rng((config.seed, self.step))  # a function of the step, so that a resumed run agrees
        count = len(self.cache.feature)
        batch = torch.from_numpy(random.choice(count, min(config.batch_size, count), replace=False))
        share, weight = self.ranks.share(batch), self.ranks.weight(batch)
        trunk_feature, image = self.cache.feature[share].float(), self.cache.image[share]
        by_feature, by_reconstruction, by_penalty = self.optimizers

        (feature,) = self.ranks.apply(model.encoder, trunk_feature)
        variance = ((feature.detach() - self.center) * self.scale).square().mean()
        feature_loss = one_class_loss(feature, self.center, self.scale)
        _update(by_feature, weight * feature_loss, self.head, self.ranks)

        image_hat, feature_hat = self.ranks.apply(model.decoder, *self.ranks.apply(model.encoder, trunk_feature))
        l2 = reconstruction_loss(image_hat, feature_hat, image, trunk_feature, model.groups)
        _update(by_reconstruction, weight * l2, [*self.head, *self.decoder], self.ranks)

        if config.regularise:
            penalty = self._penalty(int(random.integers(2**62)))  # the same on all ranks
            _update(by_penalty, penalty, self.decoder, self.ranks)
            self.last_penalty = float(penalty.detach())

        l1, l2, variance = self.ranks.mean([weight * one.detach() for one in (feature_loss, l2, variance)])
        guard_against_collapse(float(variance), self.initial_variance)
        self.step += 1
        return dict(zip(METRICS, (self.step, float(l1), float(l2), self.last_penalty, float(variance)), strict=True))

    def held_out_losses(self) -> dict[str, float]:
        """L1 and L2 over the held-out normal images, which no update has seen; in float32, each rank its share."""
        model, count = self.model, len(self.held_out.feature)
        sums = torch.zeros(2, dtype=torch.float64, device=self.ranks.device)
        with torch.no_grad():
            for part in self.ranks.share(torch.arange(count)).split(16):
                trunk_feature, image = self.held_out.feature[part].float(), self.held_out.image[part]
                feature = model.encoder(trunk_feature)
                image_hat, feature_hat = model.decoder(feature)
                l1 = one_class_loss(feature, self.center, self.scale)
                l2 = reconstruction_loss(image_hat, feature_hat, image, trunk_feature, model.groups)
                sums += torch.stack([l1, l2]).double() * len(part) if len(part) else 0.0
        (mean,) = self.ranks.mean([sums * self.ranks.count / count])
        return dict(zip(HELD_OUT_METRICS, mean.tolist(), strict=True))

    def _penalty(self, seed: int) -> Tensor:
        """L3, in float32 whatever the precision: it is a square of a gradient, and small."""
        with self.ranks.device:  # where the direction is drawn
            generator = torch.Generator(self.ranks.device).manual_seed(seed)
            return decoder_gradient_penalty(self.model.decoder, self.center, self.model.groups, generator)

    def state(self) -> dict[str, Tensor]:
        """Everything beside the model that a resumed run needs, as tensors."""
        tensors = {"step": torch.tensor(self.step), "center": self.center, "scale": self.scale}
        tensors["initial_variance"] = torch.tensor(self.initial_variance, dtype=torch.float64)
        for number, optimizer in enumerate(self.optimizers):
            for index, moments in optimizer.state_dict()["state"].items():
                for key, value in moments.items():
                    tensors[f"optimizer.{number}.{index}.{key}"] = torch.as_tensor(value)
        return tensors | {f"scaler.{key}": torch.tensor(value) for key, value in self.ranks.scaler.state_dict().items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """The reverse of ``state``."""
        self.step = int(tensors["step"])
        self.center, self.scale = tensors["center"].to(self.ranks.device), tensors["scale"].to(self.ranks.device)
        self.initial_variance = float(tensors["initial_variance"])
        for number, optimizer in enumerate(self.optimizers):
            content = optimizer.state_dict()
            for name, value in tensors.items():
                kind, _, rest = name.partition(".")
                if kind == "optimizer" and rest.startswith(f"{number}."):
                    _, index, key = rest.split(".")
                    content["state"].setdefault(int(index), {})[key] = value
            optimizer.load_state_dict(content)
        if scaler := {name.removeprefix("scaler."): one.item() for name, one in tensors.items() if name.startswith("scaler.")}:
            self.ranks.scaler.load_state_dict(scaler)

    def smoothness(self) -> float:
        """Scale-free smoothness, L3·E‖Z−C‖² / E‖ψ(Z)−ψ(C)‖²; 1 for a linear ψ, lower where it bends away from C."""
        groups, model = self.model.groups, self.model
        penalties = [float(self._penalty(seed).detach()) for seed in range(8)]
        with torch.no_grad():
            batch = self.cache.feature[:16].float()
            feature = model.encoder(batch)

            def output(z: Tensor) -> Tensor:
                image_hat, feature_hat = model.decoder(z)
                return torch.cat([image_hat, unit_groups(feature_hat, groups)], 1)

            spread = (feature - self.center).square().sum((1, 2, 3)).mean()
            change = (output(feature) - output(self.center)).square().sum((1, 2, 3)).mean()
        return float(np.mean(penalties) * spread / change.clamp(min=1e-12))


def _feature_statistics(model: Model, cache: Cache) -> tuple[Tensor, Tensor, float]:
    """C, the mean of Z under the initial network (option a); 1/σ of each channel; the variance in that scale."""
    with torch.no_grad():
        total = torch.zeros((1, *cache.feature.shape[1:]), dtype=torch.float64, device=cache.feature.device)
        for part in cache.feature.split(16):
            total += model.encoder(part.float()).double().sum(0, keepdim=True)
        center = (total / len(cache.feature)).float()
        square = torch.zeros((1, center.shape[1], 1, 1), dtype=torch.float64, device=cache.feature.device)
        for part in cache.feature.split(16):
            square += (model.encoder(part.float()) - center).double().square().mean((2, 3), keepdim=True).sum(0, keepdim=True)
        sigma = (square / len(cache.feature)).sqrt().float().clamp(min=1e-6)
        scale = 1.0 / sigma
    return center, scale, 1.0


def _update(optimizer: torch.optim.Optimizer, loss: Tensor, parameters: list[torch.nn.Parameter], ranks: Ranks) -> None:
    """One step by gradients of these parameters alone, averaged over the ranks; the rest of the model is not touched."""
    gradients = ranks.mean(torch.autograd.grad(ranks.scaler.scale(loss), parameters, allow_unused=True, materialize_grads=True))
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    ranks.scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    ranks.scaler.step(optimizer)
    ranks.scaler.update()
    optimizer.zero_grad(set_to_none=True)
