"""FreeDom: the picture as the words its neighbours are near to, each asked for with the change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.composing import (
    Change,
    Composed,
    Sight,
    query_probe,
    reference_probe,
    text_vectors,
)
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.known_texts import list_vectors
from needlepoint.methods.options import read_options
from needlepoint.parts import Floats
from needlepoint.query import Part, Query
from needlepoint.store.base import Ids, Probe

SAME = 0.98
"""Cosine from which the best picture found is the reference itself."""


@dataclass(frozen=True, slots=True)
class Options:
    """``freedom:k=20,n=7,m=7,words=FILE,template={word} {domain}``.

    ``k`` pictures stand for the reference, ``n`` words for each of them, the ``m`` most frequent
    words for all. ``words`` is a file with one word a line, else the list that comes with the
    package. In ``template`` ``{word}`` is such a word and ``{domain}`` the change.
    """

    k: int = 20
    n: int = 7
    m: int = 7
    words: str = ""
    template: str = "{word} {domain}"

    def __post_init__(self) -> None:
        for name in ("k", "n", "m"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"method freedom: {name} is {getattr(self, name)}. Allowed: 1 and more."
                )
        if "{word}" not in self.template:
            raise UsageError(
                f"method freedom: template is {self.template!r}. It must hold {{word}}, and "
                "{domain} where the change is to stand."
            )


class FreeDom:
    """``q = sum over words of w g("{word} {change}")``, words of the nearest pictures.

    Args:
        options: see there.
        words: the vocabulary, each word once.
    """

    def __init__(self, options: Options, words: Sequence[str]) -> None:
        self._options, self._words = options, words

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """One query vector a question, in the space of words."""
        return [self._one(change, view) for change in changes]

    def _one(self, change: Change, view: Sight) -> Composed:
        picture = reference_probe(change, view)
        ids, _ = view.search([picture], self._options.k)
        if not len(ids):
            return Composed((picture,), ("the picture",))  # nothing can be found
        proxies, like, where = self._proxies(picture, ids, view)
        weights = frequent(self._nearest(proxies, view), self._options.m)
        asked = [
            " ".join(
                self._options.template.replace("{word}", word)
                .replace("{domain}", change.text)
                .split()
            )
            for word in weights
        ]
        shares = np.array(list(weights.values()), np.float32)
        query = query_probe(like, shares @ text_vectors(asked, view))
        words = ", ".join(f"{word} {weight:.2g}" for word, weight in weights.items())
        return Composed(
            (query,),
            ("words of the picture, changed",),
            (("words", words), ("the picture", where), ("asked", "; ".join(asked[:1]) + " …")),
        )

    def _proxies(self, picture: Probe, ids: Ids, view: Sight) -> tuple[Floats, Probe, str]:
        """Vectors ``[k, D]`` in the space of words, a probe of that space, where the picture is."""
        card = view.encoder.card
        image, text = card.space_for("image"), card.space_for("text")
        near = view.wholes(ids.tolist(), picture.space)
        inside = float((near @ picture.vector).max(initial=-1.0)) >= SAME
        where = "in the library" if inside else "not in the library"
        if image is not None and text is not None and image.name != text.name:
            (like,) = view.probes(Query((Part("text", self._words[0]),)))
            return view.wholes(ids.tolist(), like.space), like, where
        if inside:
            return near, picture, where
        near = np.concatenate([picture.vector[None], near])[: self._options.k]
        return near, picture, f"{where}, stands first itself"

    def _nearest(self, proxies: Floats, view: Sight) -> list[list[str]]:
        """For each proxy its ``n`` nearest words, the nearest first; ties as in the list."""
        cosines = proxies @ list_vectors(self._words, view).T
        order = np.argsort(-cosines, axis=1, kind="stable")[:, : self._options.n]
        return [[self._words[place] for place in row] for row in order.tolist()]


def frequent(lists: Sequence[Sequence[str]], most: int) -> dict[str, float]:
    """The most frequent words and how often they occur beside the first of them, up to 1.

    Ties go to the word met first.

    Example:
        >>> frequent([["duck", "bird"], ["bird", "goose"]], 2)
        {'bird': 1.0, 'duck': 0.5}
    """
    counted = Counter(word for words in lists for word in words).most_common(most)
    return {word: count / counted[0][1] for word, count in counted}


def read_words(file: str) -> tuple[str, ...]:
    """The words of a file, one a line, each once; of the package's own list where no file is named.

    Raises:
        UsageError: the file cannot be read or holds no word.
    """
    try:
        place = Path(file).expanduser() if file else files(__package__) / "nouns.txt"
        lines = place.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"method freedom: words {file} cannot be read: {error}") from error
    words = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not words:
        raise UsageError(f"method freedom: words {file} holds no word. Allowed: one word a line.")
    return words


def composer(options: str, helpers: Helpers) -> FreeDom:
    """The method with its options; no model is needed beside the library's encoder."""
    read = read_options(Options, options, "freedom")
    return FreeDom(read, read_words(read.words))


CARD = register(
    Method(
        MethodCard(
            name="freedom",
            title="FreeDom: neighbours named in words, the words asked for with the change",
            paper="Efthymiadis et al., Composed Image Retrieval for Training-Free Domain "
            "Conversion, WACV 2025 (arXiv 2412.03297)",
            year=2025,
            task="composed",
            parts=(
                "composer: the most frequent of the words that the reference's neighbours are "
                "nearest to, each with the change, weighted by how frequent it is",
            ),
            recipe="*",
            needs=("text",),
            stores="nothing of its own; the vectors of its word list, once an encoder, in the "
            "user's cache folder",
            passes="m of the text tower and one search a question; the first question asked of "
            "an encoder reads the whole word list, which takes minutes with a large text tower",
            evidence="authors' code",
            parameters={
                "k": "20 pictures of the gallery stand for the reference (the code)",
                "n": "7 words for each (the code)",
                "m": "7 words at most in the query (the code)",
                "words": "a file with one word a line; else the 9 600 nouns of the package, "
                "WordNet's first names of the classes of ImageNet-21K-P without kinds of people "
                "(ours: the authors' 20 000 class names of Open Images V7 are not part of this "
                "project)",
                "template": "{word} {domain}, as in the code; {domain} is the change",
            },
            disagreements=(
                "The code decides for a whole batch whether queries are in the gallery: one below "
                "0.98 and all stand first among their own neighbours. Here each question decides "
                "for itself; the rule of the code is not offered, since an answer must not hang "
                "on what else is asked.",
                "The code pads a short list of words with empty ones of weight 0; they change "
                "nothing and are left out here.",
                "A word that the list holds twice counts once for a neighbour.",
                "Where an encoder keeps pictures and words in spaces of their own, neighbours are "
                "found by picture and named in the space of words; a picture from outside the "
                "library then only finds neighbours and is not named itself (ours).",
                "Made for domains of a word or two (sketch, autumn). With a longer change the "
                "same rule is kept.",
            ),
        ),
        composer=composer,
    )
)
