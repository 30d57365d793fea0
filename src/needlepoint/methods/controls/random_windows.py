"""Random windows: LARE's windows, drawn without looking."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.crops import CropOptions, check_range
from needlepoint.methods.options import read_options, recipe_text
from needlepoint.parts import Encoder, EncoderCard, Floats
from needlepoint.picture import Picture
from needlepoint.regions.attention import picture_boxes, propose, seen_area, window_places
from needlepoint.regions.cropped import CropDescriber, as_xywh

NAME = "random-windows"


@dataclass(frozen=True)
class Options(CropOptions):
    """``n``: at most so many windows; ``seed``: another seed draws others."""

    n: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_range(f"method {NAME}: n", self.n, 1, 256)


def read(text: str) -> Options:
    """The options of a recipe."""
    return read_options(Options, text, NAME)


def random_boxes(picture: Picture, card: EncoderCard, count: int, seed: int) -> Floats:
    """At most ``count`` of LARE's windows in a random order that hardly overlap.

    The draw hangs on the pixels and the seed alone: neither other pictures nor their order
    change it.

    Returns:
        float32 ``[n, 4]`` (x, y, w, h in original pixels), n at most ``count``.
    """
    content = hashlib.blake2b(np.ascontiguousarray(picture.pixels).data, digest_size=8)
    draw = np.random.default_rng([seed, int.from_bytes(content.digest(), "big")])
    places = window_places(card.input_size)
    area = seen_area(card, *picture.size, "corrected")
    boxes = picture_boxes(places, 64, card.input_size, area, *picture.size)
    scores = draw.random(len(places), np.float32)
    return as_xywh(propose(boxes, scores, count=count, sides_first=True).boxes)


def describer(text: str) -> CropDescriber:
    """What is kept of a picture under the options of a recipe."""
    options = read(text)

    def look(encoder: Encoder, pictures: Sequence[Picture]) -> list[Floats]:
        return [random_boxes(p, encoder.card, options.n, options.seed) for p in pictures]

    return CropDescriber(recipe_text(NAME, options), look)


CARD = register(
    Method(
        MethodCard(
            name=NAME,
            title="Random windows",
            paper="the control LARE (arXiv 2606.18885) lacks: its windows without its map",
            year=2026,
            task="control",
            parts=(
                "RegionProposer: LARE's windows in random order, then its suppression",
                "Scorer: gated or best",
            ),
            recipe="random-windows*",
            needs=(),
            stores="1 whole vector and at most n region vectors with boxes",
            passes="1 + n",
            evidence="own",
            parameters={
                "n": "5, as LARE's",
                "seed": "0; the draw also hangs on the pixels",
                "fusion": "gated as LARE's, or best",
                "tau": "as LARE's",
            },
        ),
        describer=describer,
        fusion=lambda options, card: read(options).how(card),
        when_asked=("fusion", "tau"),
    )
)
