"""One training run from a folder of images to a finished checkpoint: resumed where it stopped, never overwritten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edge.errors import InputError, OutputError
from edge.frame import Image
from edge.pictures.image_quality import GREY
from edge.pictures.usual_change import usual_change
from edge.storage.durable_files import write_file
from trainer import checkpoint
from trainer.dataset import NormalImages, find_normal_images
from trainer.early_stop import EarlyStop
from trainer.encoder import LiteEncoder
from trainer.model import Model
from trainer.ranks import Ranks
from trainer.spectral_norm import fold_spectral_norm
from trainer.train_config import TrainConfig
from trainer.train_log import METRICS_FILE, TrainLog, read_metrics, require_tensorboard
from trainer.train_loop import Cache, TrainLoop, cache_features, read_bgr
from trainer.train_report import REPORT, render_report

FIT_IMAGES = 48
"""Images from which the encoder takes what it does not learn by gradient."""


def train(source: Path, out: Path, config: TrainConfig, console: Console) -> Model:
    """Train on ``source`` into ``out``; resumes an unfinished run there, leaves a finished one as it is.

    Raises ImageError, OutputError, InputError (``out`` holds another run) and CollapseError. Under torchrun all ranks
    call it alike, with the same folders; the first writes and talks.
    """
    ranks = Ranks(config.precision)
    console = console if ranks.first else Console(quiet=True)
    images = find_normal_images(source, config.max_bad_share)
    for line in images.skipped:
        console.print(f"skipped {line}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    _require_usable(out, config, images, ranks)
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(True, warn_only=ranks.device.type == "cuda")
    model, step, state = _start_or_resume(out, config, images)
    ranks.require_same((step, images.learned_digests, images.held_out_digests), "images or checkpoints")
    if step is not None and state is None:
        console.print(f"{out} is finished already, with these images and options; nothing to do", highlight=False)
        return model
    model.to(ranks.device)
    console.print(f"{len(images.learned)} images to learn from, {len(images.held_out)} held out by content hash")
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as bars:
        learned, changed, held_out = _cached(model, images, bars, ranks)
        loop = TrainLoop(model, learned, held_out, ranks)
        stop = EarlyStop(config.patience)
        if state is not None:
            loop.load_state(state)
            stop.load_state(state)
        task = bars.add_task("training", total=config.steps, completed=loop.step, note="")
        with TrainLog(out, loop.step, enabled=ranks.first, tensorboard=config.tensorboard) as log:
            while loop.step < config.steps and not stop.stopped:
                losses = loop.one_step()
                if loop.step % config.evaluate_every == 0 or loop.step == config.steps:
                    losses |= loop.held_out_losses()
                    stop.see(loop.step, losses["held_out_reconstruction_loss"], _trained(model))
                log.write(losses)
                bars.update(task, completed=loop.step, note=_note(losses, stop))
                if ranks.first and loop.step % config.checkpoint_every == 0 and loop.step < config.steps:
                    record = checkpoint.new_record(config, images, source, loop.step, finished=False)
                    checkpoint.save(out, model, record, loop.state() | stop.state())
    if stop.stopped:
        console.print(f"stopped at step {loop.step}: held-out L2 has not fallen since step {stop.best_step}", highlight=False)
    model.load_state_dict(stop.best_weights, strict=False)
    if ranks.first:
        _finish(out, loop, changed, stop, images, source, console)
    return model.cpu()


def _finish(
    out: Path, loop: TrainLoop, changed: Cache, stop: EarlyStop, images: NormalImages, source: Path, console: Console
) -> None:
    """Everything a finished run holds; the record that says so is written last."""
    model, smoothness = loop.model, loop.smoothness()
    fold_spectral_norm(model.decoder)
    write_file(out / checkpoint.FEATURES, safetensors.torch.save(learned_features(model, loop.cache, changed)))
    write_file(out / REPORT, render_report(loop, images, read_metrics(out / METRICS_FILE), stop.best_step).encode())
    record = checkpoint.new_record(
        model.config, images, source, loop.step, finished=True, smoothness=smoothness, best_step=stop.best_step
    )
    checkpoint.save(out, model, record, None)
    console.print(f"trained: {out}, the model of step {stop.best_step} (decoder smoothness {smoothness:.3g})", highlight=False)
    console.print(f"report: {out / REPORT}", markup=False, highlight=False, soft_wrap=True)


def _cached(model: Model, images: NormalImages, bars: Progress, ranks: Ranks) -> tuple[Cache, Cache, Cache]:
    """The trunk's features of the images to learn from, of the same with a usual change, and of the held-out ones."""
    learned, held_out = ([path for path, _ in files] for files in (images.learned, images.held_out))
    task = bars.add_task("features", total=2 * len(learned) + len(held_out), note="")

    def cached(paths: list[Path], change: Callable[[Image], Image] | None = None) -> Cache:
        start = bars.tasks[task].completed
        return cache_features(model, paths, lambda done: bars.update(task, completed=start + done), ranks, change)

    return cached(learned), cached(learned, usual_change), cached(held_out)


