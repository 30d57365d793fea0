"""Every question against every picture, exactly, and what the ranking is worth.

Shapes: Q questions, G pictures, T regions, D dim.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from needlepoint.bench.gallery import Vectors
from needlepoint.bench.metrics import centre_inside
from needlepoint.bench.protocol import Question
from needlepoint.methods.card import Asked
from needlepoint.parts import Floats
from needlepoint.picture import Box
from needlepoint.search.exact import segment_max
from needlepoint.search.fusion import Fusion
from needlepoint.search.hubness import csls
from needlepoint.search.shortlist import reorder

TOP = 100
"""Places of a ranking that are kept."""
PLACED = 10
"""Places of a ranking whose box is kept."""

_ROOM = 64_000_000  # float32 numbers of scores in memory at once: 256 MB


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question was answered.

    ``ranks`` (from 1, ascending) of all relevant pictures, junk taken out, and their gallery
    indices ``found``; ``top`` holds the gallery indices and scores of the first hundred;
    ``places`` the box that answered, by gallery index, for the first ten and the relevant ones,
    None where the whole picture did. ``hits`` says for each relevant picture with a known box
    whether the centre of the answering box lies in it; ``region_hits`` asks the same of the best
    region, also where the whole picture answered.
    """

    id: str
    group: str
    ranks: tuple[int, ...]
    found: tuple[int, ...]
    top: tuple[tuple[int, float], ...]
    places: dict[int, Box | None]
    hits: tuple[bool, ...]
    region_hits: tuple[bool, ...]

    def average_precision(self) -> float:
        """As ``metrics.average_precision`` of the whole ranking; nan where nothing is relevant."""
        if not self.ranks:
            return math.nan
        return sum(i / rank for i, rank in enumerate(self.ranks, 1)) / len(self.ranks)

    def hit_at(self, k: int) -> float:
        """As ``metrics.hit_at_k`` of the whole ranking."""
        return float(self.ranks[0] <= k) if self.ranks else math.nan


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate did: shares and mean boosts over (question, positive) and (question, any).

    ``open``: the whole picture scored below tau. ``raised``: and a region scored higher.
    """

    tau: float
    open_positive: float
    open_any: float
    raised_positive: float
    raised_any: float
    boost_positive: float
    boost_any: float


def answer(
    vectors: Vectors,
    asked: Asked,
    questions: Sequence[Question],
    ids: Sequence[str],
    fusion: Fusion,
    *,
    hub: int = 0,
) -> tuple[list[Answer], Gate | None]:
    """Rank the gallery for every question.

    Args:
        vectors: the gallery in the space that is asked in.
        asked: the Q questions as vectors.
        questions: the Q questions.
        ids: the G ids, in the order of ``vectors``; equal scores rank in this order.
        fusion: how whole and regions make a score.
        hub: neighbours for CSLS over all Q questions (transductive), 0 for none.

    Returns:
        An answer for each question, and what the gate did where the fusion is gated.
    """
    index = {one: number for number, one in enumerate(ids)}
    count = _GateCount(fusion.tau)
    adjusted = None
    if hub:
        fused = [block.fused for block in _blocks(vectors, asked.vectors, fusion)]
        adjusted = csls(np.concatenate(fused), hub)
    answers = []
    for block in _blocks(vectors, asked.vectors, fusion):
        for row in range(len(block.fused)):
            number = block.start + row
            question = questions[number]
            relevant = np.array(sorted(index[one] for one in question.relevant), np.int64)
            count.add(block.whole[row], block.region[row], block.fused[row], relevant)
            final = block.fused[row] if adjusted is None else adjusted[number]
            order = np.argsort(-final, kind="stable")
            if asked.second is not None:
                second = vectors.whole @ asked.second[number]
                orders, mixed = reorder(final[None], second[None], asked.share, asked.shortlist)
                order, final = orders[0], mixed[0]
            junk = [index[one] for one in question.junk]
            order = order[~np.isin(order, junk)] if junk else order
            answers.append(_told(vectors, block, row, question, ids, relevant, order, final))
    return answers, count.told() if fusion.kind == "gated" else None


@dataclass(frozen=True, slots=True)
class _Block:
    """Scores ``whole``, ``region``, ``fused`` ``[q, G]``; ``rows`` ``[T, q]`` of each region."""

    start: int
    whole: Floats
    region: Floats
    fused: Floats
    rows: Floats


def _blocks(vectors: Vectors, probes: Floats, fusion: Fusion) -> Iterator[_Block]:
    """All scores, as many questions at a time as fit in memory."""
    step = max(1, _ROOM // (3 * len(vectors.whole) + len(vectors.regions)))
    for start in range(0, len(probes), step):
        some = probes[start : start + step]
        whole = some @ vectors.whole.T
        rows = vectors.regions @ some.T
        region = np.ascontiguousarray(segment_max(rows, vectors.offsets).T)
        yield _Block(start, whole, region, fusion.combine(whole, region), rows)


def _told(
    vectors: Vectors,
    block: _Block,
    row: int,
    question: Question,
    ids: Sequence[str],
    relevant: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    final: Floats,
) -> Answer:
    """The answer to one question from its ranking ``order``."""
    rank = np.zeros(len(ids), np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    relevant = relevant[rank[relevant] > 0]
    found = relevant[np.argsort(rank[relevant])].tolist()
    places: dict[int, Box | None] = {}
    hits, region_hits = [], []
    for i in dict.fromkeys([*order[:PLACED].tolist(), *found]):
        box = _best_box(vectors, block.rows[:, row], i)
        places[i] = box if block.fused[row, i] > block.whole[row, i] else None
        true = question.boxes.get(ids[i]) if i in found else None
        if true:
            hits.append(_inside(places[i], true))
            region_hits.append(_inside(box, true))
    return Answer(
        question.id,
        question.group or question.id,
        tuple(rank[found].tolist()),
        tuple(found),
        tuple((i, float(final[i])) for i in order[:TOP].tolist()),
        places,
        tuple(hits),
        tuple(region_hits),
    )


def _best_box(vectors: Vectors, scores: Floats, i: int) -> Box | None:
    """Box of the first best region of picture i; None where it has none."""
    start, stop = vectors.offsets[i], vectors.offsets[i + 1]
    if start == stop:
        return None
    x, y, w, h = vectors.boxes[start + int(np.argmax(scores[start:stop]))].tolist()
    return x, y, w, h


def _inside(box: Box | None, true: Sequence[Box]) -> bool:
    return box is not None and any(centre_inside(box, one) for one in true)


class _GateCount:
    """Adds up what a gate does, question by question."""

    def __init__(self, tau: float) -> None:
        self._tau = tau
        self._sums = np.zeros((2, 3))
        self._pairs = np.zeros(2)

    def add(
        self, whole: Floats, region: Floats, fused: Floats, relevant: npt.NDArray[np.int64]
    ) -> None:
        facts = np.stack([whole < self._tau, (whole < self._tau) & (region > whole), fused - whole])
        self._sums += [facts[:, relevant].sum(axis=1), facts.sum(axis=1)]
        self._pairs += [len(relevant), len(whole)]

    def told(self) -> Gate:
        positive, every = (self._sums / np.maximum(self._pairs, 1)[:, None]).tolist()
        return Gate(self._tau, positive[0], every[0], positive[1], every[1], positive[2], every[2])
