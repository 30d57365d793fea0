"""From a picture to what is kept of it: a whole vector and region vectors in every space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.parts import DenseEncoder, DenseFeatures, Encoder, EncoderCard, Floats
from needlepoint.picture import Picture, Pixels
from needlepoint.regions.dense import representatives, span_boxes, window_means, window_spans
from needlepoint.regions.heat import pack_map
from needlepoint.regions.recipe import Recipe

WINDOW_SIZES = (1, 2, 3, 5)
"""Sides of the windows in cells."""


@dataclass(frozen=True, slots=True)
class Description:
    """One picture in one space: ``whole`` ``[D]``, ``regions`` ``[R, D]``, ``boxes`` ``[R, 4]``.

    ``map`` holds the compressed map of the space where the recipe keeps it.
    """

    space: str
    whole: Floats
    regions: Floats
    boxes: Floats
    map: bytes | None = None


class Describer(Protocol):
    """Makes what is kept of a picture. Nothing it returns depends on the other pictures."""

    @property
    def recipe(self) -> str:
        """Canonical text that makes this describer again; stored with the vectors."""
        ...

    def side(self, card: EncoderCard) -> int:
        """Long side in pixels that pictures are decoded at, at least; 0 for the full size."""
        ...

    def describe(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[list[Description]]:
        """For each of N pictures, one description a space of the encoder.

        Raises:
            UsageError: the encoder lacks an ability that is needed.
        """
        ...


@dataclass(frozen=True, slots=True)
class PolicyDescriber:
    """The region policies ``none``, ``dense`` and ``windows`` as a describer."""

    policy: Recipe

    @property
    def recipe(self) -> str:
        """As ``str`` of the policy."""
        return str(self.policy)

    def side(self, card: EncoderCard) -> int:
        """The long side of a dense pass; twice the encoder's input otherwise."""
        return self.policy.long_side if self.policy.kind == "dense" else 2 * card.input_size

    def describe(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[list[Description]]:
        """See ``describe`` of this module."""
        return describe(encoder, pictures, self.policy)


def describe(
    encoder: Encoder, pictures: Sequence[Picture], recipe: Recipe
) -> list[list[Description]]:
    """Describe pictures in every space of an encoder.

    Args:
        encoder: any encoder; a ``dense`` recipe needs the ability ``dense``.
        pictures: N decoded pictures.
        recipe: region policy.

    Returns:
        For each picture, one description a space. No value depends on the other pictures.

    Raises:
        UsageError: the recipe needs what the encoder has not.
    """
    if recipe.kind == "dense":
        if not isinstance(encoder, DenseEncoder):
            raise UsageError(
                f"`regions` is {recipe}, but {encoder.card.address} has no map of cells. "
                "Use windows:9 or none."
            )
        return [_dense(encoder, picture, recipe) for picture in pictures]
    if recipe.kind == "windows":
        return [_windows(encoder, picture, recipe.count) for picture in pictures]
    wholes = _vectors(encoder, [picture.pixels for picture in pictures])
    boxes = np.zeros((0, 4), np.float32)
    return [
        [
            Description(space, rows[i], np.zeros((0, rows.shape[1]), np.float32), boxes)
            for space, rows in wholes.items()
        ]
        for i in range(len(pictures))
    ]


def dense_map(encoder: DenseEncoder, picture: Picture, recipe: Recipe) -> DenseFeatures:
    """The map of one picture under a recipe, its geometry in pixels of the upright original."""
    features = encoder.dense_features(picture.pixels, long_side=recipe.long_side)
    return in_original(features, picture)


def in_original(features: DenseFeatures, picture: Picture) -> DenseFeatures:
    """A map made of a picture's working pixels, its geometry in pixels of the upright original."""
    return replace(
        features,
        step_x=features.step_x * picture.scale_x,
        step_y=features.step_y * picture.scale_y,
        width=picture.size[0],
        height=picture.size[1],
    )


def _vectors(encoder: Encoder, pixels: Sequence[Pixels]) -> dict[str, Floats]:
    """Vectors ``[N, D]`` of N pictures by space."""
    features = encoder.image_features(pixels)
    return {encoder.card.spaces[0].name: features.vector, **features.others}


def _dense(encoder: DenseEncoder, picture: Picture, recipe: Recipe) -> list[Description]:
    """One pass, all windows, ``count`` representatives with the box of their nearest window."""
    wholes = _vectors(encoder, [picture.pixels])
    features = dense_map(encoder, picture, recipe)
    rows, cols = features.cells.shape[:2]
    spans = window_spans(rows, cols, WINDOW_SIZES)
    lead, *further = encoder.card.spaces
    if features.lead is None:
        windows = encoder.project(window_means(features.cells, spans), lead.name)
    else:
        windows = window_means(features.lead, spans)
        windows /= np.maximum(np.linalg.norm(windows, axis=1, keepdims=True), 1e-12)
    chosen = representatives(windows, recipe.count)
    boxes = span_boxes(spans[chosen.nearest], features)
    kept = pack_map(features) if recipe.keep_map else None
    found = [Description(lead.name, wholes[lead.name][0], chosen.vectors, boxes, kept)]
    if further:
        means = window_means(features.cells, spans[chosen.nearest])
        found += [
            Description(s.name, wholes[s.name][0], encoder.project(means, s.name), boxes)
            for s in further
        ]
    return found


def _windows(encoder: Encoder, picture: Picture, count: int) -> list[Description]:
    """A square grid of half-overlapping crops, each through the encoder by itself."""
    boxes = grid_boxes(picture.pixels.shape[1], picture.pixels.shape[0], count)
    crops = [picture.pixels[y : y + h, x : x + w] for x, y, w, h in boxes]
    vectors = _vectors(encoder, [picture.pixels, *crops])
    scaled = np.array(boxes, np.float32)
    scaled *= np.array([picture.scale_x, picture.scale_y] * 2, np.float32)
    return [Description(s, rows[0], rows[1:], scaled) for s, rows in vectors.items()]


def grid_boxes(width: int, height: int, count: int) -> list[tuple[int, int, int, int]]:
    """``count`` (a square number) boxes x, y, w, h in pixels, each overlapping half its neighbour.

    All lie inside the picture and have at least one pixel, however small it is.

    Example:
        >>> grid_boxes(400, 200, 9)[4]
        (100, 50, 200, 100)
    """
    side = math.isqrt(count)

    def spans(length: int) -> list[tuple[int, int]]:
        ends = np.linspace(0, length, side + 2).round().astype(int)
        starts = np.minimum(ends[:-2], length - 1)
        sizes = np.maximum(ends[2:] - starts, 1)
        return list(zip(starts.tolist(), sizes.tolist(), strict=True))

    return [(x, y, w, h) for y, h in spans(height) for x, w in spans(width)]
