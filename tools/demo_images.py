"""Seeded images that look like one part on a line, with local and global anomalies and their masks, in MVTec's folder layout.

The part is a brushed metal plate with a bolt, a bore, a label and a row of pins on a conveyor. Good ones differ in texture, pose,
lighting and sensor noise. Everything comes from numpy and OpenCV drawing; no photograph is involved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.storage.durable_files import new_folder

SIZE = 320
Canvas = NDArray[np.float32]
Random = np.random.Generator
Place = tuple[int, int]

PLATE = (52, 78, 268, 242)
"""Left, top, right, bottom of the plate in the part's own pixels."""


@dataclass
class Part:
    """What is on the plate and where; global anomalies change this, local ones are drawn over it."""

    features: list[tuple[str, Place]] = field(
        default_factory=lambda: [("bolt", (92, 118)), ("bore", (228, 118)), ("label", (160, 160)), ("pins", (160, 214))]
    )
    shift: tuple[float, float] = (0.0, 0.0)
    turn_degrees: float = 0.0


# --- drawing the part ---------------------------------------------------------------------------------------------


def _conveyor(random: Random) -> Canvas:
    base = np.full((SIZE, SIZE, 3), (62, 60, 58), np.float32)
    weave = random.normal(0, 7, (SIZE, SIZE)).astype(np.float32)
    base += cv2.GaussianBlur(weave, (0, 0), 1.2)[..., None] * 1.6
    base[:, ::16] -= 7
    return base


def _plate(random: Random) -> tuple[Canvas, Canvas]:
    """(brushed metal, its shape 0…1)."""
    left, top, right, bottom = PLATE
    shape = np.zeros((SIZE, SIZE), np.float32)
    cv2.rectangle(shape, (left + 10, top), (right - 10, bottom), 1.0, -1)
    cv2.rectangle(shape, (left, top + 10), (right, bottom - 10), 1.0, -1)
    for x in (left + 10, right - 10):
        for y in (top + 10, bottom - 10):
            cv2.circle(shape, (x, y), 10, 1.0, -1, cv2.LINE_AA)
    brushed = cv2.GaussianBlur(random.normal(0, 26, (SIZE, SIZE)).astype(np.float32), (0, 0), sigmaX=11, sigmaY=0.7)
    metal = np.full((SIZE, SIZE, 3), (158, 156, 150), np.float32) + brushed[..., None] * 2.2
    edge = cv2.GaussianBlur(shape, (0, 0), 3) - cv2.GaussianBlur(shape, (0, 0), 1)
    return metal + 90 * edge[..., None], shape


def _bolt(image: Canvas, at: Place, random: Random) -> None:
    cv2.circle(image, at, 21, (118, 116, 112), -1, cv2.LINE_AA)
    turn = random.uniform(-0.15, 0.15)
    corners = [(at[0] + 15 * np.cos(turn + k * np.pi / 3), at[1] + 15 * np.sin(turn + k * np.pi / 3)) for k in range(6)]
    cv2.fillPoly(image, [np.array(corners, np.int32)], (196, 194, 190), cv2.LINE_AA)
    cv2.circle(image, at, 7, (150, 148, 144), -1, cv2.LINE_AA)


def _bore(image: Canvas, at: Place, random: Random) -> None:  # noqa: ARG001 - one signature for every feature
    cv2.circle(image, at, 21, (190, 188, 184), -1, cv2.LINE_AA)
    cv2.circle(image, at, 15, (34, 33, 32), -1, cv2.LINE_AA)


def _label(image: Canvas, at: Place, random: Random) -> None:  # noqa: ARG001
    x, y = at
    cv2.rectangle(image, (x - 42, y - 16), (x + 42, y + 16), (224, 228, 230), -1)
    widths = (3, 1, 2, 1, 3, 2, 1, 1, 3, 1, 2, 3, 1, 2)
    place = x - 36
    for index, width in enumerate(widths):
        if index % 2 == 0:
            cv2.rectangle(image, (place, y - 11), (place + width, y + 11), (40, 38, 38), -1)
        place += width + 3


def _pins(image: Canvas, at: Place, random: Random) -> None:
    x, y = at
    cv2.rectangle(image, (x - 66, y - 12), (x + 66, y + 12), (52, 46, 44), -1)
    for pin in range(7):
        middle = x - 54 + 18 * pin + int(random.integers(-1, 2))
        cv2.rectangle(image, (middle - 4, y - 8), (middle + 4, y + 8), (92, 178, 206), -1)


