"""One slot as a technician asks about it, in words and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.slots.calibration_slot import CalibrationSlot
from edge.slots.slot_activations import History
from edge.slots.slot_record import RECORD

JOBS = {"center": "C", "weights": "λ1, λ2", "threshold": "the threshold"}
LAST_ACTIVATIONS = 3
"""So many are told to people."""


def summary(slot: CalibrationSlot, active: int | None, history: History) -> dict[str, Any]:
    """JSON values: the record, with images counted instead of listed, and what it does not hold."""
    record = slot.record
    listed = {"images", "files", "reference_images"}
    return {
        **record.model_dump(exclude=listed),
        "active": record.serial == active,
        "images": {job: len(files) for job, files in record.images.items()},
        "reference_images": len(record.reference_images),
        "feature_weight": float(slot.tensors["feature_weight"][0]),
        "reconstruction_weight": float(slot.tensors["reconstruction_weight"][0]),
        "group_weight": [float(weight) for weight in slot.tensors["group_weight"]],
        "promise_in_words": record.promise.describe(),
        "view_in_words": record.view.describe(),
        "folder": str(slot.path),
        "report": [str(path) for path in report_files(slot)],
        "activations": [
            one.model_dump()
            for one, effective in zip(history.activations, history.took_effect(active), strict=True)
            if effective and one.to_serial == record.serial
        ],
    }


def report_files(slot: CalibrationSlot) -> list[Path]:
    """What was put into the folder for people: all but the record and the files it has hashes for."""
    known = {RECORD, *slot.record.files}
    return sorted(path for path in slot.path.iterdir() if path.name not in known)


def rows(content: dict[str, Any]) -> list[tuple[str, str]]:
    """(what, value) of a ``summary``, in the order in which one asks."""
    size = content["frame_size"]
    frames = "images of various sizes" if size is None else f"images of {size[0]}×{size[1]}"
    images = ", ".join(f"{count} for {JOBS.get(job, job)}" for job, count in content["images"].items())
    passed_over = f"; {content['passed_over']} passed over, the training saw them" if content["passed_over"] else ""
    lines = [
        ("calibration", f"{content['serial']}{', active' if content['active'] else ''}"),
        ("made", f"{content['created']} by {content['operator']}"),
        *(
            ("activated" if one["action"] == "activate" else "rolled back to", _activation(one))
            for one in content["activations"][-LAST_ACTIVATIONS:]
        ),
        ("threshold", f"{content['threshold']:.6g}"),
        ("promise", f"{content['promise_in_words']}, from {content['promise']['images']} images"),
        ("λ1, λ2", f"{content['feature_weight']:.4g}, {content['reconstruction_weight']:.4g}"),
        ("weights in L1", ", ".join(f"{weight:.4g}" for weight in content["group_weight"])),
        ("C", content["center_source"]),
        ("images", images + passed_over),
        *(("checked", f"{folder}: {one['rejected']} of {one['images']} rejected") for folder, one in content["checked"].items()),
        ("view", f"{content['view_in_words']}, {frames}"),
        ("engine", f"{content['precision']} on {content['runtime']}"),
        ("model", f"{content['model_id']}, sha256 {content['model_sha256'][:12]}"),
        ("self-test", f"{content['reference_images']} reference images"),
        ("content", f"sha256 {content['content_sha256'][:12]}"),
        ("folder", content["folder"]),
        *(("report", path) for path in content["report"]),
    ]
    for name, one in content["baseline"].items():
        lines.append((f"normal {name}", "{mean:.4g} ± {deviation:.2g}, 1 to 99 %: {low:.4g} … {high:.4g}".format(**one)))
    return lines


def _activation(one: dict[str, Any]) -> str:
    before = "" if one["from_serial"] is None else f", {one['from_serial']} was before"
    return f"{one['time']} by {one['operator']}{before}{': ' + one['reason'] if one['reason'] else ''}"
