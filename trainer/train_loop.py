"""The training loop: the three updates of the method, on one screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edge.frame import Image
from edge.pictures.image_file import read_image
from edge.preprocess import preprocess
from trainer.gradient_penalty import decoder_output, exact_gradient_penalty, projected_gradient_penalty
from trainer.model import Model
from trainer.one_class_loss import guard_against_collapse, moving_average, one_class_loss
from trainer.ranks import Ranks

METRICS = ("step", "feature_loss", "reconstruction_loss", "gradient_penalty", "feature_variance")
HELD_OUT_METRICS = ("held_out_feature_loss", "held_out_reconstruction_loss")


@dataclass
class Cache:
    """What the frozen part makes of each image, computed once: its parts (half precision, compact), and the small image."""

    parts: list[Tensor]
    image: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def frozen(self, model: Model, index: Tensor | slice) -> Tensor:
        """The frozen feature of the images at ``index``, float N×C×h×w."""
        return model.encoder.expand([part[index].float() for part in self.parts])


def cache_features(
    model: Model,
    paths: list[Path],
    progress: Callable[[int], None],
    ranks: Ranks | None = None,
    change: Callable[[Image], Image] | None = None,
) -> Cache:
    """Run the frozen part over ``paths``, each rank over its share; 0.3 MB an image at the default size, on the ranks' device.

    change: what is done to each picture (uint8, BGR, of the input's size) before.
    """
    ranks = ranks or Ranks(gpu=False)
    rows, images = [], []
    model.eval()
    with torch.no_grad():
        for done in range(0, len(paths), ranks.count):
            path = paths[(done + ranks.rank) % len(paths)]
            bgr = read_bgr(path, model.config.input_size, change).to(ranks.device)
            parts = model.encoder.compact(model.encoder.frozen_feature(bgr.flip(1)))
            rows.append([ranks.gather(part.half()) for part in parts])
            images.append(ranks.gather(model.small_image(bgr)))
            progress(min(done + ranks.count, len(paths)))
    columns = [torch.cat(part)[: len(paths)] for part in zip(*rows, strict=True)]
    return Cache(columns, torch.cat(images)[: len(paths)])


def read_bgr(path: Path, size: int, change: Callable[[Image], Image] | None = None) -> Tensor:
    """One image as the graph sees it, float 1×3×size×size, BGR, 0…255; changed where asked."""
    image = preprocess(read_image(path).image, size, size)
    return torch.from_numpy(change(image) if change else image).permute(2, 0, 1)[None].float()


class TrainLoop:
    """State of a run, so that it can stop after any step and go on as if it had not."""

    def __init__(self, model: Model, cache: Cache, held_out: Cache | None = None, ranks: Ranks | None = None) -> None:
        config = model.config
        self.model, self.cache, self.step = model, cache, 0
        self.held_out, self.ranks = held_out or cache, ranks or Ranks(config.precision, gpu=False)
        model.center.copy_(_mean_feature(model, cache))
        self.scale = 1.0 / _deviation(model, cache).clamp(min=1e-6)
        self.initial_variance = 1.0
        head, decoder = list(model.encoder.head.parameters()), list(model.decoder.parameters())
        self.optimizers = (
            torch.optim.Adam(head, config.feature_rate),
            torch.optim.Adam([*head, *decoder], config.reconstruction_rate),
            torch.optim.Adam(decoder, config.penalty_rate),
        )
        self.head, self.decoder = head, decoder
        self.last_penalty = float("nan")
        model.train()

    def one_step(self) -> dict[str, float]:
        """Updates (i) φ by L1, (ii) φ and ψ by L2, (iii) ψ by L3; returns the losses."""
        config, model = self.model.config, self.model
        random = np.random.default_rng((config.seed, self.step))  # a function of the step, so that a resumed run agrees
        count = len(self.cache)
        batch = torch.from_numpy(random.choice(count, min(config.batch_size, count), replace=False))
        share, weight = self.ranks.share(batch), self.ranks.weight(batch)
        frozen, image = self.cache.frozen(model, share), self.cache.image[share]
        by_feature, by_reconstruction, by_penalty = self.optimizers

        (feature,) = self.ranks.apply(model.encoder, frozen)
        variance = ((feature.detach() - model.center) * self.scale).square().mean()
        feature_loss = one_class_loss(feature, model.center, self.scale, absolute=config.feature_norm == "l1")
        _update(by_feature, weight * feature_loss, self.head, self.ranks)

        image_hat, feature_hat = self.ranks.apply(model.decoder, *self.ranks.apply(model.encoder, frozen))
        l2 = model.error_map(image_hat, feature_hat, image, frozen).mean()
        _update(by_reconstruction, weight * l2, [*self.head, *self.decoder], self.ranks)

        if config.regulariser in ("projection", "jacobian") and self.step % config.penalty_every == 0:
            penalty = self.gradient_penalty(int(random.integers(2**62)), exact=config.regulariser == "jacobian")
            _update(by_penalty, penalty, self.decoder, self.ranks)  # v of eq. 7 is the same on all ranks
            self.last_penalty = float(penalty.detach())
        if config.center == "moving_average":
            (batch_mean,) = self.ranks.mean([weight * feature.detach().mean(0, keepdim=True)])
            model.center.copy_(moving_average(model.center, batch_mean, config.center_momentum))

        l1, l2, variance = self.ranks.mean([weight * one.detach() for one in (feature_loss, l2, variance)])
        guard_against_collapse(float(variance), self.initial_variance)
        self.step += 1
        return dict(zip(METRICS, (self.step, float(l1), float(l2), self.last_penalty, float(variance)), strict=True))

    def held_out_losses(self) -> dict[str, float]:
        """L1 and L2 over the held-out normal images, which no update has seen; in float32, each rank its share."""
        model, count = self.model, len(self.held_out)
        sums = torch.zeros(2, dtype=torch.float64, device=self.ranks.device)
        with torch.no_grad():
            for part in self.ranks.share(torch.arange(count)).split(16):
                frozen, image = self.held_out.frozen(model, part), self.held_out.image[part]
                feature = model.encoder(frozen)
                image_hat, feature_hat = model.decoder(feature)
                l1 = one_class_loss(feature, model.center, self.scale, absolute=model.config.feature_norm == "l1")
                l2 = model.error_map(image_hat, feature_hat, image, frozen).mean()
                sums += torch.stack([l1, l2]).double() * len(part) if len(part) else 0.0
        (mean,) = self.ranks.mean([sums * self.ranks.count / count])
        return dict(zip(HELD_OUT_METRICS, mean.tolist(), strict=True))

    def gradient_penalty(self, seed: int, *, exact: bool = False) -> Tensor:
        """L3 at the training centre: eq. 6 where ``exact``, else one draw of eq. 7. In float32: it is small, and a square."""
        decoder, center, widths = self.model.decoder, self.model.center, self.model.rebuilt_widths
        if exact:
            return exact_gradient_penalty(decoder, center, widths)
        with self.ranks.device:  # where the direction is drawn
            generator = torch.Generator(self.ranks.device).manual_seed(seed)
            return projected_gradient_penalty(decoder, center, widths, generator)

    def state(self) -> dict[str, Tensor]:
        """Everything beside the model that a resumed run needs, as tensors."""
        tensors = {"step": torch.tensor(self.step), "center": self.model.center.clone(), "scale": self.scale}
        tensors["initial_variance"] = torch.tensor(self.initial_variance, dtype=torch.float64)
        tensors["last_penalty"] = torch.tensor(self.last_penalty, dtype=torch.float64)
        for number, optimizer in enumerate(self.optimizers):
            for index, moments in optimizer.state_dict()["state"].items():
                for key, value in moments.items():
                    tensors[f"optimizer.{number}.{index}.{key}"] = torch.as_tensor(value)
        return tensors | {f"scaler.{key}": torch.tensor(value) for key, value in self.ranks.scaler.state_dict().items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """The reverse of ``state``."""
        self.step = int(tensors["step"])
        self.model.center.copy_(tensors["center"])
        self.scale = tensors["scale"].to(self.ranks.device)
        self.initial_variance, self.last_penalty = float(tensors["initial_variance"]), float(tensors["last_penalty"])
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
        model, output = self.model, decoder_output(self.model.decoder, self.model.rebuilt_widths)
        penalties = [float(self.gradient_penalty(seed).detach()) for seed in range(8)]
        with torch.no_grad():
            features = model.encoder(self.cache.frozen(model, slice(16)))
            spread = (features - model.center).square().sum((1, 2, 3)).mean()
            still = output(model.center)
            change = torch.stack([(output(one[None]) - still).square().sum() for one in features]).mean()
        return float(np.mean(penalties) * spread / change.clamp(min=1e-12))


def _mean_feature(model: Model, cache: Cache) -> Tensor:
    """C, the mean of Z under the initial network (option a), 1×D×h×w."""
    total = torch.zeros(model.center.shape, dtype=torch.float64, device=model.center.device)
    with torch.no_grad():
        for start in range(0, len(cache), 16):
            total += model.encoder(cache.frozen(model, slice(start, start + 16))).double().sum(0, keepdim=True)
    return (total / len(cache)).float()


def _deviation(model: Model, cache: Cache) -> Tensor:
    """Standard deviation of each channel of Z about C, over images and positions, 1×D×1×1."""
    square = torch.zeros((1, model.center.shape[1], 1, 1), dtype=torch.float64, device=model.center.device)
    with torch.no_grad():
        for start in range(0, len(cache), 16):
            feature = model.encoder(cache.frozen(model, slice(start, start + 16)))
            square += (feature - model.center).double().square().mean((2, 3), keepdim=True).sum(0, keepdim=True)
    return (square / len(cache)).sqrt().float()


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
