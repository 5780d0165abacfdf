"""Every option of training, documented; YAML and flags both end here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from edge.storage.strict_yaml import StrictModel

Precision = Literal["auto", "32", "16-mixed", "bf16-mixed"]

LARGEST_JACOBIAN = 16_384
"""Outputs of ψ up to which eq. 6 is computed exactly."""

PRESETS: dict[str, dict[str, object]] = {
    "default": {},
    # The method in its plainest form: a vector Z, one centre, the L2 norm of Z and of the pixels, Jacobian at C exactly.
    "patent": {
        "input_size": 256, "feature": "vector", "feature_norm": "l2", "reconstruction_error": "l2",
        "feature_pooling": "max", "reconstruction_pooling": "mean", "regulariser": "jacobian",
        "penalty_rate": 1e-5, "penalty_every": 1,
    },
}  # fmt: skip


class TrainConfig(StrictModel):
    """Defaults are meant to work without being touched. ``model`` names a preset; options given beside it go before it."""

    model: Literal["default", "patent"] = Field("default", description="preset of the options below: default, or patent (literal)")
    input_size: int = Field(512, ge=128, le=1024, multiple_of=128, description="side of the resized square image, pixels")
    encoder: Literal["lite0", "lite1", "lite2", "cnn", "mlp"] = Field(
        "lite0", description="φ: a pretrained EfficientNet-Lite trunk with a trainable head, or from scratch a CNN or an MLP"
    )
    feature: Literal["map", "vector"] = Field("map", description="whether Z is a map of vectors or one vector")
    feature_channels: int = Field(
        96, ge=6, le=192, multiple_of=3, description="channels of Z; of a map's, a third are fine, the rest deep"
    )
    center: Literal["initial", "moving_average"] = Field(
        "initial", description="C in training: mean of Z under the initial network, or moving average while training"
    )
    center_momentum: float = Field(0.99, gt=0, lt=1, description="share of the old C that a step of the moving average keeps")
    feature_norm: Literal["mixed", "nearest", "l2", "l1", "mahalanobis"] = Field(
        "mixed", description="norm of L1; mixed is the nearest of a set of centres for fine channels, mahalanobis for deep ones"
    )
    feature_pooling: Literal["max", "mean", "top"] = Field(
        "max", description="how L1's positions are pooled; top is the mean of the top 1 %"
    )
    centers: int = Field(2048, ge=16, le=8192, description="capacity K of the set of centres C, fixed at export")
    reconstruction_error: Literal["perceptual", "l2", "ssim"] = Field(
        "perceptual", description="dist of L2: pixels and features, the L2 norm of the pixels, or 1 − SSIM"
    )
    reconstruction_pooling: Literal["max", "mean", "top"] = Field("max", description="how L2's positions are pooled")
    decoder_width: int = Field(64, ge=8, le=256, description="channels inside the decoder")
    bottleneck: int = Field(48, ge=4, le=256, description="channels at the decoder's narrowest place")
    regulariser: Literal["projection", "jacobian", "spectral", "shallow", "none"] = Field(
        "projection", description="of ψ's gradient: eq. 7, eq. 6 exactly, eq. 8, fewer layers, or nothing"
    )
    weights_from: Literal["validation", "training", "manual"] = Field(
        "validation", description="normal images that set the bundle's λ1 and λ2: held-out ones, learned ones, or by hand"
    )
    feature_weight: float = Field(1.0, ge=0, description="λ1, where weights_from is manual")
    reconstruction_weight: float = Field(1.0, ge=0, description="λ2, where weights_from is manual")
    steps: int = Field(600, ge=1, le=1_000_000, description="training steps; each is the three updates")
    batch_size: int = Field(8, ge=1, le=512, description="images a step")
    feature_rate: float = Field(1e-5, gt=0, description="learning rate of update (i), φ by L1")
    reconstruction_rate: float = Field(2e-3, gt=0, description="learning rate of update (ii), φ and ψ by L2")
    penalty_rate: float = Field(4e-5, gt=0, description="learning rate of update (iii), ψ by L3")
    penalty_every: int = Field(4, ge=1, description="steps between two of update (iii), which costs as much as the other two")
    seed: int = Field(0, ge=0, description="same seed, same images, same machine: same model")
    checkpoint_every: int = Field(100, ge=1, description="steps between checkpoints, from which a killed run resumes")
    max_bad_share: float = Field(0.1, ge=0, le=1, description="more unreadable images than this share stop the run")
    evaluate_every: int = Field(25, ge=1, description="steps between evaluations on the held-out normal images")
    patience: int = Field(8, ge=1, description="evaluations without a lower held-out L2 after which training stops")
    precision: Precision = Field("auto", description="auto is mixed on CUDA, 32 on a CPU")
    tensorboard: bool = Field(True, description="write TensorBoard event files beside metrics.csv")

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("model") in PRESETS:
            return {**PRESETS[content["model"]], **content}
        return content

    @model_validator(mode="after")
    def _fits_together(self) -> TrainConfig:
        if self.encoder == "mlp" and self.feature == "map":
            raise ValueError("encoder: an mlp makes a vector, not a map; set feature: vector")
        if self.encoder in ("cnn", "mlp") and self.reconstruction_error == "perceptual":
            raise ValueError(
                "reconstruction_error: perceptual needs the features of a pretrained trunk; set l2 or ssim, or encoder: lite0"
            )
        if self.feature == "vector" and self.feature_norm == "mixed":
            raise ValueError("feature_norm: mixed needs a map; for a vector set l2, l1, nearest or mahalanobis")
        if self.regulariser == "jacobian" and self.outputs > LARGEST_JACOBIAN:
            raise ValueError(
                f"regulariser: the exact Jacobian of {self.outputs} outputs is too large (at most {LARGEST_JACOBIAN}); "
                "set projection, which estimates the same, or a smaller input_size"
            )
        if self.weights_from == "manual" and self.feature_weight + self.reconstruction_weight == 0:
            raise ValueError("feature_weight, reconstruction_weight: not both may be 0")
        return self

    @property
    def grid(self) -> int:
        """Side of the anomaly map: 8 pixels of the input are one position."""
        return self.input_size // 8

    @property
    def decoder_grid(self) -> int:
        """Side of X̂ and of the features rebuilt beside it: 16 pixels of the input are one position."""
        return self.input_size // 16

    @property
    def outputs(self) -> int:
        """dim(X̂), rebuilt features included."""
        return (3 + (self.feature_channels if self.reconstruction_error == "perceptual" else 0)) * self.decoder_grid**2