FEATURES: dict[str, Callable[[Canvas, Place, Random], None]] = {"bolt": _bolt, "bore": _bore, "label": _label, "pins": _pins}
EXTENT = {"bolt": (22, 22), "bore": (22, 22), "label": (43, 17), "pins": (67, 13)}


def _mark(mask: Canvas, kind: str, at: Place) -> None:
    half_width, half_height = EXTENT[kind]
    cv2.rectangle(mask, (at[0] - half_width, at[1] - half_height), (at[0] + half_width, at[1] + half_height), 1.0, -1)


# --- local anomalies: drawn over the part --------------------------------------------------------------------------


def _somewhere(random: Random, margin: int = 18) -> Place:
    left, top, right, bottom = PLATE
    return int(random.integers(left + margin, right - margin)), int(random.integers(top + margin, bottom - margin))


def _scratch(image: Canvas, mask: Canvas, random: Random) -> None:
    x, y = _somewhere(random, 40)
    angle, length = random.uniform(0, np.pi), random.uniform(40, 90)
    steps = np.linspace(-0.5, 0.5, 12)
    bend = random.uniform(-8, 8)
    points = np.stack(
        [
            x + length * steps * np.cos(angle) + bend * steps**2 * np.sin(angle),
            y + length * steps * np.sin(angle) + bend * steps**2 * np.cos(angle),
        ],
        axis=1,
    ).astype(np.int32)
    cv2.polylines(image, [points], False, (236, 236, 236) if random.random() < 0.5 else (70, 70, 70), 2, cv2.LINE_AA)
    cv2.polylines(mask, [points], False, 1.0, 4)


def _chip(image: Canvas, mask: Canvas, random: Random) -> None:
    left, top, right, bottom = PLATE
    side, along = int(random.integers(4)), random.uniform(0.15, 0.85)
    x = {0: left, 1: right}.get(side, int(left + along * (right - left)))
    y = {2: top, 3: bottom}.get(side, int(top + along * (bottom - top)))
    corners = [
        (x + r * np.cos(a), y + r * np.sin(a))
        for a, r in zip(np.linspace(0, 2 * np.pi, 9)[:-1], random.uniform(9, 17, 8), strict=True)
    ]
    cv2.fillPoly(image, [np.array(corners, np.int32)], (58, 56, 54), cv2.LINE_AA)
    cv2.fillPoly(mask, [np.array(corners, np.int32)], 1.0)


def _stain(image: Canvas, mask: Canvas, random: Random) -> None:
    x, y = _somewhere(random)
    blot = np.zeros((SIZE, SIZE), np.float32)
    axes = (int(random.integers(12, 24)), int(random.integers(8, 16)))
    cv2.ellipse(blot, (x, y), axes, random.uniform(0, 180), 0, 360, 1.0, -1)
    mask[:] = np.maximum(mask, blot)
    blot = cv2.GaussianBlur(blot, (0, 0), 3)[..., None] * random.uniform(0.5, 0.8)
    image[:] = image * (1 - blot) + blot * np.array(random.choice([(28, 50, 78), (40, 66, 44)]), np.float32)


def _contamination(image: Canvas, mask: Canvas, random: Random) -> None:
    for _ in range(int(random.integers(2, 6))):
        x, y = _somewhere(random)
        radius = int(random.integers(2, 6))
        colour = random.choice([(30, 30, 160), (34, 32, 30), (210, 170, 60)])
        cv2.circle(image, (x, y), radius, tuple(float(c) for c in colour), -1, cv2.LINE_AA)
        cv2.circle(mask, (x, y), radius + 1, 1.0, -1)


LOCAL: dict[str, Callable[[Canvas, Canvas, Random], None]] = {
    "scratch": _scratch,
    "chip": _chip,
    "stain": _stain,
    "contamination": _contamination,
}

# --- global anomalies: every patch looks normal, their arrangement does not ----------------------------------------


def _missing(part: Part, mask: Canvas, random: Random) -> None:
    kind, at = part.features.pop(int(random.integers(len(part.features))))
    _mark(mask, kind, at)


def _extra(part: Part, mask: Canvas, random: Random) -> None:
    kind = str(random.choice(["bolt", "bore"]))
    at = (int(random.integers(140, 180)), 112)
    part.features.append((kind, at))
    _mark(mask, kind, at)


def _misplaced(part: Part, mask: Canvas, random: Random) -> None:
    angle, distance = random.uniform(0, 2 * np.pi), random.uniform(22, 38)
    part.shift = (distance * np.cos(angle), distance * np.sin(angle))
    cv2.rectangle(mask, PLATE[:2], PLATE[2:], 1.0, -1)


