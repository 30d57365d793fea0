"""BLIP-2's Q-Former in a library: K vectors a picture, and composed questions in one or two passes.

SPRC, QuRe and DQE-CIR search the same vectors: a library is described once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.methods.composing import Change, Composed, Sight, query_probe, reference_probe
from needlepoint.parts import Composing, Encoder, EncoderCard, Floats, QueryTokensEncoder
from needlepoint.picture import Picture
from needlepoint.query import Part, Query
from needlepoint.regions.describe import Description
from needlepoint.search.fusion import Fusion

RECIPE = "qformer"
BEST_TOKEN = Fusion("regions")
"""``s(q, picture)``: the highest of the K cosines."""

_TOGETHER = 16
"""Questions of one pass, so that a batch of them fits in memory."""


@dataclass(frozen=True, slots=True)
class QueryTokensDescriber:
    """What the K queries see of a picture, each with the whole picture as its box."""

    @property
    def recipe(self) -> str:
        """``qformer``, whatever method asks."""
        return RECIPE

    def side(self, card: EncoderCard) -> int:
        """Twice the encoder's input."""
        return 2 * card.input_size

    def describe(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[list[Description]]:
        """See ``Describer``; the whole is the unit mean of the K, as ``encode_image`` has it.

        Raises:
            UsageError: the encoder is no Q-Former.
        """
        if not isinstance(encoder, QueryTokensEncoder):
            raise UsageError(
                f"method {RECIPE} keeps what learned queries see, and {_none(encoder)}"
            )
        tokens = encoder.token_vectors([picture.pixels for picture in pictures])
        wholes = tokens.mean(axis=1)
        wholes /= np.linalg.norm(wholes, axis=1, keepdims=True)
        space = encoder.card.spaces[0].name
        return [
            [Description(space, whole, rows, np.tile(_frame(picture), (len(rows), 1)))]
            for picture, whole, rows in zip(pictures, wholes, tokens, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class QueryTokensComposer:
    """A picture and a change in words through the Q-Former, as one query vector.

    Several references are composed one by one; the question is the weighted mean of what comes
    of them (ours).
    """

    how: Composing

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """One query vector a question; an empty change goes through the same passes.

        Raises:
            LibraryIncompatible: the library's encoder is no Q-Former.
        """
        encoder = view.encoder
        if not isinstance(encoder, QueryTokensEncoder):
            raise LibraryIncompatible(
                f"`method` is {self.how}, which reads picture and words in one pass, and "
                f"{_none(encoder)}"
            )
        pairs = [(part, change.text) for change in changes for part in change.references]
        vectors = iter(
            vector
            for start in range(0, len(pairs), _TOGETHER)
            for vector in self._vectors(pairs[start : start + _TOGETHER], encoder, view)
        )
        return [
            self._one(change, [next(vectors) for _ in change.references], encoder, view)
            for change in changes
        ]

    def _vectors(
        self, pairs: Sequence[tuple[Part, str]], encoder: QueryTokensEncoder, view: Sight
    ) -> Floats:
        pictures = [view.pixels_of(part) for part, _ in pairs]
        return encoder.composed_vectors(pictures, [text for _, text in pairs], self.how)

    def _one(
        self, change: Change, vectors: list[Floats], encoder: QueryTokensEncoder, view: Sight
    ) -> Composed:
        weights = np.array([part.weight for part in change.references], np.float32)
        summed = (weights[:, None] * np.stack(vectors)).sum(0)
        told = [("learnt with", encoder.trained or "nothing: BLIP-2 as released")]
        if self.how == "dqe_cir":
            found = encoder.attribute_weights([change.text])
            told += [(name, f"weight {weight[0]:.2f}") for name, weight in found.items()]
        # only its space is wanted, and words are quicker to see than a picture
        like = (
            view.probes(Query((Part("text", change.text),)))[0]
            if change.text
            else reference_probe(change, view)
        )
        probe = query_probe(like, summed, fusion=BEST_TOKEN)
        return Composed((probe,), ("picture and words",), tuple(told))


def _frame(picture: Picture) -> Floats:
    width, height = picture.size
    return np.array([0, 0, width, height], np.float32)


def _none(encoder: Encoder) -> str:
    return (
        f"{encoder.card.address} has no Q-Former. Use BLIP-2 with its image-text-retrieval head: "
        "--model hf:Salesforce/blip2-itm-vit-g, or a folder of needlepoint train qformer."
    )
