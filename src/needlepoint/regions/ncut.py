"""``ncut``: masks found in an encoder's own map of a picture, without any detector.

Normalised cut (Shi and Malik 2000) of the graph whose nodes are the cells of the map, one object
at a time: TokenCut (arXiv 2202.11539) finds the first, MaskCut (CutLER, arXiv 2301.11320) goes on
with what is left. Differences of ours: features are centred over the picture first, so that one
threshold serves encoders whose cells are all alike. Shapes: P cells, C width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import DenseEncoder, Encoder, EncoderCard, Floats
from needlepoint.picture import Picture
from needlepoint.regions.masks import Mask, resize_mask
from needlepoint.regions.objects import Objects

Array = npt.NDArray[np.float64]

COUNT = 8
_CELLS = 28  # cells of the longer side: a graph of at most 784 nodes
_ALIKE = 0.15  # cosine from which two cells are joined (TokenCut: 0.2, MaskCut: 0.15)
_APART = 1e-5  # weight of all other pairs (TokenCut, section 3.2)
_LANCZOS = 60  # steps: the vector wanted is well apart from the next, or any of them will do
_LARGEST = 0.6  # share of the map above which a part is what lies behind the objects


@dataclass(frozen=True, slots=True)
class CutObjects:
    """``ncut:N``: at most N masks a picture, made of whole cells of the encoder's map.

    A score is 1 minus half the normalised cut: 1 for a part that nothing joins to the rest.
    """

    count: int = COUNT

    @property
    def name(self) -> str:
        """See ``ObjectSource``."""
        return "ncut" if self.count == COUNT else f"ncut:{self.count}"

    def find(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[Objects]:
        """See ``ObjectSource``."""
        return [self._one(encoder, picture) for picture in pictures]

    def _one(self, encoder: Encoder, picture: Picture) -> Objects:
        parts, scores = cut_parts(_cells(encoder, picture), self.count)
        if not parts:
            return Objects.none()
        rows, cols = picture.pixels.shape[:2]
        masks = [resize_mask(part, cols, rows) for part in parts]
        scale = np.array([picture.scale_x, picture.scale_y] * 2, np.float32)
        boxes = np.stack([_box(mask) for mask in masks]) * scale
        return Objects(boxes, np.array(scores, np.float32), masks)


def _cells(encoder: Encoder, picture: Picture) -> Floats:
    """The encoder's map of a picture, float32 ``[rows, cols, C]``."""
    card = encoder.card
    if isinstance(encoder, DenseEncoder):
        return encoder.dense_features(picture.pixels, long_side=_long_side(card)).cells
    if "tokens" not in card.abilities:
        raise UsageError(
            f"objects is ncut, but {card.address} has no map of a picture to cut. Use windows:9."
        )
    # a map of the whole picture, also where the encoder would cut a square out of the middle
    features = encoder.image_features([picture.pixels], want=frozenset({"tokens"}))
    assert features.tokens is not None
    assert features.grid is not None
    cells: Floats = features.tokens[0].reshape(*features.grid, -1)
    return cells


def _long_side(card: EncoderCard) -> int:
    """Pixels at which the map has ``_CELLS`` cells; twice the input where a cell has no size."""
    return card.patch * _CELLS if card.patch else 2 * card.input_size


def cut_parts(cells: Floats, count: int) -> tuple[list[Mask], list[float]]:
    """Up to ``count`` parts of a map as masks bool ``[rows, cols]``, and their scores.

    Args:
        cells: float32 ``[rows, cols, C]``; larger maps are pooled to ``_CELLS`` a side.
        count: parts are disjoint; fewer come back when too little of the map is left.

    Example:
        >>> cells = np.zeros((6, 6, 2), np.float32); cells[..., 0] = 1; cells[1:3, 1:3] = (0, 1)
        >>> parts, _ = cut_parts(cells, 1)
        >>> np.argwhere(parts[0]).tolist()
        [[1, 1], [1, 2], [2, 1], [2, 2]]
    """
    cells = _pooled(cells)
    shape = cells.shape[:2]
    flat = cells.reshape(-1, cells.shape[2]).astype(np.float64)
    flat -= flat.mean(0)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    weights = np.where(flat @ flat.T >= _ALIKE, 1.0, _APART)
    left = np.ones(len(flat), np.bool_)
    parts: list[Mask] = []
    scores: list[float] = []
    while len(parts) < count and left.sum() > 2:
        found = _part(weights, left, shape)
        if found is None:
            break
        parts.append(found.reshape(shape))
        scores.append(_score(weights, found))
        left &= ~found
    return parts, scores