def _trained(model: Model) -> dict[str, torch.Tensor]:
    """What training may change: all but the frozen trunk and projections."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def _note(losses: dict[str, float], stop: EarlyStop) -> str:
    note = f"L1 {losses['feature_loss']:.3f}  L2 {losses['reconstruction_loss']:.4f}"
    return f"{note}  held-out L2 {stop.best_loss:.4f} at {stop.best_step}" if stop.best_weights else note


def _require_usable(out: Path, config: TrainConfig, images: NormalImages, ranks: Ranks) -> None:
    """Raise what can be known before the first step, rather than after it."""
    batch = min(config.batch_size, len(images.learned))
    if batch < ranks.count:
        raise InputError(f"a batch of {batch} images cannot be shared by {ranks.count} processes; start fewer, or raise batch_size")
    if ranks.first:
        _require_writable(out)
        if config.tensorboard:
            require_tensorboard()


def _require_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".write-test").touch()
        (out / ".write-test").unlink()
    except OSError as error:
        raise OutputError(f"{out}: cannot write there: {error.strerror}; choose another --out") from error


def _start_or_resume(
    out: Path, config: TrainConfig, images: NormalImages
) -> tuple[Model, int | None, dict[str, torch.Tensor] | None]:
    """(model, step reached or None for a new run, state to resume from or None)."""
    if not (out / checkpoint.RUN).is_file():
        return new_model(config, [path for path, _ in images.learned]), None, None
    model, record = checkpoint.load(out)
    if record.config != config or (record.learned, record.held_out) != (images.learned_digests, images.held_out_digests):
        raise InputError(f"{out}: holds a run with other options or other images; choose another --out, or remove it")
    if record.finished:
        return model, record.step, None
    state = out / checkpoint.state_name(record.weights_sha256)
    if not state.is_file():
        raise InputError(f"{state} is missing, so the run cannot be resumed; remove the folder and train again")
    return model, record.step, safetensors.torch.load(state.read_bytes())


def new_model(config: TrainConfig, paths: list[Path]) -> Model:
    """An untrained model with its pretrained trunk, the encoder fitted to the first of ``paths``."""
    model = Model(config)
    if isinstance(model.encoder, LiteEncoder):
        model.encoder.trunk.load_imagenet()
    model.encoder.fit(torch.cat([read_bgr(path, config.input_size).flip(1) for path in paths[:FIT_IMAGES]]))
    return model


def learned_features(model: Model, cache: Cache, changed: Cache) -> dict[str, torch.Tensor]:
    """What the bundle's C and statistics come from, of every learned image: Z, and ``brightness``, its mean grey (0…1).

    Z is ``group_0`` and so on, one tensor a group on its own grid, half precision; the images come first, then ``changed``, the
    same with a usual change of place and focus.
    """
    parts: list[list[torch.Tensor]] = [[] for _ in model.encoder.groups]
    model.eval()
    with torch.no_grad():
        for one_of, index in [(cached, index) for cached in (cache, changed) for index in range(len(cached))]:
            feature = model.encoder(one_of.frozen(model, slice(index, index + 1)))
            for part, one, group in zip(parts, feature.split(model.encoder.widths, 1), model.encoder.groups, strict=True):
                part.append(one[:, :, :: group.stride, :: group.stride].half().cpu())
    features = {f"group_{index}": torch.cat(part).contiguous() for index, part in enumerate(parts)}
    return features | {"brightness": (cache.image.mean((2, 3)) @ torch.from_numpy(GREY).to(cache.image)).cpu()}
