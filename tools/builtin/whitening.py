"""whitening.npz: the linear map from pooled features to the space ``look``.

Learned whitening (Mikolajczyk and Matas 2007; Radenovic et al. 2018): directions in which the same
thing differs from itself (size, turn, light, surroundings, viewpoint) are shrunk, then the
directions in which everything differs most are kept. Fitted on the ``fit`` split of the needle
scenes, whose objects and photographs are in no other split.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from needlepoint.encoders.builtin.sight import Sight, resize
from needlepoint.regions.dense import window_means, window_spans
from needlepoint.regions.describe import WINDOW_SIZES

WIDTH = 384
SCENE_SIDE = 1024
ALONE_SIDES = (96, 128, 192)
SHRINK = 3.0
"""Weight of the identity against the within-thing covariance, in units of its mean variance."""
NEAREST = 3
"""Windows taken for each object: those that overlap its box best."""
RANDOM = 40
"""Windows taken anywhere in each scene, for the total covariance."""


def cells_of(net: Sight, pixels: np.ndarray, side: int) -> np.ndarray:
    """The raw map ``[rows, cols, 1280]`` of a picture at a long side in pixels.

    Unlike the product's passes, cut-outs are enlarged as far as the side asks.
    """
    scale = side / max(pixels.shape[:2])
    high, wide = (max(1, round(s * scale / 32)) * 32 for s in pixels.shape[:2])
    return net.cells(resize(pixels, high, wide))


def scenes(folder: Path) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Each picture's truth and its pixels."""
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    for entry in truth["pictures"]:
        with Image.open(folder / entry["file"]) as image:
            yield entry, np.asarray(image.convert("RGB"))


def overlap(boxes: np.ndarray, box: list[float]) -> np.ndarray:
    """Intersection over union of boxes ``[W, 4]`` (x0, y0, x1, y1) with one x, y, w, h."""
    x, y, w, h = box
    wide = np.minimum(boxes[:, 2], x + w) - np.maximum(boxes[:, 0], x)
    high = np.minimum(boxes[:, 3], y + h) - np.maximum(boxes[:, 1], y)
    both = np.clip(wide, 0, None) * np.clip(high, 0, None)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return both / (area + w * h - both)


def gather(net: Sight, folder: Path) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Features of the objects' windows, their names, and features of random windows."""
    things, names, others = [], [], []
    draw = np.random.default_rng(0)
    for entry, pixels in scenes(folder):
        cells = cells_of(net, pixels, SCENE_SIDE)
        spans = window_spans(*cells.shape[:2], WINDOW_SIZES)
        means = window_means(cells, spans)
        step_x = entry["width"] / cells.shape[1]
        step_y = entry["height"] / cells.shape[0]
        corner = spans[:, 1::-1]
        boxes = np.concatenate([corner, corner + spans[:, :1:-1]], 1) * ([step_x, step_y] * 2)
        for thing in entry["objects"]:
            if thing["visible_fraction"] >= 0.6:
                best = np.argsort(overlap(boxes, thing["box"]), kind="stable")[-NEAREST:]
                things.append(means[best])
                names += [thing["object_id"]] * NEAREST
        others.append(means[draw.choice(len(means), RANDOM, replace=False)])
    return np.concatenate(things), names, np.concatenate(others)


def alone(net: Sight, cutouts: Iterator[tuple[str, Path]]) -> tuple[np.ndarray, list[str]]:
    """Features of things by themselves on grey, at the sizes pictures are asked with."""
    rows, names = [], []
    for name, path in cutouts:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
        image = image.crop(image.getchannel("A").point(lambda a: 255 * (a > 16)).getbbox())
        grey = Image.new("RGB", image.size, (128, 128, 128))
        grey.paste(image, (0, 0), image)
        for side in ALONE_SIDES:
            rows.append(cells_of(net, np.asarray(grey), side).mean((0, 1)))
            names.append(name)
    return np.stack(rows), names


def within(features: np.ndarray, names: list[str]) -> np.ndarray:
    """Covariance ``[C, C]`` of features around the mean of their own thing."""
    features = features.astype(np.float64)
    labels = np.unique(np.array(names), return_inverse=True)[1]
    count = np.bincount(labels)
    sums = np.zeros((len(count), features.shape[1]))
    np.add.at(sums, labels, features)
    residue = features - (sums / count[:, None])[labels]
    return residue.T @ residue / (len(features) - len(count))


def fit(total: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The map float64 ``[C, WIDTH]``: whiten within things, then keep the main axes of the total.

    The axes are scaled by their variance to the power -1/4, half way to whitening them too.
    """
    size = len(inner)
    shrunk = inner + SHRINK * np.trace(inner) / size * np.eye(size)
    values, axes = np.linalg.eigh(shrunk)
    first = axes * values**-0.5
    spread, turn = np.linalg.eigh(first.T @ total @ first)
    spread, turn = spread[::-1][:WIDTH], turn[:, ::-1][:, :WIDTH]
    matrix = first @ turn * spread**-0.25
    return matrix * np.sign(matrix[np.abs(matrix).argmax(0), np.arange(WIDTH)])


def build(folder: Path, sets: list[Path], cutouts: list[tuple[str, Path]]) -> None:
    """Write whitening.npz from scene folders and (name, file) cut-outs of the ``fit`` split."""
    net = Sight(threads=0)
    gathered = [gather(net, one) for one in sets]
    lone, lone_names = alone(net, iter(cutouts))
    others = np.concatenate([g[2] for g in gathered]).astype(np.float64)
    things = np.concatenate([*(g[0] for g in gathered), lone])
    names = [name for g in gathered for name in g[1]] + lone_names
    matrix = fit(np.cov(others.T), within(things, names))
    np.savez(
        folder / "whitening.npz",
        mean=others.mean(0).astype(np.float32),
        matrix=matrix.astype(np.float32),
    )
