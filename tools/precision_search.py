"""A less exact model that still decides as the checkpoint does, found by keeping the layers that hurt most."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from tools.convert_fp16 import PrecisionError

KEPT = (0, 1, 2, 4, 8, 12)
"""How many layers are kept in each round."""
NAMED = 4


def find_model(
    make: Callable[[list[str]], ModelProto],
    layers: list[str],
    judge: Callable[[Path], tuple[dict[str, Any], str]],
    error: Callable[[Path], float],
    path: Path,
) -> dict[str, Any]:
    """Write to ``path`` the first model that passes, and return its report, with the layers that were ``kept_layers``.

    make: the model in which these layers are not converted. judge: a file's report, and why it may not be used or "". error: how
    far a file is off, on a few pictures. Raises PrecisionError, which names the layers that hurt most; then no file is left.
    """
    chosen: list[str] = []
    refusal = reason = ""
    for kept in KEPT:
        if kept > len(layers):
            break
        if kept:  # what hurts most depends on what is kept already
            left = [layer for layer in layers if layer not in chosen]
            chosen = chosen + rank_layers(make, left, error, path, chosen)[: kept - len(chosen)]
        write(make(chosen), path)
        report, reason = judge(path)
        if not reason:
            return report | {"kept_layers": chosen}
        refusal = refusal or reason
    path.unlink(missing_ok=True)
    named = ", ".join(chosen[:NAMED]) or "none"
    raise PrecisionError(f"{refusal}; also with {len(chosen)} layers kept (those that hurt most: {named}): {reason}")


def rank_layers(
    make: Callable[[list[str]], ModelProto], layers: list[str], error: Callable[[Path], float], path: Path, kept: list[str]
) -> list[str]:
    """``layers``, the one first that helps most when it is kept with those that are ``kept``."""
    trial = path.with_name(f"trial-{path.name}")
    errors = []
    try:
        for layer in layers:
            try:
                onnx.save(make([*kept, layer]), trial)
                errors.append(error(trial))
            except PrecisionError:  # it was the last one
                errors.append(float("inf"))
    finally:
        trial.unlink(missing_ok=True)
    return [layers[i] for i in np.argsort(np.nan_to_num(errors, nan=np.inf), kind="stable")]


def write(model: ModelProto, path: Path) -> None:
    """Write ``model`` and check it."""
    onnx.save(model, path)
    onnx.checker.check_model(str(path), full_check=True)
