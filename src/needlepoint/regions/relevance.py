"""MaO's stage B: one vector whose explanation covers the objects of a picture, in closed form.

The explanation is LeGrad's (arXiv 2404.03214): how much more of an attention from one token to a
patch would raise the score. With ``g`` the gradient at what the heads hand on, that is
``ds/dA[h, n, m] = <g[h, n], value[h, m]>``, linear in the vector; what is optimised, and its
gradient, need no graph. Sums over pixels are taken at patch resolution: bilinear enlarging ``U``
is linear, so ``sum E m`` follows from ``<r, U'm>``. MaO: arXiv 2503.07038.

Shapes: N crops, B tokens (vectors that are optimised), H heads, Q query rows, P = g g patches, S
side of a crop in pixels, K = H d, D dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch

from needlepoint.errors import UsageError
from needlepoint.regions.masks import Mask

Tensor = Any

Overlap = Literal["iou", "dice"]
Normal = Literal["crop", "batch"]

EPS = 1e-6


class Attention(Protocol):
    """N crops at one attention: what relevance needs of a network."""

    @property
    def base(self) -> Tensor:
        """The encoder's own output ``[N, D]``, not normalised."""
        ...

    @property
    def values(self) -> Tensor:
        """Values of the patches ``[N, H, P, d]``."""
        ...

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the P patches."""
        ...

    def pull_back(self, tokens: Tensor) -> Tensor:
        """u ``[N, D]`` to the gradient at each head's output ``[N, Q, K]``; linear."""
        ...

    def push(self, gradients: Tensor) -> Tensor:
        """The transpose: ``[N, Q, K]`` to ``[N, D]``."""
        ...


def sensitivity(block: Attention, tokens: Tensor) -> Tensor:
    """``ds/dA`` of ``s = <u, feature>``, u ``[N, D]``, on the patches: linear, ``[N, H, Q, P]``."""
    heads = block.values.shape[1]
    gradient = block.pull_back(tokens)
    gradient = gradient.unflatten(-1, (heads, -1)).transpose(1, 2)
    return gradient @ block.values.transpose(-1, -2)


def relevance(block: Attention, tokens: Tensor) -> Tensor:
    """LeGrad's map of each crop before any scaling: ``[N, g, g]``, never negative.

    The mean over heads and query rows (class and register rows among them) of what of
    ``sensitivity`` is positive.
    """
    return sensitivity(block, tokens).relu_().mean(dim=(1, 2)).unflatten(-1, block.grid)


