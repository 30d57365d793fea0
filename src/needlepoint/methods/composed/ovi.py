"""Optimisation-based visual inversion: words as patches that the image tower sees as them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.methods.card import Asked, Method, MethodCard, register
from needlepoint.methods.composing import (
    Change,
    Composed,
    Sight,
    need_joint,
    query_probe,
    reference_probe,
)
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.inverted import inverted
from needlepoint.methods.options import read_options
from needlepoint.parts import Encoder, Floats, TextEncoder

_NAME = "ovi"


@dataclass(frozen=True, slots=True)
class Options:
    """``ovi:steps=1000,patches=1,alpha=0.5``.

    Words become ``patches`` pseudo-patches in ``steps`` of AdamW (``rate``, ``decay``). ``alpha``
    is the share (0 to 1) of the change where a picture is asked with too.
    """

    steps: int = 1000
    patches: int = 1
    rate: float = 0.02
    decay: float = 0.01
    alpha: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "patches"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"method ovi: {name} is {getattr(self, name)}. Allowed: 1 and more."
                )
        for name, most in (("rate", 10), ("decay", 10), ("alpha", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise UsageError(
                    f"method ovi: {name} is {getattr(self, name)}. Allowed: 0 to {most}."
                )


class OVI:
    """``q = n((1 - alpha) f(picture) + alpha f(patches of the words))``, all of unit length."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """One query vector a question; the picture alone where nothing is to change."""
        need_joint(view, _NAME)
        said = [change.text for change in changes if change.text]
        seen = pictured(view.encoder, said, self._options) if said else np.empty((0, 0))
        known = dict(zip(said, seen, strict=True))
        return [self._one(change, known, view) for change in changes]

    def _one(self, change: Change, known: dict[str, Floats], view: Sight) -> Composed:
        picture = reference_probe(change, view)
        if not change.text:
            return Composed((picture,), ("the picture",))
        alpha = self._options.alpha
        mixed = (1 - alpha) * picture.vector + alpha * known[change.text]
        told = (("picture", f"weight {1 - alpha:g}"), ("words, pictured", f"weight {alpha:g}"))
        return Composed((query_probe(picture, mixed),), ("picture and pictured words",), told)


def pictured(encoder: Encoder, texts: Sequence[str], options: Options) -> Floats:
    """Vectors float32 ``[N, D]``, unit length, that the image tower makes of words as patches.

    Words pictured once are kept in memory.

    Raises:
        LibraryIncompatible: the encoder cannot be given patches.
    """
    if not isinstance(encoder, TextEncoder) or not {"inject", "tokens"} <= set(
        encoder.card.abilities
    ):
        raise LibraryIncompatible(
            f"`method` is {_NAME}, which puts patches of its own into an image tower; "
            f"{encoder.card.address} has no plain vision transformer with words in its space. "
            "Choose a --model with `inject` and `tokens` (needlepoint models)."
        )
    from needlepoint.encoders.inversion import Inversion, invert_texts, see_patches

    how = Inversion(
        steps=options.steps,
        rate=options.rate,
        decay=options.decay,
        words=options.patches,
        seed=options.seed,
    )
    vectors = encoder.text_features(texts).vector
    made = inverted(encoder, vectors, ("patches", how), lambda new: invert_texts(encoder, new, how))
    return see_patches(encoder, made)


def ask(encoder: Encoder, texts: Sequence[str], options: str, corpus: Sequence[str]) -> Asked:
    """Words alone: pictures nearest to what the image tower makes of them.

    Args:
        encoder: of the library.
        texts: Q texts.
        options: as in the recipe.
        corpus: not looked at.
    """
    return Asked(pictured(encoder, texts, read_options(Options, options, _NAME)))


def nearest_texts(
    encoder: Encoder, text: str, texts: Sequence[str], k: int = 10, options: str = ""
) -> list[tuple[int, float]]:
    """Text to text search: the texts nearest to a text that goes through the image tower.

    Args:
        encoder: with a plain ViT and words in its space.
        text: the question.
        texts: what is searched; a library keeps pictures only, so they are given.
        k: how many at most.
        options: as in ``ovi:steps=1000,patches=1``.

    Returns:
        Places in ``texts`` and cosines, best first, ties in order.

    Example:
        >>> nearest_texts(encoder, "a red bike", ["a bicycle", "the sea"], k=1)  # doctest: +SKIP
        [(0, 0.83)]
    """
    if not texts:
        return []
    (question,) = pictured(encoder, [text], read_options(Options, options, _NAME))
    assert isinstance(encoder, TextEncoder)
    cosines = encoder.text_features(texts).vector @ question
    best = np.argsort(-cosines, kind="stable")[:k]
    return [(int(place), float(cosines[place])) for place in best]


def composer(options: str, helpers: Helpers) -> OVI:
    """The method with its options; no model is needed beside the library's encoder."""
    return OVI(read_options(Options, options, _NAME))


CARD = register(
    Method(
        MethodCard(
            name=_NAME,
            title="OVI (visual inversion by optimisation)",
            paper="Mistretta et al., Cross the Gap, ICLR 2025 (arXiv 2502.04263)",
            year=2025,
            task="composed",
            parts=(
                "words: pseudo-patches found by gradient descent through the frozen image tower, "
                "and what it sees in them",
                "composer: that vector and the picture's, weighted and added (ours)",
            ),
            recipe="*",
            needs=("text", "inject", "tokens"),
            stores="nothing of its own",
            passes="1000 of the image tower without its patch embedding, forth and back, a text "
            "not asked before (1000 steps)",
            evidence="authors' code",
            parameters={
                "steps": "1000, with AdamW",
                "rate": "0.02",
                "decay": "0.01",
                "patches": "pseudo-patches a text, 1 (the authors' for ViT-B/32; 4 for ViT-L/14 "
                "and SigLIP B/16); each is repeated over its neighbours",
                "alpha": "share of the words where a picture is asked with, 0.5 (ours)",
                "seed": "0",
            },
            disagreements=(
                "The paper inverts a text to search texts with it; a library keeps vectors of "
                "pictures only. --method ovi with words alone searches pictures with the inverted "
                "text; `nearest_texts` in this file searches texts that are given.",
                "The paper composes nothing with it. With a picture and a change the two vectors "
                "of the image tower are added (ours).",
                "Each text's start is drawn from its own vector, and the loss of a batch is a sum, "
                "so that a text gives the same patches alone and among others.",
            ),
        ),
        composer=composer,
        asks=ask,
    )
)