def _rotated(part: Part, mask: Canvas, random: Random) -> None:
    part.turn_degrees = float(random.choice([-1, 1]) * random.uniform(12, 30)) if random.random() < 0.6 else 180.0
    cv2.rectangle(mask, PLATE[:2], PLATE[2:], 1.0, -1)


def _swapped(part: Part, mask: Canvas, random: Random) -> None:  # noqa: ARG001
    (first, here), (second, there) = part.features[0], part.features[1]
    part.features[0], part.features[1] = (second, here), (first, there)
    _mark(mask, first, here)
    _mark(mask, second, there)


GLOBAL: dict[str, Callable[[Part, Canvas, Random], None]] = {
    "missing": _missing,
    "extra": _extra,
    "misplaced": _misplaced,
    "rotated": _rotated,
    "swapped": _swapped,
}


def demo_image(random: Random, anomaly: str | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One image, uint8 320×320×3 (BGR), and the mask of its anomaly, uint8 320×320, 0 or 255 (all 0 for a good part)."""
    # Each has its own stream, so that the same seed gives the same part with and without the anomaly.
    for_part, for_anomaly, for_scene = random.spawn(3)
    part, mask = Part(), np.zeros((SIZE, SIZE), np.float32)
    if anomaly in GLOBAL:
        GLOBAL[anomaly](part, mask, for_anomaly)
    image, shape = _plate(for_part)
    for kind, at in part.features:
        FEATURES[kind](image, at, for_part)
    if anomaly in LOCAL:
        LOCAL[anomaly](image, mask, for_anomaly)
    pose = _pose(for_scene)
    image, shape, mask = _posed(image, part, pose), _posed(shape, part, pose), _posed(mask, part, pose)
    picture = _conveyor(for_scene)
    shadow = cv2.GaussianBlur(np.roll(shape, (5, 4), (0, 1)), (0, 0), 5)[..., None]
    picture *= 1 - 0.45 * shadow
    picture = picture * (1 - shape[..., None]) + image * shape[..., None]
    return _sensor(picture, for_scene), ((mask > 0.5) * 255).astype(np.uint8)


def _pose(random: Random) -> tuple[float, float, float]:
    """Shift in pixels and turn in degrees that a good part has."""
    return random.uniform(-3, 3), random.uniform(-3, 3), random.uniform(-1.5, 1.5)


def _posed(layer: Canvas, part: Part, pose: tuple[float, float, float]) -> Canvas:
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), pose[2] + part.turn_degrees, 1.0)
    matrix[:, 2] += np.array(pose[:2]) + np.array(part.shift)
    return np.asarray(cv2.warpAffine(layer, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR), np.float32)


def _sensor(picture: Canvas, random: Random) -> NDArray[np.uint8]:
    """Uneven lighting, gain, a little blur, noise that grows with the signal."""
    across, down = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
    light = random.uniform(0.94, 1.06) * (1 + random.uniform(-0.06, 0.06) * across + random.uniform(-0.06, 0.06) * down)
    lit = cv2.GaussianBlur(picture * light[..., None].astype(np.float32), (0, 0), random.uniform(0.5, 0.7))
    noise = random.normal(0, 1, lit.shape) * np.sqrt(1.5 + np.maximum(lit, 0) * 0.04)
    return np.clip(lit + noise, 0, 255).astype(np.uint8)


def make_demo_images(out: Path, seed: int = 0, train: int = 120, test: int = 40, each: int = 8) -> None:
    """Write ``train/good``, ``test/good``, ``test/<anomaly>`` and ``ground_truth/<anomaly>`` into ``out``; raises OutputError."""
    with new_folder(out) as folder:
        groups: list[tuple[str, str | None, int]] = [("train/good", None, train), ("test/good", None, test)]
        groups += [(f"test/{anomaly}", anomaly, each) for anomaly in (*LOCAL, *GLOBAL)]
        for stream, (name, anomaly, count) in enumerate(groups):
            random = np.random.default_rng((seed, stream))
            (folder / name).mkdir(parents=True)
            truth = folder / "ground_truth" / (anomaly or "")
            truth.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                image, mask = demo_image(random, anomaly)
                cv2.imwrite(str(folder / name / f"{index:03d}.png"), image)
                if anomaly is not None:
                    cv2.imwrite(str(truth / f"{index:03d}.png"), mask)
