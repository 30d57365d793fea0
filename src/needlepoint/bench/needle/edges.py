"""Can the outlines of pasted things be told from edges that were in the photographs?

How it is checked: on finished scenes (after the camera's blur and grain and after JPEG), points are
sampled on the visible outlines of pasted things, and on edges of the background photograph at least
eight pixels away from everything pasted. Both must be local maxima of the gradient along its
direction, and of both kinds as many are kept in each range of strength (length of the gradient),
straightness (coherence of the structure tensor) and step (difference of grey four to eight pixels
to either side): that an edge is strong, or the border of something and not a speck of texture,
proves nothing. At each point six detectors measure what gives a paste away:

- ``noise``: how much the grain differs on the two sides (residual of Immerkaer's kernel);
- ``texture``: how much the gradient energy differs on the two sides;
- ``halo``: how far the profile across the edge leaves the range of its two sides;
- ``width``: how wide the edge is (gradient ratio under a further blur of one pixel);
- ``odd_width``: how far that is from the median width in the same picture;
- ``fringe``: how far the steps of colour and of lightness lie apart.

The area under the ROC curve (folded to at least 0.5, since a detector may work either way) says how
well each one alone tells the two kinds apart, and that of a linear discriminant fitted on half of
the pictures and tried on the other half says how well all together do. 0.5 is chance.

``inside`` is the control: edges within things, at least eight pixels from any outline, against
those of the photographs. Nothing was cut there, so what tells them apart is that things look unlike
backgrounds; only what exceeds it gives outlines away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from needlepoint.bench.needle.blend import gradient, grey, slopes, smooth
from needlepoint.bench.needle.truth import Placed, ScenePicture, Truth
from needlepoint.errors import UsageError
from needlepoint.regions.masks import read_segmentation

DETECTORS = ("noise", "texture", "halo", "width", "odd_width", "fringe")
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
_AWAY = 8
_WEAKEST = 6.0  # grey levels a pixel
_PER_PICTURE = 80
_BINS = 5


@dataclass(frozen=True)
class EdgeCheck:
    """Areas under the curve: of each detector, and of all together on pictures not fitted on."""

    alone: dict[str, float]
    together: float
    outlines: int
    natural: int


def check_edges(
    folder: str | Path,
    truth: Truth,
    *,
    keep: Callable[[Placed], bool] = lambda row: True,
    inside: bool = False,
    seed: int = 0,
    most: int = 200,
) -> EdgeCheck:
    """Measure how well detectors tell pasted outlines from natural edges in a set of crowds.

    Args:
        folder: the set's folder.
        truth: its truth, with masks.
        keep: which things' outlines count (photographs only, for example).
        inside: compare edges within things instead of their outlines (the control).
        seed: of the sampling.
        most: most pictures to look at.

    Returns:
        The areas under the curve (see the module's description for the method).

    Raises:
        UsageError: fewer than 50 points of a kind were found.
    """
    rng = np.random.default_rng(seed)
    rows: list[FloatArray] = []
    labels: list[npt.NDArray[np.bool_]] = []
    owners: list[IntArray] = []
    kinds: list[npt.NDArray[Any]] = []
    for number, picture in enumerate(truth.pictures[:most]):
        with Image.open(Path(folder) / picture.file) as opened:
            rgb = np.asarray(opened.convert("RGB"), dtype=np.float32)
        pasted, natural = _points(rgb, picture, keep, inside, rng)
        points = np.concatenate([pasted, natural])
        if not len(points):
            continue
        rows.append(measure(rgb, points))
        labels.append(np.arange(len(points)) < len(pasted))
        owners.append(np.full(len(points), number))
        kinds.append(_kind_of_edge(rgb, points))
    if not rows:
        raise UsageError(f"folder={str(folder)!r}: no edges were found")
    values, label = np.concatenate(rows), np.concatenate(labels)
    owner = np.concatenate(owners)
    chosen = _alike(np.concatenate(kinds), label, rng)
    values, label, owner = values[chosen], label[chosen], owner[chosen]
    counts = (int(label.sum()), int((~label).sum()))
    if min(counts) < 50:
        raise UsageError(f"folder={str(folder)!r}: only {counts} outline and natural points")
    alone = {name: _folded(values[:, i], label) for i, name in enumerate(DETECTORS)}
    return EdgeCheck(alone, _discriminant(values, label, owner), *counts)


def measure(rgb: FloatArray, points: IntArray) -> FloatArray:
    """The six detectors [N, 6] at points [N, 2] (row, column) of a picture [H, W, 3]."""
    luma = grey(rgb)
    down, across = slopes(luma)
    length: FloatArray = np.hypot(down, across)
    blurred = gradient(smooth(luma, 1.0))
    r, c = points[:, 0], points[:, 1]
    steps = np.arange(-8, 8.5, 0.5)
    where = _across(down, across, points, steps)
    profile = _sampled(luma, where)
    low, high = profile[:, steps <= -4].mean(1), profile[:, steps >= 4].mean(1)
    contrast = np.abs(high - low) + 4
    near = profile[:, np.abs(steps) < 4]
    over = np.maximum(near.max(1) - np.maximum(low, high), np.minimum(low, high) - near.min(1))
    wave = np.abs(_ripple(luma))
    noise = smooth(wave, 2.0)
    energy = smooth(length.astype(np.float32), 2.0)
    sides = _across(down, across, points, np.array([-6.0, 6.0]))
    grain, texture = _sampled(noise, sides) + 0.5, _sampled(energy, sides) + 0.5
    ratio = length[r, c] / np.maximum(blurred[r, c], 1e-3)
    width = 1 / np.sqrt(np.maximum(ratio**2 - 1, 1 / 36))
    colour = rgb[..., 0] - rgb[..., 2]
    tint = _sampled(colour.astype(np.float32), where)
    inner = np.abs(steps[:-1] + 0.25) < 4
    jump = np.abs(np.diff(profile, axis=1))[:, inner].argmax(1)
    shift = np.abs(np.diff(tint, axis=1))[:, inner].argmax(1)
    columns = [
        np.abs(np.log(grain[:, 0] / grain[:, 1])),
        np.abs(np.log(texture[:, 0] / texture[:, 1])),
        over / contrast,
        width,
        np.abs(np.log(width / np.median(width))),
        np.abs(jump - shift) / 2,
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def owners_of(picture: ScenePicture) -> npt.NDArray[np.int16]:
    """Which thing each pixel [H, W] shows: its place in ``objects``, or -1."""
    owner = np.full((picture.height, picture.width), -1, dtype=np.int16)
    for number, row in enumerate(picture.objects):
        owner[read_segmentation(row.mask, picture.width, picture.height)] = number
    return owner


def _points(
    rgb: FloatArray,
    picture: ScenePicture,
    keep: Callable[[Placed], bool],
    inside: bool,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray]:
    luma = grey(rgb)
    down, across = slopes(luma)
    length = np.hypot(down, across).astype(np.float32)
    middle = np.zeros_like(length, dtype=np.bool_)
    middle[10:-10, 10:-10] = True
    spots = np.argwhere((length > _WEAKEST) & middle)
    step = np.stack([down, across], axis=-1)[spots[:, 0], spots[:, 1]]
    step /= np.maximum(length[spots[:, 0], spots[:, 1]], 1e-3)[:, None]
    here = length[spots[:, 0], spots[:, 1]]
    ahead = _sampled(length, (spots + step)[:, None])[:, 0]
    back = _sampled(length, (spots - step)[:, None])[:, 0]
    spots = spots[(here >= ahead) & (here > back)]
    owner = owners_of(picture)
    kept = np.array([keep(row) for row in picture.objects] + [False])
    border = np.zeros_like(middle)
    for axis in (0, 1):
        one, two = (
            owner[:-1] if axis == 0 else owner[:, :-1],
            owner[1:] if axis == 0 else owner[:, 1:],
        )
        edge = (one != two) & (inside | kept[one] | kept[two])
        border[: -1 if axis == 0 else None, : -1 if axis else None] |= edge
        border[1 if axis == 0 else 0 :, 1 if axis else 0 :] |= edge
    wanted = kept[owner] & ~_grown(border, _AWAY) if inside else _grown(border, 1)
    outline = spots[wanted[spots[:, 0], spots[:, 1]]]
    far = ~_grown(owner >= 0, _AWAY)
    natural = spots[far[spots[:, 0], spots[:, 1]]]
    outline = outline[rng.permutation(len(outline))[:_PER_PICTURE]]
    natural = natural[rng.permutation(len(natural))[: 4 * _PER_PICTURE]]
    return outline, natural


def _kind_of_edge(rgb: FloatArray, points: IntArray) -> FloatArray:
    """Strength, straightness and step [N, 3] of the edges at points [N, 2]."""
    luma = grey(rgb)
    down, across = slopes(luma)
    dd, aa, da = (smooth(part, 2.5) for part in (down * down, across * across, down * across))
    straight = np.hypot(dd - aa, 2 * da) / np.maximum(dd + aa, 1e-3)
    r, c = points[:, 0], points[:, 1]
    strong = np.hypot(down, across)[r, c]
    profile = _sampled(luma, _across(down, across, points, np.arange(-8.0, 8.5, 0.5)))
    step = np.abs(profile[:, :9].mean(1) - profile[:, -9:].mean(1))
    return np.stack([strong, straight[r, c], step], axis=1)


def _across(
    down: FloatArray, across: FloatArray, points: IntArray, steps: FloatArray
) -> FloatArray:
    """Places [N, S, 2] across the edge at each point [N, 2], ``steps`` [S] pixels away."""
    r, c = points[:, 0], points[:, 1]
    normal = np.stack([down[r, c], across[r, c]], axis=1)
    normal /= np.maximum(np.hypot(normal[:, 0], normal[:, 1]), 1e-3)[:, None]
    return points[:, None, :] + normal[:, None, :] * steps[None, :, None]


def _alike(kinds: FloatArray, label: npt.NDArray[np.bool_], rng: np.random.Generator) -> IntArray:
    """Places of points such that each range of strength and straightness holds as many of both."""
    outlines = kinds[label] if label.any() else kinds
    band = np.zeros(len(kinds), dtype=np.int64)
    for column in range(kinds.shape[1]):
        cuts = np.quantile(outlines[:, column], np.linspace(0, 1, _BINS + 1)[1:-1])
        band = band * _BINS + np.digitize(kinds[:, column], cuts)
    chosen: list[IntArray] = []
    for number in np.unique(band):
        both = [np.flatnonzero((band == number) & (label == kind)) for kind in (True, False)]
        most = min(len(places) for places in both)
        chosen += [rng.permutation(places)[:most] for places in both]
    return np.concatenate(chosen)


def _discriminant(values: FloatArray, label: npt.NDArray[np.bool_], owner: IntArray) -> float:
    """Area under the curve of Fisher's discriminant on pictures it was not fitted on."""
    wide = np.concatenate([values, np.log(np.abs(values) + 0.05), values**2], axis=1)
    wide = (wide - wide.mean(0)) / (wide.std(0) + 1e-6)
    fit = owner % 2 == 0
    areas = []
    for part in (fit, ~fit):
        rest = ~part
        if min(label[part].sum(), (~label[part]).sum()) < 10 or label[rest].all():
            continue
        within = np.cov(wide[part & label].T) + np.cov(wide[part & ~label].T)
        within += 0.05 * np.eye(wide.shape[1])
        gap = wide[part & label].mean(0) - wide[part & ~label].mean(0)
        areas.append(area_under_curve(wide[rest] @ np.linalg.solve(within, gap), label[rest]))
    return round(float(np.mean(areas)), 4)


def area_under_curve(score: npt.NDArray[np.floating], label: npt.NDArray[np.bool_]) -> float:
    """Share of (true, false) pairs that the score orders rightly, ties half.

    Example:
        >>> area_under_curve(np.array([0.1, 0.9, 0.9]), np.array([False, True, False]))
        0.75
    """
    order = np.sort(score[~label])
    below = np.searchsorted(order, score[label], "left")
    upto = np.searchsorted(order, score[label], "right")
    return float((below + upto).mean() / 2 / len(order))


def _folded(score: FloatArray, label: npt.NDArray[np.bool_]) -> float:
    area = area_under_curve(score, label)
    return round(max(area, 1 - area), 4)


def _ripple(luma: FloatArray) -> FloatArray:
    wave = luma[:-2] - 2 * luma[1:-1] + luma[2:]
    both = wave[:, :-2] - 2 * wave[:, 1:-1] + wave[:, 2:]
    return np.pad(both, 1, mode="edge")


def _sampled(values: FloatArray, where: npt.NDArray[np.floating]) -> FloatArray:
    """Values [H, W] at places [..., 2] (row, column), bilinear, clipped to the picture."""
    row = np.clip(where[..., 0], 0, values.shape[0] - 1.001)
    column = np.clip(where[..., 1], 0, values.shape[1] - 1.001)
    r, c = row.astype(int), column.astype(int)
    u, v = row - r, column - c
    top = values[r, c] * (1 - v) + values[r, c + 1] * v
    bottom = values[r + 1, c] * (1 - v) + values[r + 1, c + 1] * v
    sampled: FloatArray = (top * (1 - u) + bottom * u).astype(np.float32)
    return sampled


def _grown(mask: npt.NDArray[np.bool_], pixels: int) -> npt.NDArray[np.bool_]:
    """A mask grown by a square of ``pixels`` on each side."""
    for axis in (0, 1):
        grown = mask.copy()
        for step in range(1, pixels + 1):
            ahead = [slice(None)] * 2
            back = [slice(None)] * 2
            ahead[axis], back[axis] = slice(step, None), slice(None, -step)
            grown[tuple(ahead)] |= mask[tuple(back)]
            grown[tuple(back)] |= mask[tuple(ahead)]
        mask = grown
    return mask
