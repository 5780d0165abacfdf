"""A drift in the words of whoever stands at the line: what is seen, what to do."""

from __future__ import annotations

from edge.drift.drift_detector import FOCUS, LIGHT, SCORES, Cause, Drift

DIRECTIONS = {"brightness": ("darker", "brighter"), "saturation": ("less overexposed", "more overexposed")}
SHORT = {
    Cause.LIGHT: "the light has changed",
    Cause.CAMERA: "the focus has changed",
    Cause.PARTS: "the parts look different",
    Cause.DEFECTS: "more parts are rejected",
}


def sentence(drift: Drift, when: str = "") -> str:
    """One line: what has changed since when (default: since which part), how the scores fare, and what helps."""
    return f"{_seen(drift, when or f'since part {drift.since}')}; {_remedy(drift)}"


def picture_change(drift: Drift) -> str:
    """How pictures differ from those of the calibration; empty where they do not."""
    words = [DIRECTIONS[name][now > before] for name, (now, before) in drift.moved.items() if name in LIGHT]
    words += ["sharper" if now > before else "less sharp" for name, (now, before) in drift.moved.items() if name in FOCUS]
    return " and ".join(words)


def _seen(drift: Drift, when: str) -> str:
    rejects = f"{drift.rejected:.1%} of the parts are rejected, more than promised" if drift.rejected is not None else ""
    if drift.cause is Cause.DEFECTS:
        return f"{rejects}, {when}, while those that pass look as they did at the calibration"
    if drift.cause is Cause.PARTS:
        seen = f"most parts score otherwise than at the calibration, {when}, in pictures of the same light and focus"
    else:
        scores = "their scores have moved with it" if drift.moved.keys() & SCORES else "their scores are as they were"
        seen = f"the pictures are {picture_change(drift)} than at the calibration, {when}, and {scores}"
    return f"{seen}; {rejects}" if rejects else seen


def _remedy(drift: Drift) -> str:
    if drift.cause is Cause.DEFECTS:
        return "look at the rejected parts; if they are bad, calibrating again does not help"
    if drift.cause is Cause.PARTS:
        return "look whether the parts are good, such as another lot or material; if so, calibrate again"
    place = "light, exposure and the lens" if drift.cause is Cause.LIGHT else "focus, lens and the camera's mount"
    return f"check {place}, " + ("or calibrate again if it is to stay so" if drift.recalibrate else "before the scores follow")
