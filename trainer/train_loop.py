"""The training loop: the three updates of the method, on one screen."""

from __future__ import annotations

import csv
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
from trainer.reconstruction_loss import reconstruction_loss, unit_groups

METRICS = ("step", "feature_loss", "reconstruction_loss", "gradient_penalty", "feature_variance")


@dataclass
class Cache:
    """What the frozen trunk makes of each image, computed once: trunk feature N×D×h×w (half) and small image N×3×h×w."""

    feature: Tensor
    image: Tensor


def cache_features(model: Model, paths: list[Path], progress: Callable[[int], None]) -> Cache:
    """Run the trunk over ``paths``; 0.14 MB an image at the default size."""
    size = model.config.input_size
    features, images = [], []
    model.eval()
    with torch.no_grad():
        for index, path in enumerate(paths):
            bgr = torch.from_numpy(preprocess(read_image(path).image, size, size)).permute(2, 0, 1)[None].float()
            features.append(model.encoder.trunk_feature(bgr.flip(1)).half())
            images.append(F.avg_pool2d(bgr, GRID_STRIDE) / 255.0)
            progress(index + 1)
    return Cache(torch.cat(features), torch.cat(images))


class TrainLoop:
    """State of a run, so that it can stop after any step and go on as if it had not."""

    def __init__(self, model: Model, cache: Cache) -> None:
        config = model.config
        self.model, self.cache, self.step = model, cache, 0
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
        trunk_feature, image = self.cache.feature[batch].float(), self.cache.image[batch]
        by_feature, by_reconstruction, by_penalty = self.optimizers

        feature = model.encoder(trunk_feature)
        variance = float(((feature.detach() - self.center) * self.scale).square().mean())
        feature_loss = one_class_loss(feature, self.center, self.scale)
        _update(by_feature, feature_loss, self.head)

        image_hat, feature_hat = model.decoder(model.encoder(trunk_feature))
        l2 = reconstruction_loss(image_hat, feature_hat, image, trunk_feature, model.groups)
        _update(by_reconstruction, l2, [*self.head, *self.decoder])

        if config.regularise:
            generator = torch.Generator().manual_seed(int(random.integers(2**62)))
            penalty = decoder_gradient_penalty(model.decoder, self.center, model.groups, generator)
            _update(by_penalty, penalty, self.decoder)
            self.last_penalty = float(penalty.detach())

        guard_against_collapse(variance, self.initial_variance)
        self.step += 1
        return dict(
            zip(METRICS, (self.step, float(feature_loss.detach()), float(l2.detach()), self.last_penalty, variance), strict=True)
        )

    def state(self) -> dict[str, Tensor]:
        """Everything beside the model that a resumed run needs, as tensors."""
        tensors = {"step": torch.tensor(self.step), "center": self.center, "scale": self.scale}
        tensors["initial_variance"] = torch.tensor(self.initial_variance, dtype=torch.float64)
        for number, optimizer in enumerate(self.optimizers):
            for index, moments in optimizer.state_dict()["state"].items():
                for key, value in moments.items():
                    tensors[f"optimizer.{number}.{index}.{key}"] = torch.as_tensor(value)
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """The reverse of ``state``."""
        self.step = int(tensors["step"])
        self.center, self.scale = tensors["center"], tensors["scale"]
        self.initial_variance = float(tensors["initial_variance"])
        for number, optimizer in enumerate(self.optimizers):
            content = optimizer.state_dict()
            for name, value in tensors.items():
                kind, _, rest = name.partition(".")
                if kind == "optimizer" and rest.startswith(f"{number}."):
                    _, index, key = rest.split(".")
                    content["state"].setdefault(int(index), {})[key] = value
            optimizer.load_state_dict(content)

    def smoothness(self) -> float:
        """Scale-free smoothness, L3·E‖Z−C‖² / E‖ψ(Z)−ψ(C)‖²; 1 for a linear ψ, lower where it bends away from C."""
        groups, model = self.model.groups, self.model
        penalties = [
            float(decoder_gradient_penalty(model.decoder, self.center, groups, torch.Generator().manual_seed(i)).detach())
            for i in range(8)
        ]
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
        total = torch.zeros((1, *cache.feature.shape[1:]), dtype=torch.float64)
        for part in cache.feature.split(16):
            total += model.encoder(part.float()).double().sum(0, keepdim=True)
        center = (total / len(cache.feature)).float()
        square = torch.zeros((1, center.shape[1], 1, 1), dtype=torch.float64)
        for part in cache.feature.split(16):
            square += (model.encoder(part.float()) - center).double().square().mean((2, 3), keepdim=True).sum(0, keepdim=True)
        sigma = (square / len(cache.feature)).sqrt().float().clamp(min=1e-6)
        scale = 1.0 / sigma
    return center, scale, 1.0


def _update(optimizer: torch.optim.Optimizer, loss: Tensor, parameters: list[torch.nn.Parameter]) -> None:
    """One step by gradients of these parameters alone; the rest of the model is not touched."""
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


class MetricsFile:
    """metrics.csv, one line a step; on resume the lines after the checkpoint are cut."""

    def __init__(self, path: Path, from_step: int) -> None:
        kept = []
        if from_step and path.is_file():
            with open(path, newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= from_step]
        self._file = open(path, "w", newline="")  # noqa: SIM115 - closed by close()
        self._writer = csv.DictWriter(self._file, METRICS)
        self._writer.writeheader()
        self._writer.writerows(kept)

    def write(self, metrics: dict[str, float]) -> None:
        """Add one line."""
        self._writer.writerow(metrics)

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
