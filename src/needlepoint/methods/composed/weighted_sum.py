"""The baseline of composed retrieval: the picture's vector and the words', added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.composing import (
    Change,
    Composed,
    Sight,
    change_vectors,
    query_probe,
    reference_probe,
    spaces_apart,
)
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options
from needlepoint.parts import Floats
from needlepoint.query import Part, Query


@dataclass(frozen=True, slots=True)
class Options:
    """``weighted_sum:alpha=0.5``, the share (0 to 1) of the words; 0 is the picture alone."""

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"method weighted_sum: alpha is {self.alpha}. Allowed: 0 to 1.")


class WeightedSum:
    """``q = n((1 - alpha) f(picture) + alpha g(words))``, all of unit length.

    Where pictures and words live in spaces of their own, vectors cannot be added: standardised
    scores are, with the same weights.
    """

    def __init__(self, options: Options) -> None:
        self._alpha = options.alpha

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """One query vector a question; two branches where the spaces differ."""
        apart = spaces_apart(view.encoder.card)
        texts = {} if apart else change_vectors(changes, view)
        return [self._one(change, texts, view) for change in changes]

    def _one(self, change: Change, texts: dict[str, Floats], view: Sight) -> Composed:
        picture = reference_probe(change, view)
        if not change.text or self._alpha == 0:
            return Composed((picture,), ("the picture",))
        told = (
            ("picture", f"weight {1 - self._alpha:g}"),
            ("words", f"weight {self._alpha:g}"),
        )
        if change.text in texts:
            mixed = (1 - self._alpha) * picture.vector + self._alpha * texts[change.text]
            return Composed((query_probe(picture, mixed),), ("picture and words",), told)
        (words,) = view.probes(Query((Part("text", change.text),)))
        both = [replace(picture, weight=1 - self._alpha), replace(words, weight=self._alpha)]
        names: tuple[str, ...] = ("the picture", "the words")
        if self._alpha == 1:
            both, names = both[1:], names[1:]
        return Composed(tuple(view.standard(both)), names, told)


def composer(options: str, helpers: Helpers) -> WeightedSum:
    """The method with its options; no model is needed beside the library's encoder."""
    return WeightedSum(read_options(Options, options, "weighted_sum"))


CARD = register(
    Method(
        MethodCard(
            name="weighted_sum",
            title="Weighted sum of picture and words (baseline)",
            paper="the common baseline of composed retrieval",
            year=2019,
            task="composed",
            parts=("composer: the two unit vectors, weighted and added",),
            recipe="*",
            needs=("text",),
            stores="nothing of its own",
            passes="one of the text tower a question",
            evidence="paper's equations",
            parameters={"alpha": "share of the words, 0.5 (the usual one)"},
            disagreements=(
                "Where an encoder has no space for both, standardised scores are added instead of "
                "vectors (ours).",
            ),
        ),
        composer=composer,
    )
)