def _part(weights: Array, left: Mask, shape: tuple[int, ...]) -> Mask | None:
    """The connected part of the cells ``[P]`` left that the cut sets apart most."""
    places = np.flatnonzero(left)
    some = weights[np.ix_(places, places)]
    degree = some.sum(1)
    root = 1 / np.sqrt(degree)
    # of (D - W) x = l D x the second smallest l: of D^-1/2 W D^-1/2 the second largest, whose
    # largest has D^1/2 as its vector
    second = np.zeros(left.size)
    second[places] = _largest(root[:, None] * some * root, np.sqrt(degree)) * root
    second[np.abs(second) < 1e-12] = 0.0
    mean = second[places].mean()
    seed = int(np.argmax(np.abs(np.where(left, second - mean, 0))))
    high = (second > mean) & left
    front = high if high[seed] else left & ~high
    if front.sum() > _LARGEST * left.size or _corners(front.reshape(shape)) >= 2:
        front = left & ~front
        if not front.any():
            return None
        seed = int(np.argmax(np.where(front, np.abs(second - mean), -1)))
    return _connected(front.reshape(shape), seed)


def _largest(matrix: Array, without: Array) -> Array:
    """The eigenvector ``[P]`` of largest eigenvalue of a symmetric matrix, orthogonal to a vector.

    Lanczos with full orthogonalisation, from a fixed start.
    """
    size = len(matrix)
    basis = [without / np.linalg.norm(without)]
    at = np.cos(np.arange(size) * 1.7) + np.linspace(0, 1, size)
    for _ in range(min(size - 1, _LANCZOS)):
        for _ in range(2):  # twice is enough (Kahan and Parlett)
            known = np.stack(basis)
            at = at - known.T @ (known @ at)
        length = np.linalg.norm(at)
        if length < 1e-10:
            break
        basis.append(at / length)
        at = matrix @ basis[-1]
    found = np.stack(basis[1:])
    _, inner = np.linalg.eigh(found @ matrix @ found.T)
    vector: Array = found.T @ inner[:, -1]
    return vector


def _corners(part: Mask) -> int:
    """How many corners of the map a part holds: what holds two or more lies behind (MaskCut)."""
    return int(part[0, 0]) + int(part[0, -1]) + int(part[-1, 0]) + int(part[-1, -1])


def _connected(part: Mask, seed: int) -> Mask:
    """The cells of a part that are reached from a seed over shared sides, flat ``[P]``."""
    reached = np.zeros_like(part)
    reached.flat[seed] = True
    while True:
        wider = reached.copy()
        wider[1:] |= reached[:-1]
        wider[:-1] |= reached[1:]
        wider[:, 1:] |= reached[:, :-1]
        wider[:, :-1] |= reached[:, 1:]
        wider &= part
        if (wider == reached).all():
            return reached.reshape(-1)
        reached = wider


def _score(weights: Array, part: Mask) -> float:
    """1 minus half the normalised cut between a part and all the rest."""
    between = weights[np.ix_(part, ~part)].sum()
    inner, outer = weights[part].sum(), weights[~part].sum()
    return float(1 - (between / inner + between / outer) / 2) if outer else 0.0


def _pooled(cells: Floats) -> Floats:
    """A map of at most ``_CELLS`` cells a side: means of blocks of cells, edges cut off."""
    step = -(-max(cells.shape[:2]) // _CELLS)
    rows, cols = (max(side // step, 1) for side in cells.shape[:2])
    if step == 1:
        return cells
    high, wide = min(step, cells.shape[0]), min(step, cells.shape[1])
    blocks = cells[: rows * high, : cols * wide].reshape(rows, high, cols, wide, -1)
    pooled: Floats = blocks.mean(axis=(1, 3))
    return pooled


def _box(mask: Mask) -> Floats:
    """Box x, y, w, h around the true pixels of a mask."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = cols[0], rows[0]
    return np.array([x, y, cols[-1] - x + 1, rows[-1] - y + 1], np.float32)
