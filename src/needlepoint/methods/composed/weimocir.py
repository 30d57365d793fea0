"""WeiMoCIR: one query vector, compared with each picture and with what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.methods.captioned import Captions, read_captions
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.composing import (
    Again,
    Change,
    Composed,
    Sight,
    need_joint,
    query_probe,
    reference_probe,
)
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.known_texts import known_vectors
from needlepoint.methods.options import read_options
from needlepoint.parts import Floats
from needlepoint.store.base import Ids


@dataclass(frozen=True, slots=True)
class Options:
    """``weimocir:alpha=0.8,beta=0.1,captions=FILE.json,j=3,caption_query=image,shortlist=200``.

    ``alpha`` is the share of the words in the query, ``beta`` that of captions in the score (both
    0 to 1). ``captions`` is a file ``{"PICTURE": ["CAPTION", …]}``; ``j`` so many are taken of
    each. ``caption_query`` says what captions are compared with: the query, or one made of the
    reference's own captions. The best ``shortlist`` pictures are scored with captions; 0 is all.
    """

    alpha: float = 0.8
    beta: float = 0.1
    captions: str = ""
    j: int = 3
    caption_query: Literal["image", "caption"] = "image"
    shortlist: int = 200

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(
                    f"method weimocir: {name} is {getattr(self, name)}. Allowed: 0 to 1."
                )
        for name, least in (("j", 1), ("shortlist", 0)):
            if getattr(self, name) < least:
                raise UsageError(
                    f"method weimocir: {name} is {getattr(self, name)}. Allowed: {least} and more."
                )


class WeiMoCIR:
    """``s = (1 - beta) <q, f(I)> + beta mean_j <q, g(c_j)>``.

    ``q = n((1 - alpha) f(R) + alpha g(T))`` of reference R and change T, all of unit length.

    Args:
        options: see there.
        captions: of the pictures of the gallery and of references.
    """

    def __init__(self, options: Options, captions: Captions) -> None:
        self._options, self._captions = options, captions

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """One query vector a question, and a score that reads captions."""
        need_joint(view, "weimocir")
        return [self._one(change, view) for change in changes]

    def _one(self, change: Change, view: Sight) -> Composed:
        picture = reference_probe(change, view)
        share = self._options.alpha if change.text else 0.0
        words = known_vectors([change.text], view)[0] if share else np.zeros_like(picture.vector)
        probe = query_probe(picture, (1 - share) * picture.vector + share * words)
        told = [("picture", f"weight {1 - share:.3g}"), ("words", f"weight {share:.3g}")]
        if not self._options.beta:
            return Composed((probe,), ("picture and words",), tuple(told))
        own = self._own_captions(change, view) if self._options.caption_query == "caption" else []
        against = [_unit((1 - share) * row + share * words) for row in own] or [probe.vector]
        what = "the reference's captions, changed" if own else "picture and words"
        told.append(("captions", f"weight {self._options.beta:.3g}, compared with {what}"))

        def again(ids: Ids, found: Floats) -> Floats:
            return self._scores(
                np.stack(against), paired=bool(own), ids=ids, found=found, view=view
            )

        return Composed(
            (probe,),
            ("picture and words",),
            tuple(told),
            Again(again, self._options.shortlist),
        )

    def _own_captions(self, change: Change, view: Sight) -> list[Floats]:
        """Vectors ``[D]`` of the references' first, second … captions; none where there are none.

        Of several references the weighted mean is taken, of those that have so many.
        """
        said = [self._captions.of_part(part, view) for part in change.references]
        found = []
        for j in range(max(map(len, said))):
            some = [
                (part.weight, texts[j])
                for part, texts in zip(change.references, said, strict=True)
                if j < len(texts)
            ]
            rows = known_vectors([text for _, text in some], view)
            weights = np.array([weight for weight, _ in some], np.float32)
            found.append(_unit(weights @ rows))
        return found

    def _scores(
        self, against: Floats, *, paired: bool, ids: Ids, found: Floats, view: Sight
    ) -> Floats:
        """Scores float32 ``[K]`` with captions, of those without, ``found`` float32 ``[K]``.

        What captions add is ``beta (mean_j <q, g(c_j)> - found)``. A picture without captions gets
        the mean of what those with captions get, so that having none neither helps nor harms.
        ``against`` is ``[1, D]``, or ``[J, D]``, the j-th for the j-th caption (``paired``).
        """
        captions = self._captions.of(ids.tolist(), view)
        if paired:
            captions = [texts[: len(against)] for texts in captions]
        flat = [text for texts in captions for text in texts]
        if not flat:
            return found
        place = np.concatenate([np.arange(len(texts)) for texts in captions])
        owner = np.repeat(np.arange(len(ids)), [len(texts) for texts in captions])
        rows = against[place if paired else np.zeros_like(place)]
        cosines = np.einsum("nd,nd->n", rows, known_vectors(flat, view), dtype=np.float64)
        count = np.bincount(owner, minlength=len(ids))
        mean = np.bincount(owner, cosines, minlength=len(ids)) / np.maximum(count, 1)
        gain = mean - found
        gain = np.where(count > 0, gain, gain[count > 0].mean())
        scores: Floats = (found + self._options.beta * gain).astype(np.float32)
        return scores


def _unit(vector: Floats) -> Floats:
    unit: Floats = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return unit


def composer(options: str, helpers: Helpers) -> WeiMoCIR:
    """The method with its options and a captioner, where there is one."""
    read = read_options(Options, options, "weimocir")
    file = read_captions(read.captions, "weimocir") if read.captions else {}
    return WeiMoCIR(read, Captions(file, read.j, helpers.captioner))


CARD = register(
    Method(
        MethodCard(
            name="weimocir",
            title="WeiMoCIR: one query vector against pictures and their captions",
            paper="Wu et al., Training-free Zero-shot Composed Image Retrieval via Weighted "
            "Modality Fusion and Similarity, TAAI 2024 (arXiv 2409.04918)",
            year=2024,
            task="composed",
            parts=(
                "composer: the unit vectors of picture and words, weighted and added",
                "descriptor: captions of every picture of the gallery, as vectors of words",
                "scorer: the cosine with the picture and the mean cosine with its captions",
            ),
            recipe="*",
            needs=("text",),
            stores="nothing of its own; captions come from a file, the library's keywords or a "
            "captioner",
            passes="one of the text tower a question and one for each caption not met before",
            evidence="authors' code",
            parameters={
                "alpha": "share of the words in the query, 0.8 (the code, for CLIP; 0.95 for BLIP)",
                "beta": "share of captions in the score, 0.1 (the code, for CLIP; 0.2 for BLIP)",
                "captions": 'JSON {"a/b.jpg": ["a duck", …]}, by the end of the path or the bare '
                "name; first asked, then what the library knows (keywords are one caption), then "
                "the captioner that is configured",
                "j": "3 captions of a picture at most (the paper)",
                "caption_query": "image: captions are compared with the query (the paper's "
                "formula); caption: with the reference's own captions and the words, the j-th with "
                "the j-th, as the released grid search does",
                "shortlist": "200 pictures are scored with captions (ours: captions of a large "
                "library take long to encode); 0 is all of them, the method as published",
            },
            disagreements=(
                "Formula and released grid search differ in what captions are compared with: see "
                "caption_query.",
                "Vectors are brought to unit length before they are added, which the raw outputs "
                "of the towers are not in the code: with those, alpha weighs otherwise.",
                "Published with captions for every picture. Here one without captions gets the "
                "mean of what captions add to the others, so that it stands among them by its "
                "picture alone (ours).",
                "Of a reference without captions (a piece of a picture has those of a captioner "
                "only), caption_query=caption compares with the query, as image does (ours).",
            ),
        ),
        composer=composer,
    )
)
