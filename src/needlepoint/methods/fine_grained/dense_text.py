"""Dense regions for words: windows of one pass of a picture-language model, in its joint space.

Shapes: W windows, R regions, K width of values, D dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.options import read_options, recipe_text
from needlepoint.parts import DenseFeatures, Encoder, EncoderCard, Floats, VitEncoder
from needlepoint.picture import Picture
from needlepoint.regions.dense import (
    Spans,
    representatives,
    shared_means,
    span_boxes,
    window_means,
    window_spans,
)
from needlepoint.regions.describe import Description, in_original
from needlepoint.search.fusion import Fusion

NAME = "dense-text"

_WANTS = {"value": frozenset[str](), "tokens": frozenset({"joint"}), "pool": frozenset({"values"})}


@dataclass(frozen=True, slots=True)
class Options:
    """What may be told to dense regions for words.

    ``cells`` says how the patches of a window become a vector of the joint space. ``value``: the
    value path of the attention that makes the picture's vector (last block of CLIP, pooling head
    of SigLIP), every patch alike, without the mixing of that attention; ``pool``: the same with
    the shares that attention pays the patches, head by head, within the window; ``tokens``: the
    final patch tokens, projected and averaged.

    ``detail`` times the encoder's input size is the long side of the pass in pixels; positions
    are interpolated. ``sizes`` are window sides as parts of the long side of the map, with ``+``
    between them, never below one cell. ``regions`` vectors are kept of a picture, or ``all``
    windows. ``fusion`` is ``best``, ``gated`` (below ``tau``) or ``whole``.
    """

    cells: Literal["value", "tokens", "pool"] = "value"
    detail: int = 2
    sizes: str = "0.04+0.07+0.14+0.25+0.4"
    regions: str = "32"
    fusion: Literal["best", "gated", "whole"] = "best"
    tau: float = 0.25

    def __post_init__(self) -> None:
        if not 1 <= self.detail <= 16:
            raise UsageError(f"method {NAME}: detail is {self.detail}. Allowed: 1 to 16.")
        try:
            good = all(0 < part <= 1 for part in self.parts())
        except ValueError:
            good = False
        if not good:
            raise UsageError(
                f"method {NAME}: sizes is {self.sizes!r}. Allowed: parts of the long side above 0, "
                "at most 1, as 0.1+0.25."
            )
        if self.regions != "all" and not (self.regions.isdecimal() and int(self.regions) >= 1):
            raise UsageError(
                f"method {NAME}: regions is {self.regions!r}. Allowed: all, or 1 or more."
            )

    def parts(self) -> tuple[float, ...]:
        """The window sides as parts of the long side."""
        return tuple(float(part) for part in self.sizes.split("+"))

    def spans(self, rows: int, cols: int) -> Spans:
        """Windows of a map of cells, int32 ``[W, 4]``: row, column, rows, columns.

        Example:
            >>> sorted(set(Options().spans(14, 14)[:, 2].tolist()))
            [1, 2, 4, 6]
            >>> sorted(set(Options().spans(28, 21)[:, 2].tolist()))
            [1, 2, 4, 7, 11]
        """
        # half up: a quarter of 14 cells is 4, of 10 is 3
        sides = {max(1, int(part * max(rows, cols) + 0.5)) for part in self.parts()}
        return window_spans(rows, cols, tuple(sorted(sides)))


def read(text: str) -> Options:
    """The options of a recipe.

    Example:
        >>> read("cells=pool,detail=3").detail
        3
    """
    return read_options(Options, text, NAME)


@dataclass(frozen=True, slots=True)
class WindowDescriber:
    """The whole picture in a pass of its own, and representatives of the windows of another."""

    options: Options = Options()

    @property
    def recipe(self) -> str:
        """``dense-text`` and the options that are not the defaults."""
        return recipe_text(NAME, self.options)

    def side(self, card: EncoderCard) -> int:
        """The long side of the pass; at least twice what the encoder sees."""
        return max(2, self.options.detail) * card.input_size

    def describe(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[list[Description]]:
        """See ``Describer``; boxes are x, y, w, h in original pixels.

        Raises:
            UsageError: the encoder is no Vision Transformer whose space words are asked in.
        """
        space = encoder.card.spaces[0].name
        wholes = encoder.image_features([picture.pixels for picture in pictures]).vector
        found = []
        for picture, whole in zip(pictures, wholes, strict=True):
            vectors, spans, features = self.windows(encoder, picture)
            if self.options.regions != "all":
                chosen = representatives(vectors, int(self.options.regions))
                vectors, spans = chosen.vectors, spans[chosen.nearest]
            found.append([Description(space, whole, vectors, span_boxes(spans, features))])
        return found

    def windows(self, encoder: Encoder, picture: Picture) -> tuple[Floats, Spans, DenseFeatures]:
        """All windows of a picture.

        Returns:
            Unit vectors float32 ``[W, D]``, spans int32 ``[W, 4]`` in cells, and the map with its
            geometry in original pixels.

        Raises:
            UsageError: as ``describe``.
        """
        card, cells = encoder.card, self.options.cells
        if not isinstance(encoder, VitEncoder) or card.space_for("text") != card.spaces[0]:
            raise UsageError(
                f"method {NAME} needs an open_clip or hf encoder with words and a plain vision "
                f"transformer. Received: {card.address}. For it, index with --regions dense."
            )
        features = in_original(
            encoder.dense_features(
                picture.pixels,
                long_side=self.options.detail * card.input_size,
                want=_WANTS[cells],
            ),
            picture,
        )
        spans = self.options.spans(*features.cells.shape[:2])
        if cells == "tokens":
            assert features.joint is not None
            means = window_means(features.joint, spans)
            lengths = np.linalg.norm(means, axis=1, keepdims=True)
            return means / np.maximum(lengths, 1e-12), spans, features
        if cells == "value":
            means = window_means(features.cells, spans)
        else:
            assert features.values is not None
            assert features.shares is not None
            means = encoder.merge(shared_means(features.values, features.shares, spans))
        return encoder.project(means, card.spaces[0].name), spans, features


def fuse(options: str, card: EncoderCard) -> Fusion:
    """The fusion that the options name."""
    chosen = read(options)
    return Fusion(chosen.fusion, tau=chosen.tau)


CARD = register(
    Method(
        MethodCard(
            name=NAME,
            title="Dense regions for words",
            paper="needlepoint; value path after Zhou et al. 2022 (MaskCLIP, section 3.1) and Lan "
            "et al. 2024 (ClearCLIP)",
            year=2026,
            task="fine-grained",
            parts=(
                "RegionProposer: all windows of the patches of one pass",
                "Describer: windows in the joint space, spherical k-means",
                "Scorer: best of whole and regions, or gated fusion (LARE, eq. 4)",
            ),
            recipe="dense-text*",
            needs=("text", "dense"),
            stores="1 whole vector and R region vectors with boxes",
            passes="1 at `detail` times the encoder's input size, 1 at that size",
            evidence="own",
            parameters={
                "cells": "value: value path of the attention that makes the vector, without the "
                "class token's mixing; pool: the same under that attention within the window "
                "(for SigLIP what its pooling head gives the window alone); tokens: final tokens, "
                "projected. Not yet fitted: compare all three",
                "detail": "2: long side of the pass in input sizes, 1 to 16; positions are "
                "interpolated. Not yet fitted",
                "sizes": "0.04+0.07+0.14+0.25+0.4 of the long side of the map, at least one cell, "
                "half overlapping; not fitted",
                "regions": "32, as the method dense; all keeps every window",
                "fusion": "best, as the method dense; gated; whole",
                "tau": "0.25, for gated (paper of LARE, measured on SigLIP 2)",
            },
        ),
        describer=lambda options: WindowDescriber(read(options)),
        fusion=fuse,
        when_asked=("fusion", "tau"),
    )
)
