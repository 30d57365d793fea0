"""Ask a library the questions of a needle set and score the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from needlepoint.bench.metrics import (
    Interval,
    average_precision,
    bootstrap_interval,
    centre_inside,
    hit_at_k,
)
from needlepoint.bench.needle.truth import SceneQuery, Truth
from needlepoint.library import Library
from needlepoint.picture import Box

Asked = Literal["cutout", "picture", "words"]


@dataclass(frozen=True, slots=True)
class NeedleScore:
    """What a library made of a needle set.

    ``ap``, ``r1``, ``r5``, ``r10`` hold one value a question; ``box_hits`` one value (0 or 1) for
    every positive picture of every question, wherever it was ranked: whether the centre of the
    answered box lies in a box of the thing; an answer without a box is a miss.
    """

    ap: tuple[float, ...]
    r1: tuple[float, ...]
    r5: tuple[float, ...]
    r10: tuple[float, ...]
    box_hits: tuple[float, ...]

    def interval(self, values: Sequence[float]) -> Interval:
        """Mean and 95 % bootstrap interval over the questions (or the positives)."""
        return bootstrap_interval(values, seed=0)

    def line(self) -> dict[str, float]:
        """The five means, rounded, with the half-width of mAP's interval."""
        spread = self.interval(self.ap)
        return {
            "mAP": round(spread.estimate, 4),
            "mAP_low": round(spread.low, 4),
            "mAP_high": round(spread.high, 4),
            "R@1": round(_mean(self.r1), 4),
            "R@5": round(_mean(self.r5), 4),
            "R@10": round(_mean(self.r10), 4),
            "box_hits": round(_mean(self.box_hits), 4),
        }


Ranking = list[tuple[str, Box | None]]
"""Pictures of the set by their file, best first, each with the place that answered."""


def score_needles(
    truth: Truth,
    answer: Callable[[SceneQuery], Ranking],
    *,
    questions: Sequence[SceneQuery],
    by: Literal["object_id", "name"] = "object_id",
) -> NeedleScore:
    """Score complete rankings of a set's pictures.

    Args:
        truth: the set.
        answer: gives the ranking of all pictures for one question.
        questions: which questions to ask.
        by: whether a question is about one thing or about all things of a name.
    """
    boxes: dict[tuple[str, str], list[Box]] = {}
    for picture in truth.pictures:
        for thing in picture.objects:
            boxes.setdefault((picture.file, getattr(thing, by)), []).append(thing.box)
    ap, r1, r5, r10, hits = [], [], [], [], []
    for question in questions:
        ranking = answer(question)
        files = [file for file, _ in ranking]
        positives = set(question.positives)
        ap.append(average_precision(files, positives))
        r1.append(hit_at_k(files, positives, 1))
        r5.append(hit_at_k(files, positives, 5))
        r10.append(hit_at_k(files, positives, 10))
        for file, box in ranking:
            if file in positives:
                targets = boxes[(file, getattr(question, by))]
                found = box is not None and any(centre_inside(box, t) for t in targets)
                hits.append(float(found))
    return NeedleScore(*(tuple(map(float, column)) for column in (ap, r1, r5, r10, hits)))


def ask_library(library: Library, folder: Path, truth: Truth, asked: Asked) -> NeedleScore:
    """Ask an indexed needle set through the library's own search, every picture ranked.

    Args:
        library: holds exactly the pictures of the set.
        folder: where the set lies.
        truth: the set.
        asked: questions by the ``cutout`` (transparent around the thing), by the ``picture`` of
            it on some background, or by its name in ``words``.
    """
    count = len(truth.pictures)
    root = folder.resolve()

    def answer(question: SceneQuery) -> Ranking:
        if asked == "words":
            results = library.search(f"text:{question.name}", k=count)
        elif asked == "cutout":
            results = library.search(folder / (question.cutout or question.file), k=count)
        else:
            results = library.search(folder / question.file, k=count)
        return [(Path(hit.path).relative_to(root).as_posix(), hit.box) for hit in results]

    questions = list(truth.queries)
    if asked == "words":
        # One question a name: every picture that holds a thing of this name answers it.
        holders: dict[str, set[str]] = {}
        for picture in truth.pictures:
            for thing in picture.objects:
                holders.setdefault(thing.name, set()).add(picture.file)
        named = {question.name: question for question in questions}
        questions = [
            SceneQuery(q.file, q.object_id, q.name, tuple(sorted(holders[q.name])))
            for q in named.values()
        ]
    by: Literal["object_id", "name"] = "name" if asked == "words" else "object_id"
    return score_needles(truth, answer, questions=questions, by=by)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
