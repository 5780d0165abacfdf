"""The variables of the OPC UA server, as tables; docs/plant.md shows them, and a test compares them. Pure."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from edge.live.live_status import LiveStatus
from edge.plant.line_message import OFFLINE
from edge.plant.part_result import PartResult
from edge.supervision.states import OUTPUTS, Outputs, State

NAMESPACE = "urn:edge-inspect"
LINE = (
    ("State", "String", "offline, or as in docs/states.md"),
    ("Ready", "Boolean", "parts are taken and may pass"),
    ("Ok", "Boolean", "nothing is wrong"),
    ("Fault", "Boolean", "no part can be known to be good"),
    ("Shadow", "Boolean", "verdicts are recorded, no line acts on them"),
    ("Faults", "String[]", "what makes parts unknown, and why"),
    ("Weaknesses", "String[]", "what else is not as it should be, and why"),
    ("Drift", "String", "what has changed since the calibration; empty where nothing has"),
    ("Recipe", "String", "the product"),
    ("Model", "String", "id of the model"),
    ("Precision", "String", "of the model's file"),
    ("Calibration", "UInt32", "serial of the calibration in use"),
    ("Threshold", "Double", "at or above it a score is a REJECT"),
    ("Settings", "String", "checksum of all that decides"),
    ("PassedParts", "UInt64", "verdicts PASS since the start of the inspection"),
    ("RejectedParts", "UInt64", "verdicts REJECT"),
    ("FaultParts", "UInt64", "verdicts FAULT"),
    ("Triggers", "UInt64", "triggers that made a part"),
)
"""Name, OPC UA's type, meaning. Node ids are ``Line.<name>``."""
RESULT = (
    ("Key", "String", "the part's identity"),
    ("PartId", "Int64", "number of the part"),
    ("Time", "DateTime", "when it was recorded, UTC"),
    ("Outcome", "String", "PASS, REJECT or FAULT"),
    ("Reason", "String", "why it is no PASS"),
    ("Action", "String", "what the line did with it"),
    ("Score", "Double", "NaN where there is none"),
    ("Threshold", "Double", ""),
    ("FeatureScore", "Double", ""),
    ("ReconstructionScore", "Double", ""),
    ("Calibration", "UInt32", "serial of the calibration that judged it; 0 where none did"),
    ("Recipe", "String", "the product it was judged as"),
    ("Missing", "String", "why parts are missing before this one, and from which on; empty where none are"),
    ("Json", "String", "all of it in one value, written last: as MQTT's message"),
)
"""The same, of the newest part. Node ids are ``Result.<name>``."""


def line_values(status: LiveStatus | None) -> dict[str, Any]:
    """By name; None: no inspection answers."""
    driven = OUTPUTS[State(status.state)] if status is not None else Outputs()
    product = status.product if status is not None else None
    outcomes = status.outcomes if status is not None else {}
    return {
        "State": status.state if status is not None else OFFLINE,
        "Ready": driven.ready,
        "Ok": driven.ok,
        "Fault": driven.fault,
        "Shadow": status is not None and status.shadow,
        "Faults": _told(status.faults) if status is not None else [],
        "Weaknesses": _told(status.weaknesses) if status is not None else [],
        "Drift": status.drift if status is not None else "",
        "Recipe": product.recipe if product is not None else "",
        "Model": product.model_id if product is not None else "",
        "Precision": product.precision if product is not None else "",
        "Calibration": product.calibration_serial if product is not None else 0,
        "Threshold": product.threshold if product is not None else math.nan,
        "Settings": status.settings if status is not None else "",
        "PassedParts": outcomes.get("PASS", 0),
        "RejectedParts": outcomes.get("REJECT", 0),
        "FaultParts": outcomes.get("FAULT", 0),
        "Triggers": status.triggers.get("accepted", 0) if status is not None else 0,
    }


def result_values(part: PartResult) -> dict[str, Any]:
    """By name."""
    return {
        "Key": part.key,
        "PartId": part.part_id,
        "Time": datetime.fromisoformat(part.time.removesuffix("Z") + "+00:00"),
        "Outcome": part.outcome,
        "Reason": part.reason,
        "Action": part.action,
        "Score": _figure(part.score),
        "Threshold": _figure(part.threshold),
        "FeatureScore": _figure(part.feature_score),
        "ReconstructionScore": _figure(part.reconstruction_score),
        "Calibration": part.calibration_serial or 0,
        "Recipe": part.recipe,
        "Missing": f"from {part.gap.expected} on: {part.gap.reason}" if part.gap is not None else "",
        "Json": part.model_dump_json(),
    }


def _figure(value: float | None) -> float:
    return math.nan if value is None else value


def _told(reasons: dict[str, str]) -> list[str]:
    return [f"{what}: {reason}" for what, reason in reasons.items()]
