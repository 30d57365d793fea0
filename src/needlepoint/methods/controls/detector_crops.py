"""Detector crops: the boxes of any source of objects, each through the encoder by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.crops import CropOptions, check_range
from needlepoint.methods.objects import open_objects
from needlepoint.methods.options import read_options, recipe_text
from needlepoint.parts import Encoder, Floats
from needlepoint.picture import Picture
from needlepoint.regions.cropped import CropDescriber

NAME = "detector-crops"


@dataclass(frozen=True)
class Options(CropOptions):
    """``objects``: where boxes come from (as MaO's); ``n``: at most so many, best first."""

    objects: str = "ncut"
    n: int = 10

    def __post_init__(self) -> None:
        check_range(f"method {NAME}: n", self.n, 1, 256)


def read(text: str) -> Options:
    """The options of a recipe."""
    return read_options(Options, text, NAME)


def describer(text: str) -> CropDescriber:
    """What is kept of a picture under the options of a recipe."""
    options = read(text)
    source = open_objects(options.objects)

    def propose(encoder: Encoder, pictures: Sequence[Picture]) -> list[Floats]:
        found = source.find(encoder, pictures)
        return [one.boxes[np.argsort(-one.scores, kind="stable")[: options.n]] for one in found]

    return CropDescriber(recipe_text(NAME, options), propose, squeeze=False)


CARD = register(
    Method(
        MethodCard(
            name=NAME,
            title="Detector crops",
            paper="regions with CNN features, Girshick et al. 2014, searched one by one",
            year=2014,
            task="control",
            parts=("RegionProposer: a source of objects", "Scorer: gated or best"),
            recipe="detector-crops*",
            needs=(),
            stores="1 whole vector and at most n region vectors with boxes",
            passes="1 + n, and what the source of objects costs",
            evidence="own reading",
            parameters={
                "objects": "ncut (needs no detector); windows:9, owlv2:FOLDER, annotations:FILE",
                "n": "10 (ours)",
                "fusion": "gated as LARE's, or best",
                "tau": "as LARE's",
            },
        ),
        describer=describer,
        fusion=lambda options, card: read(options).how(card),
        when_asked=("fusion", "tau"),
    )
)
