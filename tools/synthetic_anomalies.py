"""Seeded anomalies made on real images of good parts: local ones with their mask, and global ones whose patches stay normal.

The seams of a global one are the only places where it is not locally normal. Both depend on the seed and the image's pixels alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image
from tools.part_region import filled, foreground, grown, moved, moved_mask, one_side, parts

Random = np.random.Generator
Alpha = NDArray[np.float32]
"""H×W, 0…1: how much of the anomaly shows; its mask is where this is above 0."""
Place = tuple[int, int, float]
"""Column, row and size in pixels."""

SMALLEST, LARGEST = 0.012, 0.15
"""Size of a local anomaly as a share of the shorter side."""
LEAST_CHANGE = 8.0
"""Mean grey levels a local anomaly changes inside its mask; fainter ones are drawn again."""
TRIES = 12
LEAST_SHIFT, LARGEST_SHIFT = 0.15, 0.3


def local_anomaly(image: Image, name: str, seed: int, donor: Image | None = None) -> tuple[Image, Image]:
    """``image`` (uint8 H×W×3, BGR) with the anomaly ``name`` of LOCAL, and its mask (uint8 H×W, 0 or 255).

    Nothing changes outside the mask. donor: where a chip's foreign texture comes from; by default elsewhere in ``image``.
    """
    random = _stream(image, seed, name)
    places = _places(image)
    best, best_alpha, best_change = image, np.zeros(image.shape[:2], np.float32), -1.0
    for _ in range(TRIES):
        changed, alpha = LOCAL[name](image, image if donor is None else donor, _place(places, random), random)
        mask = alpha > 0
        mixed = image + alpha[..., None] * (changed - image)
        result = np.where(mask[..., None], np.clip(np.rint(mixed), 0, 255), image).astype(np.uint8)
        change = float(np.abs(result[mask].astype(int) - image[mask]).mean()) if mask.any() else -1.0
        if change > best_change:
            best, best_alpha, best_change = result, alpha, change
        if change >= LEAST_CHANGE:
            break
    return best, ((best_alpha > 0) * 255).astype(np.uint8)


def global_anomaly(image: Image, name: str, seed: int) -> Image:
    """``image`` (uint8 H×W×3, BGR) with the anomaly ``name`` of GLOBAL, same shape and type.

    It may be like the original: a mirrored part that is symmetric, or one removed where none is to be seen.
    """
    return np.ascontiguousarray(GLOBAL[name](image, _stream(image, seed, name)))


def _stream(image: Image, seed: int, name: str) -> Random:
    digest = hashlib.sha256(name.encode() + str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).digest()
    return np.random.default_rng((seed, int.from_bytes(digest[:8], "big")))


# --- where a local anomaly goes -----------------------------------------------------------------------------------


def _places(image: Image) -> NDArray[np.float64]:
    """Probability of each pixel to be a centre: half by the gradient around it, half on the part, a little anywhere inside."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (0, 0), 1.5).astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    structure = cv2.GaussianBlur(cv2.magnitude(across, down), (0, 0), 3).astype(np.float64)
    part = foreground(image).astype(np.float64)
    weight = 0.5 * structure / max(structure.sum(), 1e-9) + 0.5 * part / max(part.sum(), 1.0) + 0.02 / part.size
    margin = max(2, round(0.04 * min(part.shape)))
    inside = np.zeros_like(weight)
    inside[margin:-margin, margin:-margin] = weight[margin:-margin, margin:-margin]
    return np.asarray(inside / inside.sum())


def _place(places: NDArray[np.float64], random: Random) -> Place:
    row, column = divmod(int(random.choice(places.size, p=places.ravel())), places.shape[1])
    size = min(places.shape) * float(np.exp(random.uniform(np.log(SMALLEST), np.log(LARGEST))))
    return column, row, max(3.0, size)


