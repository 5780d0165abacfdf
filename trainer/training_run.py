"""One training run from a folder of images to a finished checkpoint: resumed where it stopped, never overwritten."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edge.durable_files import write_file
from edge.errors import InputError, OutputError
from trainer import checkpoint
from trainer.dataset import NormalImages, find_normal_images
from trainer.encoder import LiteEncoder
from trainer.model import Model
from trainer.spectral_norm import fold_spectral_norm
from trainer.train_config import TrainConfig
from trainer.train_loop import Cache, MetricsFile, TrainLoop, cache_features, read_bgr

FIT_IMAGES = 48
"""Images from which the encoder takes what it does not learn by gradient."""


def train(source: Path, out: Path, config: TrainConfig, console: Console) -> Model:
    """Train on ``source`` into ``out``; resumes an unfinished run there, leaves a finished one as it is.

    Raises ImageError, OutputError, InputError (``out`` holds another run) and CollapseError.
    """
    images = find_normal_images(source, config.max_bad_share)
    for line in images.skipped:
        console.print(f"skipped {line}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    _require_writable(out)
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(True)
    model, step, state = _start_or_resume(out, config, images)
    if step is not None and state is None:
        console.print(f"{out} is finished already, with these images and options; nothing to do", highlight=False)
        return model
    console.print(f"{len(images.learned)} images to learn from, {len(images.held_out)} held out by content hash")
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as bars:
        task = bars.add_task("features", total=len(images.learned), note="")
        cache = cache_features(model, [path for path, _ in images.learned], lambda done: bars.update(task, completed=done))
        loop = TrainLoop(model, cache)
        if state is not None:
            loop.load_state(state)
        task = bars.add_task("training", total=config.steps, completed=loop.step, note="")
        metrics = MetricsFile(out / "metrics.csv", loop.step)
        try:
            while loop.step < config.steps:
                losses = loop.one_step()
                metrics.write(losses)
                note = f"L1 {losses['feature_loss']:.3f}  L2 {losses['reconstruction_loss']:.4f}"
                bars.update(task, completed=loop.step, note=note)
                if loop.step % config.checkpoint_every == 0 and loop.step < config.steps:
                    record = checkpoint.new_record(config, images, source, loop.step, finished=False)
                    checkpoint.save(out, model, record, loop.state())
        finally:
            metrics.close()
    smoothness = loop.smoothness()
    fold_spectral_norm(model.decoder)
    write_file(out / checkpoint.FEATURES, safetensors.torch.save(learned_features(model, cache)))
    checkpoint.save(
        out, model, checkpoint.new_record(config, images, source, loop.step, finished=True, smoothness=smoothness), None
    )
    console.print(f"trained: {out} (decoder smoothness {smoothness:.3g})", highlight=False)
    return model


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
    if record.config != config or record.learned != [digest for _, digest in images.learned]:
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


def learned_features(model: Model, cache: Cache) -> dict[str, torch.Tensor]:
    """Z of every learned image, one tensor a group on its own grid, half precision: the bundle's C and statistics come from it."""
    parts: list[list[torch.Tensor]] = [[] for _ in model.encoder.groups]
    model.eval()
    with torch.no_grad():
        for index in range(len(cache)):
            feature = model.encoder(cache.frozen(model, slice(index, index + 1)))
            for part, one, group in zip(parts, feature.split(model.encoder.widths, 1), model.encoder.groups, strict=True):
                part.append(one[:, :, :: group.stride, :: group.stride].half())
    return {f"group_{index}": torch.cat(part).contiguous() for index, part in enumerate(parts)}
