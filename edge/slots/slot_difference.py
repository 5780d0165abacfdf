"""What differs between two slots of one bundle, in numbers a person can weigh."""

from __future__ import annotations

import numpy as np

from edge.graph_contract import FeatureGroup, GraphShape
from edge.slots.calibration_slot import CalibrationSlot
from edge.slots.calibration_tensors import Array, centers_name
from edge.slots.slot_record import SlotRecord
from edge.slots.slot_summary import JOBS

Row = tuple[str, str, str, str]
"""(what, in the first, in the second, how far apart)"""


def difference(first: CalibrationSlot, second: CalibrationSlot, shape: GraphShape) -> list[Row]:
    """What differs, then what images both share; raises nothing for whole slots of a graph of ``shape``."""
    a, b = first.record, second.record
    rows: list[Row] = [
        ("made", f"{a.created} by {a.operator}", f"{b.created} by {b.operator}", ""),
        ("model", a.model_sha256[:12], b.model_sha256[:12], ""),
        ("precision", a.precision, b.precision, ""),
        ("runtime", a.runtime, b.runtime, ""),
        ("view", a.view.describe(), b.view.describe(), ""),
        ("frame size", _size(a.frame_size), _size(b.frame_size), ""),
        ("threshold", f"{a.threshold:.6g}", f"{b.threshold:.6g}", _percent(a.threshold, b.threshold)),
        ("threshold above normal scores", _height(a), _height(b), ""),
        ("promise", a.promise.describe(), b.promise.describe(), ""),
        *_weights(first, second),
        ("C", a.center_source, b.center_source, ""),
    ]
    rows = [row for row in rows if row[1] != row[2]] + _centers(first, second, shape)
    for name, one in a.baseline.items():
        other = b.baseline.get(name)
        if other is not None and other != one:
            shift = f"{(other.mean - one.mean) / one.deviation:+.2f} deviations" if one.deviation > 0 else ""
            rows.append((f"mean {name}", f"{one.mean:.4g}", f"{other.mean:.4g}", shift))
    return rows + _images(a.images, b.images)


def center_distance(first: Array, second: Array) -> float:
    """Mean distance from the rows of ``second`` (n×d) to the nearest row of ``first`` (k×d)."""
    middle = first.mean(axis=0, dtype=np.float64)
    a, b = first - middle, second - middle
    square = np.square(b).sum(axis=1)[:, None] + np.square(a).sum(axis=1) - 2.0 * (b @ a.T)
    return float(np.sqrt(np.maximum(square.min(axis=1), 0.0)).mean())


def _height(record: SlotRecord) -> str:
    """The threshold where another λ cannot hide it: in deviations of L from its mean over the good images."""
    normal = record.baseline.get("score")
    return f"{(record.threshold - normal.mean) / normal.deviation:.2f} deviations" if normal and normal.deviation > 0 else "unknown"


def _weights(first: CalibrationSlot, second: CalibrationSlot) -> list[Row]:
    rows: list[Row] = []
    for label, name in (("λ1", "feature_weight"), ("λ2", "reconstruction_weight"), ("weights of L1's groups", "group_weight")):
        a, b = first.tensors[name], second.tensors[name]
        change = _percent(float(a[0]), float(b[0])) if len(a) == 1 else ""
        rows.append((label, _numbers(a), _numbers(b), change))
    return rows


def _centers(first: CalibrationSlot, second: CalibrationSlot, shape: GraphShape) -> list[Row]:
    """How far C lies apart, in the first slot's z, where a channel of a normal image deviates by about 1."""
    a, b = first.tensors, second.tensors
    rows: list[Row] = []
    for index, (part, group) in enumerate(zip(shape.channel_slices(), shape.groups, strict=True)):
        own_names = [centers_name(index)] if group.norm == "nearest" else []
        if all(np.array_equal(a[name], b[name]) for name in ("feature_mean", "feature_scale", *own_names)):
            continue
        scale = a["feature_scale"][part, None, None]
        shift = float(np.sqrt(np.square((b["feature_mean"][part] - a["feature_mean"][part]) * scale).mean()))
        if shift:
            rows.append((f"mean of Z, {_group(index, group)}", "", "", f"{shift:.3g} deviations"))
        if group.norm == "nearest":
            own = [_in_feature_units(slot.tensors[centers_name(index)], slot, part) * scale[:, 0, 0] for slot in (first, second)]
            there, back = center_distance(own[0], own[1]), center_distance(own[1], own[0])
            rows.append((f"centres, {_group(index, group)}", "", "", f"{there:.3g} from the first's, {back:.3g} back"))
    return rows


def _in_feature_units(centers: Array, slot: CalibrationSlot, part: slice) -> Array:
    """Centres as points of Z; a group with the norm "nearest" has one mean for all positions."""
    mean = slot.tensors["feature_mean"][part].mean(axis=(1, 2))
    return np.asarray(centers / slot.tensors["feature_scale"][part] + mean)


def _images(first: dict[str, list[str]], second: dict[str, list[str]]) -> list[Row]:
    rows: list[Row] = []
    for job in dict.fromkeys([*first, *second]):
        a, b = set(first.get(job, [])), set(second.get(job, []))
        rows.append((f"images for {JOBS.get(job, job)}", str(len(a)), str(len(b)), f"{len(a & b)} in both"))
    a, b = ({digest for job in images.values() for digest in job} for images in (first, second))
    rows.append(("images in all", str(len(a)), str(len(b)), f"{len(a & b)} in both"))
    return rows


def _group(index: int, group: FeatureGroup) -> str:
    return f"group {index + 1} ({group.channels} channels {group.norm})"


def _numbers(values: Array) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _size(size: tuple[int, int] | None) -> str:
    return f"{size[0]}×{size[1]}" if size is not None else "various"


def _percent(first: float, second: float) -> str:
    return f"{second / first - 1:+.1%}" if first else ""
