"""Captions that stand for what could be meant, one a group of alike candidates (PlugIR).

Shapes: M candidates, D dim, C clusters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from needlepoint.methods.dialogue import View
from needlepoint.outside.captioner import Captioner
from needlepoint.parts import Floats
from needlepoint.picture import Picture
from needlepoint.query import Part, Query
from needlepoint.store.base import Ids

CLUSTERS = 10
_STEPS = 20
_SIDE = 768

Labels = npt.NDArray[np.intp]


class Candidates:
    """Finds the captions; those a captioner has written are kept for the conversation."""

    def __init__(self, captioner: Captioner | None) -> None:
        self._captioner = captioner
        self._written: dict[int, str] = {}

    def captions(self, ids: Ids, vectors: Floats, view: View) -> list[str]:
        """At most one caption a cluster of candidates, best-ranked cluster first.

        Where the library knows words of its pictures: of each cluster the caption of lowest
        entropy. Where it does not, a captioner sees the picture nearest to the cluster's middle.

        Args:
            ids: int64 ``[M]``, best first.
            vectors: float32 ``[M, D]``, of whole pictures in the space that answers words.
            view: of the library.
        """
        known = view.captions(ids.tolist())
        have = [place for place, caption in enumerate(known) if caption.strip()]
        if have:
            ids, vectors = ids[have], vectors[have]
            doubt = self._entropies([known[place] for place in have], vectors, view)
        elif self._captioner is not None:
            doubt = None
        else:
            return []
        labels, middles = clusters(vectors, CLUSTERS)
        chosen = []
        for label in dict.fromkeys(labels.tolist()):
            members = np.flatnonzero(labels == label)
            if doubt is not None:
                chosen.append(int(members[np.argmin(doubt[members])]))
            else:
                chosen.append(int(members[np.argmax(vectors[members] @ middles[label])]))
        if doubt is not None:
            return list(dict.fromkeys(known[have[place]] for place in chosen))
        return list(dict.fromkeys(self._seen(int(ids[place]), view) for place in chosen))

    def _entropies(self, captions: Sequence[str], vectors: Floats, view: View) -> Floats:
        """How evenly each caption fits the candidates, float32 ``[M]``; low is telling."""
        texts = list(dict.fromkeys(captions))
        probes = view.probes(Query(tuple(Part("text", text) for text in texts)))
        rows = {text: probe.vector for text, probe in zip(texts, probes, strict=True)}
        share = softmax(np.stack([rows[caption] for caption in captions]) @ vectors.T)
        entropy: Floats = -(share * np.log(share)).sum(axis=1)
        return entropy

    def _seen(self, number: int, view: View) -> str:
        if number not in self._written:
            assert self._captioner is not None
            picture = Picture.from_pixels(view.pixels(number, _SIDE), f"@{number}")
            (caption,) = self._captioner.caption([picture], [""])
            self._written[number] = " ".join(caption.split())
        return self._written[number]


def clusters(vectors: Floats, count: int) -> tuple[Labels, Floats]:
    """Spherical k-means, always the same for the same vectors.

    The first middle is the first vector, each next one the vector least like all so far.

    Returns:
        The cluster of each vector, int ``[M]``, and unit middles float32 ``[C, D]``; some clusters
        may be empty.
    """
    chosen = [0]
    nearest = vectors @ vectors[0]
    while len(chosen) < min(count, len(vectors)):
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    middles: Floats = vectors[chosen].copy()
    labels: Labels = np.argmax(vectors @ middles.T, axis=1)
    for _ in range(_STEPS):
        for label in range(len(middles)):
            total = vectors[labels == label].sum(axis=0)
            length = float(np.linalg.norm(total))
            if length > 0:
                middles[label] = total / length
        now: Labels = np.argmax(vectors @ middles.T, axis=1)
        if (now == labels).all():
            break
        labels = now
    return labels, middles


def softmax(scores: Floats) -> Floats:
    """Shares that add up to 1 along the last axis, no temperature."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    share: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return share