def _blob(shape: tuple[int, ...], at: Place, random: Random, softness: float) -> Alpha:
    """A rough round shape about ``at[2]`` pixels wide; softness: width of its edge as a share of its radius."""
    x, y, size = at
    radius = size / 2
    turns = np.linspace(0, 2 * np.pi, 10)[:-1]
    stretch, angle = random.uniform(0.6, 1.0), random.uniform(0, np.pi)
    lengths = radius * random.uniform(0.7, 1.0, len(turns))
    along, beside = lengths * np.cos(turns), stretch * lengths * np.sin(turns)
    corners = np.stack(
        [x + along * np.cos(angle) - beside * np.sin(angle), y + along * np.sin(angle) + beside * np.cos(angle)], axis=1
    )
    alpha = np.zeros(shape[:2], np.float32)
    cv2.fillPoly(alpha, [np.rint(corners * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    inside = alpha > 0
    soft = cv2.GaussianBlur(alpha, (0, 0), max(0.4, softness * radius))
    return np.where(inside, soft, 0).astype(np.float32)


def _tone(random: Random, low: float, high: float) -> float:
    """A step of grey levels, lighter or darker."""
    return float(random.choice([-1, 1]) * random.uniform(low, high))


# --- local anomalies: (image with it everywhere, where it shows) --------------------------------------------------


def _scratch(image: Image, donor: Image, at: Place, random: Random) -> tuple[Alpha, Alpha]:  # noqa: ARG001 - one signature
    x, y, size = at
    angle, length, bend = random.uniform(0, np.pi), max(6.0, 1.5 * size), random.uniform(-0.15, 0.15)
    t = np.linspace(-0.5, 0.5, 16)
    side = bend * (4 * t**2 - 1)
    points = np.stack(
        [x + length * (t * np.cos(angle) - side * np.sin(angle)), y + length * (t * np.sin(angle) + side * np.cos(angle))], axis=1
    )
    alpha = np.zeros(image.shape[:2], np.float32)
    thickness = int(random.integers(1, 2 + round(min(image.shape[:2]) / 200)))
    cv2.polylines(alpha, [np.rint(points * 16).astype(np.int32)], False, 1.0, thickness, cv2.LINE_AA, 4)
    return image.astype(np.float32) + np.float32(_tone(random, 30, 110)), alpha


def _chip(image: Image, donor: Image, at: Place, random: Random) -> tuple[Alpha, Alpha]:
    """Texture of another place, or of the same place of another part turned by a right angle, pasted in."""
    height, width = image.shape[:2]
    turned = np.ascontiguousarray(np.rot90(donor, int(random.integers(1, 4))))
    foreign = np.asarray(cv2.resize(turned, (width, height), interpolation=cv2.INTER_LINEAR))
    down, right = (int(random.uniform(0.2, 0.8) * side) for side in (height, width))
    return np.roll(foreign, (down, right), (0, 1)).astype(np.float32), _blob(image.shape, at, random, 0.05)


def _stain(image: Image, donor: Image, at: Place, random: Random) -> tuple[Alpha, Alpha]:  # noqa: ARG001
    tint = _tone(random, 25, 80) + random.uniform(-20, 20, 3)
    return image.astype(np.float32) + tint.astype(np.float32), _blob(image.shape, (at[0], at[1], max(6.0, at[2])), random, 0.35)


def _warp(image: Image, donor: Image, at: Place, random: Random) -> tuple[Alpha, Alpha]:  # noqa: ARG001
    x, y, size = at
    radius = max(6.0, 0.75 * size)
    columns, rows = np.meshgrid(np.arange(image.shape[1], dtype=np.float32), np.arange(image.shape[0], dtype=np.float32))
    fall = np.clip(1 - ((columns - x) ** 2 + (rows - y) ** 2) / radius**2, 0, 1).astype(np.float32) ** 2
    angle, reach = random.uniform(0, 2 * np.pi), radius * random.uniform(0.3, 0.6)
    from_x, from_y = columns + np.float32(reach * np.cos(angle)) * fall, rows + np.float32(reach * np.sin(angle)) * fall
    bent = cv2.remap(image, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return bent.astype(np.float32), (fall > 0).astype(np.float32)


def _hole(image: Image, donor: Image, at: Place, random: Random) -> tuple[Alpha, Alpha]:  # noqa: ARG001
    """A dark spot, or a bright one where the place is dark already."""
    x, y, size = at
    alpha = _blob(image.shape, (x, y, max(4.0, 0.6 * size)), random, 0.15)
    level = random.uniform(0, 30) if float(image[alpha > 0].mean()) > 80 else random.uniform(140, 220)
    return np.full(image.shape, level, np.float32) + np.float32(random.normal(0, 3, image.shape)), alpha


LOCAL: dict[str, Callable[[Image, Image, Place, Random], tuple[Alpha, Alpha]]] = {
    "scratch": _scratch,
    "chip": _chip,
    "stain": _stain,
    "warp": _warp,
    "hole": _hole,
}

# --- global anomalies ---------------------------------------------------------------------------------------------


def _swapped(image: Image, random: Random) -> Image:
    """The left and right, or the upper and lower half exchanged."""
    axis = int(random.integers(2))
    return np.roll(image, image.shape[axis] // 2, axis)


def _removed(image: Image, random: Random) -> Image:
    """One part of several, or a side of a single one, is not there; with its shadow, but nothing of what stays.

    Where no part is to be seen, nothing is changed.
    """
    found = parts(image)
    if not found:
        return image
    region = found[int(random.integers(len(found)))]
    region = one_side(region, random) if len(found) == 1 else region
    stays = np.logical_or.reduce(found) & ~region
    side = min(image.shape[:2])
    region = grown(region, max(1, round(0.06 * side))) & ~stays
    return filled(image, region, grown(foreground(image), max(1, round(0.02 * side))), random)


def _mirrored(image: Image, random: Random) -> Image:
    return np.flip(image, int(random.integers(2)))


def _doubled(image: Image, random: Random) -> Image:
    """The part once more, behind itself and ≥ 15 % of a side away: its outline stays whole, and most of it is seen.

    Where no part is to be seen, nothing is changed.
    """
    height, width = image.shape[:2]
    found = parts(image)
    if not found:
        return image
    region, front = found[int(random.integers(len(found)))], np.logical_or.reduce(found)
    best, best_free = (0, 0), -1
    for _ in range(TRIES):
        down, right = (round(side * random.uniform(-0.6, 0.6)) for side in (height, width))
        if max(abs(down) / height, abs(right) / width) < LEAST_SHIFT:
            continue
        free = int((moved_mask(region, down, right) & ~front).sum())
        if free > best_free:
            best, best_free = (down, right), free
    place = (moved_mask(region, *best) & ~front).astype(np.float32)
    alpha = (cv2.GaussianBlur(place, (0, 0), 1.0) * place)[..., None]
    mixed = image + alpha * (moved(image, *best).astype(np.float32) - image)
    return np.asarray(np.rint(mixed), np.uint8)


def _shifted(image: Image, random: Random) -> Image:
    """Moved by 15 to 30 % of one side; what comes in is the image's own border, mirrored."""
    axis, sign = int(random.integers(2)), int(random.choice([-1, 1]))
    step = sign * int(np.ceil(image.shape[axis] * random.uniform(LEAST_SHIFT, LARGEST_SHIFT)))
    down, right = (step, 0) if axis == 0 else (0, step)
    return moved(image, down, right, cv2.BORDER_REFLECT_101)


GLOBAL: dict[str, Callable[[Image, Random], Image]] = {
    "swapped": _swapped,
    "removed": _removed,
    "mirrored": _mirrored,
    "doubled": _doubled,
    "shifted": _shifted,
}
