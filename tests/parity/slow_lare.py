"""LARE written out slowly: loops over numbers and Pillow crops, nothing shared with the product."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image


def slow_map(attention: np.ndarray, prefix: int, grid: int, side: int) -> np.ndarray:
    """``attention [H, T, T]`` with class and register tokens to ``M [side, side]``."""
    scaled = []
    for head in attention.astype(np.float64):
        inner = head[prefix:, prefix:]
        got = [sum(inner[j][i] for j in range(len(inner))) for i in range(len(inner))]
        low, high = min(got), max(got)
        scaled.append([(a - low) / (high - low + 1e-8) for a in got])
    spread = [sum((a - sum(h) / len(h)) ** 2 for a in h) / len(h) for h in scaled]
    best = sorted(range(len(scaled)), key=lambda h: spread[h])[-4:]
    mean = [sum(scaled[h][i] for h in best) / len(best) for i in range(grid * grid)]
    small = [mean[r * grid : (r + 1) * grid] for r in range(grid)]
    made = np.empty((side, side), np.float32)
    for y in range(side):
        for x in range(side):
            made[y, x] = 1 - slow_bilinear(small, x, y, side)
    return made


def slow_bilinear(small: list[list[float]], x: int, y: int, side: int) -> float:
    """Half-pixel centres, clamped edges."""
    rows, cols = len(small), len(small[0])
    v = (y + 0.5) * rows / side - 0.5
    u = (x + 0.5) * cols / side - 0.5
    top, left = math.floor(v), math.floor(u)
    total = 0.0
    for r, share_r in ((top, 1 - (v - top)), (top + 1, v - top)):
        for c, share_c in ((left, 1 - (u - left)), (left + 1, u - left)):
            cell = small[min(max(r, 0), rows - 1)][min(max(c, 0), cols - 1)]
            total += share_r * share_c * cell
    return total


@dataclass
class Box:
    x1: int
    y1: int
    x2: int
    y2: int
    score: float

    @property
    def area(self) -> int:
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    def iou(self, other: Box) -> float:
        w = max(0, min(self.x2, other.x2) - max(self.x1, other.x1))
        h = max(0, min(self.y2, other.y2) - max(self.y1, other.y1))
        return w * h / (self.area + other.area - w * h)

    @property
    def corners(self) -> list[int]:
        return [self.x1, self.y1, self.x2, self.y2]


def slow_boxes(made: np.ndarray, width: int, height: int, count: int = 5) -> list[Box]:
    """The released proposals, those too small to be encoded included."""
    side = len(made)
    windows = []
    for y in range(0, side - 64 + 1, 32):
        for x in range(0, side - 64 + 1, 32):
            box = Box(
                x * width // side, y * height // side,
                (x + 64) * width // side, (y + 64) * height // side,
                float(made[y : y + 64, x : x + 64].mean()),
            )  # fmt: skip
            if box.area >= 32 * 32:
                windows.append(box)
    kept: list[Box] = []
    for box in sorted(windows, key=lambda b: b.score, reverse=True):
        if all(box.iou(other) <= 0.3 for other in kept):
            kept.append(box)
    return kept[:count]


def slow_crops(pixels: np.ndarray, boxes: list[Box], side: int) -> list[np.ndarray]:
    """Squares of the boxes that are large enough."""
    picture = Image.fromarray(pixels)
    return [
        np.asarray(picture.crop(tuple(b.corners)).resize((side, side), Image.Resampling.BICUBIC))
        for b in boxes
        if b.x2 - b.x1 >= 32 and b.y2 - b.y1 >= 32
    ]


def slow_score(text: np.ndarray, whole: np.ndarray, regions: np.ndarray, tau: float) -> float:
    """Eq. 4."""
    s_g = float(text @ whole)
    s_r = max((float(text @ r) for r in regions), default=-math.inf)
    if s_g >= tau or s_r <= s_g:
        return s_g
    share = min(2 * (s_r - s_g), 0.5)
    return (1 - share) * s_g + share * s_r
