"""Every option of training, documented; YAML and flags both end here."""

from __future__ import annotations

from typing import Literal

import yaml
from pydantic import Field

from edge.strict_yaml import StrictModel

Precision = Literal["auto", "32", "16-mixed", "bf16-mixed"]


class TrainConfig(StrictModel):
    """Defaults are meant to work without being touched."""

    input_size: int = Field(256, ge=64, le=1024, multiple_of=64, description="side of the resized square image, pixels")
    feature_channels: int = Field(64, ge=8, le=128, multiple_of=2, description="channels of Z, half fine and half deep")
    centers: int = Field(1024, ge=16, le=8192, description="capacity K of the set of centres C, fixed at export")
    decoder_width: int = Field(64, ge=8, le=256, description="channels inside the decoder")
    bottleneck: int = Field(48, ge=4, le=256, description="channels at the decoder's narrowest place")
    steps: int = Field(400, ge=1, le=1_000_000, description="training steps; each is the three updates")
    batch_size: int = Field(8, ge=1, le=512, description="images a step")
    feature_rate: float = Field(1e-5, gt=0, description="learning rate of update (i), φ by L1")
    reconstruction_rate: float = Field(2e-3, gt=0, description="learning rate of update (ii), φ and ψ by L2")
    penalty_rate: float = Field(1e-4, gt=0, description="learning rate of update (iii), ψ by L3")
    regularise: bool = Field(True, description="update (iii); false leaves the decoder's gradient free")
    seed: int = Field(0, ge=0, description="same seed, same images, same machine: same model")
    checkpoint_every: int = Field(100, ge=1, description="steps between checkpoints, from which a killed run resumes")
    max_bad_share: float = Field(0.1, ge=0, le=1, description="more unreadable images than this share stop the run")
    evaluate_every: int = Field(25, ge=1, description="steps between evaluations on the held-out normal images")
    patience: int = Field(8, ge=1, description="evaluations without a lower held-out L2 after which training stops")
    precision: Precision = Field("auto", description="auto is mixed on CUDA, 32 on a CPU")
    tensorboard: bool = Field(True, description="write TensorBoard event files beside metrics.csv")


def documented_yaml() -> str:
    """Every option with its default and meaning, ready to be edited."""
    lines = []
    for name, field in TrainConfig.model_fields.items():
        default = yaml.safe_dump(field.default, default_flow_style=True).splitlines()[0]
        lines.append(f"# {field.description}\n{name}: {default}\n")
    return "\n".join(lines)
