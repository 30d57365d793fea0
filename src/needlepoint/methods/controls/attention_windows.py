"""Attention windows: LARE turned round, crops of where the encoder looks most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.fine_grained import lare
from needlepoint.methods.options import read_options, recipe_text
from needlepoint.parts import EncoderCard, Floats
from needlepoint.picture import Picture
from needlepoint.regions.attention import Proposals
from needlepoint.search.fusion import BEST, Fusion

NAME = "attention-windows"


@dataclass(frozen=True)
class Options(lare.Options):
    """LARE's, and ``fusion``: ``gated`` as LARE's or ``best``."""

    fusion: Literal["gated", "best"] = "gated"


def read(text: str) -> Options:
    """The options of a recipe."""
    return read_options(Options, text, NAME)


class AttentionDescriber(lare.LareDescriber):
    """LARE's describer with the map upside down; everything else is LARE's."""

    @property
    def recipe(self) -> str:
        """``attention-windows`` and the options that are not the defaults."""
        return recipe_text(NAME, self.options)

    def _boxes(self, card: EncoderCard, picture: Picture, scores: Floats) -> Proposals:
        return super()._boxes(card, picture, np.float32(1) - scores)


def fusion(text: str, card: EncoderCard) -> Fusion:
    """As LARE's, or the highest score."""
    options = read(text)
    return BEST if options.fusion == "best" else Fusion("gated", tau=options.threshold(card))


CARD = register(
    Method(
        MethodCard(
            name=NAME,
            title="Windows of highest attention",
            paper="the control LARE (arXiv 2606.18885) lacks: its map upside down",
            year=2026,
            task="control",
            parts=(
                "RegionProposer: LARE's windows of highest received attention",
                "Scorer: gated or best",
            ),
            recipe="attention-windows*",
            needs=("received",),
            stores="1 whole vector and up to n region vectors with boxes",
            passes="1 + n, n up to 5",
            evidence="own",
            parameters={
                "fusion": "gated as LARE's, or best",
                "the others": "as LARE's, with the same defaults",
            },
        ),
        describer=lambda text: AttentionDescriber(read(text)),
        fusion=fusion,
        when_asked=("fusion", "tau"),
    )
)
