"""The training loop: the three updates of the method, on one screen."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edge.image_file import read_image
from edge.preprocess import preprocess
from trainer.gradient_penalty import decoder_output, exact_gradient_penalty, projected_gradient_penalty
from trainer.model import Model
from trainer.one_class_loss import guard_against_collapse, moving_average, one_class_loss

METRICS = ("step", "feature_loss", "reconstruction_loss", "gradient_penalty", "feature_variance")


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


def cache_features(model: Model, paths: list[Path], progress: Callable[[int], None]) -> Cache:
    """Run the frozen part over ``paths``; 0.3 MB an image at the default size."""
    rows, images = [], []
    model.eval()
    with torch.no_grad():
        for index, path in enumerate(paths):
            bgr = read_bgr(path, model.config.input_size)
            rows.append([part.half() for part in model.encoder.compact(model.encoder.frozen_feature(bgr.flip(1)))])
            images.append(model.small_image(bgr))
            progress(index + 1)
    return Cache([torch.cat(part) for part in zip(*rows, strict=True)], torch.cat(images))


def read_bgr(path: Path, size: int) -> Tensor:
    """One image as the graph sees it, float 1×3×size×size, BGR, 0…255."""
    return torch.from_numpy(preprocess(read_image(path).image, size, size)).permute(2, 0, 1)[None].float()


class TrainLoop:
    """State of a run, so that it can stop after any step and go on as if it had not."""

    def __init__(self, model: Model, cache: Cache) -> None:
        config = model.config
        self.model, self.cache, self.step = model, cache, 0
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
        frozen, image = self.cache.frozen(model, batch), self.cache.image[batch]
        by_feature, by_reconstruction, by_penalty = self.optimizers

        feature = model.encoder(frozen)
        variance = float(((feature.detach() - model.center) * self.scale).square().mean())
        feature_loss = one_class_loss(feature, model.center, self.scale, absolute=config.feature_norm == "l1")
        _update(by_feature, feature_loss, self.head)

        image_hat, feature_hat = model.decoder(model.encoder(frozen))
        l2 = model.error_map(image_hat, feature_hat, image, frozen).mean()
        _update(by_reconstruction, l2, [*self.head, *self.decoder])

        if config.regulariser in ("projection", "jacobian"):
            generator = torch.Generator().manual_seed(int(random.integers(2**62)))
            penalty = self.gradient_penalty(generator, exact=config.regulariser == "jacobian")
            _update(by_penalty, penalty, self.decoder)
            self.last_penalty = float(penalty.detach())
        if config.center == "moving_average":
            model.center.copy_(moving_average(model.center, feature, config.center_momentum))

        guard_against_collapse(variance, self.initial_variance)
        self.step += 1
        return dict(
            zip(METRICS, (self.step, float(feature_loss.detach()), float(l2.detach()), self.last_penalty, variance), strict=True)
        )

    def gradient_penalty(self, generator: torch.Generator, *, exact: bool) -> Tensor:
        """L3 at the training centre: eq. 6 where ``exact``, else one draw of eq. 7."""
        decoder, center, widths = self.model.decoder, self.model.center, self.model.rebuilt_widths
        if exact:
            return exact_gradient_penalty(decoder, center, widths)
        return projected_gradient_penalty(decoder, center, widths, generator)

    def state(self) -> dict[str, Tensor]:
        """Everything beside the model that a resumed run needs, as tensors."""
        tensors = {"step": torch.tensor(self.step), "center": self.model.center.clone(), "scale": self.scale}
        tensors["initial_variance"] = torch.tensor(self.initial_variance, dtype=torch.float64)
        for number, optimizer in enumerate(self.optimizers):
            for index, moments in optimizer.state_dict()["state"].items():
                for key, value in moments.items():
                    tensors[f"optimizer.{number}.{index}.{key}"] = torch.as_tensor(value)
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """The reverse of ``state``."""
        self.step = int(tensors["step"])
        self.model.center.copy_(tensors["center"])
        self.scale = tensors["scale"]
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
        model, output = self.model, decoder_output(self.model.decoder, self.model.rebuilt_widths)
        generators = [torch.Generator().manual_seed(index) for index in range(8)]
        penalties = [float(self.gradient_penalty(generator, exact=False).detach()) for generator in generators]
        with torch.no_grad():
            features = model.encoder(self.cache.frozen(model, slice(16)))
            spread = (features - model.center).square().sum((1, 2, 3)).mean()
            still = output(model.center)
            change = torch.stack([(output(one[None]) - still).square().sum() for one in features]).mean()
        return float(np.mean(penalties) * spread / change.clamp(min=1e-12))


def _mean_feature(model: Model, cache: Cache) -> Tensor:
    """C, the mean of Z under the initial network (option a), 1×D×h×w."""
    total = torch.zeros(model.center.shape, dtype=torch.float64)
    with torch.no_grad():
        for start in range(0, len(cache), 16):
            total += model.encoder(cache.frozen(model, slice(start, start + 16))).double().sum(0, keepdim=True)
    return (total / len(cache)).float()


def _deviation(model: Model, cache: Cache) -> Tensor:
    """Standard deviation of each channel of Z about C, over images and positions, 1×D×1×1."""
    square = torch.zeros((1, model.center.shape[1], 1, 1), dtype=torch.float64)
    with torch.no_grad():
        for start in range(0, len(cache), 16):
            feature = model.encoder(cache.frozen(model, slice(start, start + 16)))
            square += (feature - model.center).double().square().mean((2, 3), keepdim=True).sum(0, keepdim=True)
    return (square / len(cache)).sqrt().float()


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
