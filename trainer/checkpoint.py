"""A training run on disk: safetensors for the weights, YAML for everything else; no pickle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import safetensors.torch
import yaml
from torch import Tensor

from edge.errors import InputError
from edge.storage.durable_files import write_file
from edge.storage.strict_yaml import StrictModel, load_model
from trainer.dataset import NormalImages
from trainer.model import Model
from trainer.spectral_norm import fold_spectral_norm
from trainer.train_config import TrainConfig

RUN = "run.yaml"
FEATURES = "features.safetensors"


class RunRecord(StrictModel):
    """What a checkpoint says of itself. A finished one stopped at ``step`` and holds the weights of ``best_step``."""

    config: TrainConfig
    step: int
    finished: bool
    learned: list[str]
    held_out: list[str]
    source: str
    weights_sha256: str
    smoothness: float | None = None
    best_step: int | None = None


def new_record(
    config: TrainConfig,
    images: NormalImages,
    source: Path,
    step: int,
    *,
    finished: bool,
    smoothness: float | None = None,
    best_step: int | None = None,
) -> dict[str, Any]:
    """The record of a run at ``step``, but for the hash that ``save`` adds."""
    return {
        "config": config.model_dump(),
        "step": step,
        "finished": finished,
        "learned": images.learned_digests,
        "held_out": images.held_out_digests,
        "source": str(source.resolve()),
        "smoothness": smoothness,
        "best_step": best_step,
    }


def save(folder: Path, model: Model, record: dict[str, Any], state: dict[str, Tensor] | None) -> None:
    """Write the model and, while unfinished, the ``state`` to resume from; then, in one step, the record that names them.

    The names carry the hash of the weights, so that a kill at any moment leaves the older, whole checkpoint in force.
    """
    weights = safetensors.torch.save({k: v.contiguous() for k, v in model.state_dict().items()})
    digest = hashlib.sha256(weights).hexdigest()
    if state is not None:
        write_file(folder / state_name(digest), safetensors.torch.save({k: v.contiguous() for k, v in state.items()}))
    write_file(folder / weights_name(digest), weights)
    write_file(folder / RUN, yaml.safe_dump({**record, "weights_sha256": digest}, sort_keys=False).encode())
    for old in (*folder.glob("model.*.safetensors"), *folder.glob("resume.*.safetensors")):
        if old.name != weights_name(digest) and (state is None or old.name != state_name(digest)):
            old.unlink()


def weights_name(digest: str) -> str:
    """File name of the weights with this sha256."""
    return f"model.{digest[:12]}.safetensors"


def state_name(digest: str) -> str:
    """File name of the state that goes on from the weights with this sha256."""
    return f"resume.{digest[:12]}.safetensors"


def load(folder: Path) -> tuple[Model, RunRecord]:
    """The model and record in ``folder``; raises InputError where it is no finished, whole run."""
    if not (folder / RUN).is_file():
        raise InputError(f"{folder}: expected a training run ({RUN}), there is none; make one with edge-train")
    record = load_model(RunRecord, folder / RUN)
    weights = folder / weights_name(record.weights_sha256)
    if not weights.is_file():
        raise InputError(f"{weights} is missing; train again")
    content = weights.read_bytes()
    if hashlib.sha256(content).hexdigest() != record.weights_sha256:
        raise InputError(f"{weights}: its hash is not the one in {RUN}; train again")
    model = Model(record.config)
    if record.finished:
        fold_spectral_norm(model.decoder)
    try:
        model.load_state_dict(safetensors.torch.load(content))
    except RuntimeError as error:  # the hash is right, so it is the record that is not
        raise InputError(
            f"{folder / RUN}: its config is not that of the weights beside it; undo the change, or train again"
        ) from error
    return model, record