def enlarger(cells: int, side: int) -> npt.NDArray[np.float64]:
    """Bilinear enlarging of one axis as a matrix ``[side, cells]``: half-pixel centres, clamped.

    Example:
        >>> enlarger(2, 4)[:, 1].tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    place = np.clip((np.arange(side) + 0.5) * (cells / side) - 0.5, 0, cells - 1)
    first = np.minimum(np.floor(place).astype(np.int64), max(cells - 2, 0))
    matrix = np.zeros((side, cells))
    matrix[np.arange(side), first] += 1 - (place - first)
    matrix[np.arange(side), np.minimum(first + 1, cells - 1)] += place - first
    return matrix


@dataclass(frozen=True)
class Aim:
    """What the maps of N crops should cover, and how that is measured.

    ``inside`` ``[N, g, g]`` is ``U'm``, ``all`` ``[g, g]`` is ``U'1``, ``area`` ``[N]`` the pixels
    of the mask. ``floor`` is added to the range of a map before it is divided by it; None divides
    by the range alone, and only where it exceeds 1e-6 (the released code for DINOv2).
    """

    up: tuple[Tensor, Tensor]
    inside: Tensor
    all: Tensor
    area: Tensor
    overlap: Overlap
    normal: Normal
    floor: float | None

    @classmethod
    def at(
        cls,
        block: Attention,
        masks: Sequence[Mask],
        overlap: Overlap = "iou",
        normal: Normal = "crop",
        floor: float | None = EPS,
    ) -> Aim:
        """For N masks bool ``[S, S]``, each with at least one pixel."""
        if len(masks) != len(block.base) or not all(mask.any() for mask in masks):
            raise UsageError(
                f"{len(masks)} masks for {len(block.base)} crops; each crop needs one that is not "
                "empty"
            )
        like = block.values
        rows, cols = block.grid

        def made(array: npt.NDArray[Any]) -> Tensor:
            return torch.from_numpy(array).to(like.device, like.dtype)

        down, across = made(enlarger(rows, len(masks[0]))), made(enlarger(cols, len(masks[0])))
        stacked = made(np.stack(masks))
        return cls(
            up=(down, across),
            inside=down.T @ stacked @ across,
            all=down.sum(0)[:, None] * across.sum(0),
            area=stacked.sum((1, 2)),
            overlap=overlap,
            normal=normal,
            floor=floor,
        )

    def measure(self, maps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """How well maps cover their masks, and how that changes with them.

        Args:
            maps: relevance ``[N, g, g]``.
            weights: ``[N]``.

        Returns:
            overlap ``[N]`` within 0 and 1; the gradient ``[N, g, g]`` of ``sum weights overlap``.
        """
        down, across = self.up
        side = down.shape[0]
        # a shift changes no normalised map, and keeps the sums of a nearly flat one exact
        shift = maps.amin((1, 2) if self.normal == "crop" else (0, 1, 2), keepdim=True)
        maps = maps - shift
        pixels = (down @ maps @ across.T).flatten(1)
        low, high = _ends(pixels, self.normal)
        lowest, highest = (pixels.flatten()[end] for end in (low, high))
        scale, bends = self._scale(highest - lowest)
        lowest = torch.where(bends, lowest, -shift.flatten())
        inside = (maps * self.inside).sum((1, 2)) - lowest * self.area
        total = (maps * self.all).sum((1, 2)) - lowest * side * side
        covered, lit = inside * scale, total * scale
        overlap, by_covered, by_lit = _overlap(covered, lit, self.area, self.overlap)
        by_covered, by_lit = by_covered * weights, by_lit * weights
        gradient = (by_covered * scale)[:, None, None] * self.inside
        gradient = gradient + (by_lit * scale)[:, None, None] * self.all
        by_scale = (by_covered * inside + by_lit * total) * scale.square() * bends
        by_low = by_scale - (by_covered * self.area + by_lit * side * side) * scale * bends
        for ends, change in ((low, by_low), (high, -by_scale)):
            crop, pixel = ends // (side * side), ends % (side * side)
            spots = down[pixel // side, :, None] * across[pixel % side, None, :]
            gradient.index_add_(0, crop, change[:, None, None] * spots)
        return overlap, gradient

    def _scale(self, span: Tensor) -> tuple[Tensor, Tensor]:
        """Factor of a map, and whether it is normalised at all."""
        if self.floor is not None:
            return 1 / (span + self.floor), torch.ones_like(span, dtype=torch.bool)
        bends = span > EPS
        return 1 / torch.where(bends, span, 1), bends


def _ends(pixels: Tensor, normal: Normal) -> tuple[Tensor, Tensor]:
    """Where the lowest and the highest pixel lie, for each crop: places in ``pixels.flatten()``."""
    if normal == "batch":
        low, high = pixels.argmin(), pixels.argmax()
        return low.expand(len(pixels)), high.expand(len(pixels))
    first = torch.arange(len(pixels), device=pixels.device) * pixels.shape[1]
    return first + pixels.argmin(1), first + pixels.argmax(1)


def _overlap(
    covered: Tensor, lit: Tensor, area: Tensor, kind: Overlap
) -> tuple[Tensor, Tensor, Tensor]:
    """Overlap ``[N]`` and its derivatives by ``sum E m`` and ``sum E``."""
    if kind == "iou":
        union = lit + area - covered
        return covered / union, (lit + area) / union.square(), -covered / union.square()
    both = lit + area + EPS
    dice = (2 * covered + EPS) / both
    return dice, 2 / both, -dice / both


@dataclass(frozen=True)
class Refinement:
    """The loss of B tokens on N crops, ``owner`` ``[N]`` telling which token a crop belongs to.

    ``sum (1 - overlap + alpha (1 - <u, v>)) / count`` over the crops of a token; v is the unit
    vector of a crop.
    """

    block: Attention
    aim: Aim
    owner: Tensor
    count: Tensor
    """What the sum of each token is divided by, ``[B]``: the crops of its picture."""
    alpha: float

    @classmethod
    def of(cls, block: Attention, aim: Aim, owner: Tensor, alpha: float) -> Refinement:
        """As the tokens of one picture: every mean is over all its crops, whichever token's."""
        tokens = int(owner.max()) + 1
        return cls(block, aim, owner, torch.full_like(owner[:tokens], len(owner)), alpha)

    def start(self) -> Tensor:
        """Mean of the crops' outputs, not normalised: ``[B, D]``.

        AdamW's first step moves every number by the rate whatever the gradient, so the length of
        the start matters: a unit vector would be thrown away in one step.
        """
        base = self.block.base
        many = torch.bincount(self.owner, minlength=len(self.count)).to(base.dtype)
        sums = base.new_zeros(len(self.count), base.shape[1]).index_add_(0, self.owner, base)
        return sums / many[:, None]

    def loss(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of each token ``[B]`` and its gradient by the tokens ``[B, D]``, any length."""
        length = tokens.norm(dim=-1, keepdim=True)
        unit = tokens / length
        share = (1 / self.count.to(tokens.dtype))[self.owner]
        values = self.block.values
        heads = values.shape[1]
        asked = unit[self.owner]
        positive = sensitivity(self.block, asked).relu_()
        rows = heads * positive.shape[2]
        maps = positive.sum((1, 2)).unflatten(-1, self.block.grid) / rows
        overlap, gradient = self.aim.measure(maps, -share)
        steered = values * (gradient.flatten(1) / rows)[:, None, :, None]
        back = (positive.sign_() @ steered).transpose(1, 2).flatten(2)
        base = self.block.base / self.block.base.norm(dim=-1, keepdim=True)
        by_unit = self.block.push(back) - self.alpha * share[:, None] * base
        each = share * ((1 - overlap) + self.alpha * (1 - (asked * base).sum(-1)))
        losses = torch.zeros_like(length[:, 0]).index_add_(0, self.owner, each)
        gathered = torch.zeros_like(tokens).index_add_(0, self.owner, by_unit)
        along = (gathered * unit).sum(-1, keepdim=True)
        return losses, (gathered - along * unit) / length

    def run(self, steps: int, rate: float) -> Tensor:
        """Tokens of unit length ``[B, D]`` after so many steps of AdamW from ``start``."""
        with torch.inference_mode():
            tokens = self.start()
            walk = AdamW(rate)
            for _ in range(steps):
                tokens = walk.step(tokens, self.loss(tokens)[1])
            return tokens / tokens.norm(dim=-1, keepdim=True)


class AdamW:
    """AdamW (Loshchilov and Hutter 2019) without weight decay, for one array."""

    def __init__(
        self, rate: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self._rate, self._betas, self._eps = rate, betas, eps
        self._first: Tensor = 0.0
        self._second: Tensor = 0.0
        self._count = 0

    def step(self, at: Tensor, gradient: Tensor) -> Tensor:
        """The array one step on."""
        one, two = self._betas
        self._count += 1
        self._first = one * self._first + (1 - one) * gradient
        self._second = two * self._second + (1 - two) * gradient.square()
        root = (self._second / (1 - two**self._count)).sqrt() + self._eps
        return at - self._rate / (1 - one**self._count) * self._first / root
