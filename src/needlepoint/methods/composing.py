"""What a composed question is made of: reference pictures, a change in words, and a composer.

Shapes: Q questions, R references, G pictures, D joint dim, V probes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from needlepoint.errors import LibraryIncompatible
from needlepoint.methods.dialogue import View
from needlepoint.parts import Encoder, EncoderCard, Floats, TextEncoder
from needlepoint.picture import Pixels
from needlepoint.query import Part, Query
from needlepoint.search.fusion import Fusion
from needlepoint.store.base import Ids, Probe


@dataclass(frozen=True, slots=True)
class Change:
    """One composed question: what it starts from, and what is to be different.

    ``references`` are pictures, items or pieces of them, of positive weight; ``text`` is empty
    where nothing is to change.
    """

    references: tuple[Part, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Again:
    """The best ``shortlist`` pictures put in order anew; 0 for all of the gallery.

    ``scores`` is given ids int64 ``[K]`` and the scores float32 ``[K]`` they were found with, and
    returns those they are shown with, float32 ``[K]``. Pictures behind the shortlist keep their
    order below it.
    """

    scores: Callable[[Ids, Floats], Floats]
    shortlist: int = 200


@dataclass(frozen=True, slots=True)
class Composed:
    """What a composer makes of one question.

    ``probes`` are searched with, as those of any question: a single one is a query vector, several
    are branches whose scores are standardised and added. ``names`` tells of each what it stands
    for. ``told`` are pairs of a label and a text for ``--explain``: nearest words of pseudo-words,
    weights of branches. ``again`` is for methods whose score is no sum over vectors.
    """

    probes: tuple[Probe, ...]
    names: tuple[str, ...] = ()
    told: tuple[tuple[str, str], ...] = ()
    again: Again | None = None


class Sight(View, Protocol):
    """What a composer may ask of a library (or of a set of vectors) besides what a dialogue may."""

    @property
    def encoder(self) -> Encoder:
        """The encoder that the pictures were described with."""
        ...

    def pixels_of(self, part: Part) -> Pixels:
        """What a picture, an item or a piece of one shows, uint8 ``[H, W, 3]``."""
        ...

    def names(self, ids: Sequence[int]) -> list[str]:
        """Where pictures lie, with slashes: the end of it names them in files about a gallery."""
        ...

    def spread(self, probe: Probe) -> tuple[float, float]:
        """Mean and standard deviation (N - 1) of a probe's cosines over the whole gallery."""
        ...


class Composer(Protocol):
    """A composer at work: pure in the questions, so that each is answered as if it were alone."""

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """One answer a question, in order."""
        ...


def reference_probe(change: Change, view: Sight) -> Probe:
    """All references of a question as one probe: the weighted mean of their vectors, unit length.

    Example:
        >>> reference_probe(Change((Part("item", "3"),), "in red"), view)  # doctest: +SKIP
        Probe(space=0, vector=array([...], dtype=float32), ...)
    """
    found = [view.probes(Query((part,)))[0] for part in change.references]
    weights = [part.weight for part in change.references]
    summed = np.sum([w * p.vector for w, p in zip(weights, found, strict=True)], axis=0)
    return query_probe(found[0], summed)


def query_probe(like: Probe, vector: Floats, *, fusion: Fusion | None = None) -> Probe:
    """A query vector of any length as a probe in the space of another, unstandardised.

    Args:
        like: says in which space, and how whole and regions are fused.
        vector: float ``[D]``, not zero.
        fusion: in place of that of ``like``.
    """
    found: Floats = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return Probe(like.space, np.ascontiguousarray(found), fusion=fusion or like.fusion)


def text_vectors(texts: Sequence[str], view: Sight) -> Floats:
    """Vectors float32 ``[N, D]`` of texts, unit length.

    Raises:
        LibraryIncompatible: the encoder has no text side.
    """
    encoder = view.encoder
    if not isinstance(encoder, TextEncoder):
        raise LibraryIncompatible(
            f"{encoder.card.address} has no text side, and a change is said in words. "
            "Choose another --model (needlepoint models)."
        )
    return encoder.text_features(texts).vector


def change_vectors(changes: Sequence[Change], view: Sight) -> dict[str, Floats]:
    """The vectors float32 ``[D]`` of all changes that say something, read together, by text."""
    said = [change.text for change in changes if change.text]
    return dict(zip(said, text_vectors(said, view), strict=True)) if said else {}


def spaces_apart(card: EncoderCard) -> bool:
    """Whether an encoder answers pictures and words in spaces of their own."""
    image, text = card.space_for("image"), card.space_for("text")
    return image is not None and text is not None and image.name != text.name


def need_joint(view: Sight, method: str) -> None:
    """Refuse an encoder whose pictures and words do not share one space.

    Raises:
        LibraryIncompatible: says which routes need no such space.
    """
    card = view.encoder.card
    if spaces_apart(card) or None in (card.space_for("image"), card.space_for("text")):
        raise LibraryIncompatible(
            f"`method` is {method}, which adds vectors of pictures and of words; {card.address} "
            "keeps them in spaces of their own. Use a model with one space (needlepoint models "
            "lists open_clip: and hf: ones), or --method weicom, which adds scores."
        )
