"""Feedback without any model: more like these, less like those (Rocchio, or a logistic head)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers, Mark, Turn, Understood, View
from needlepoint.methods.options import read_options
from needlepoint.methods.relevance import liked_direction
from needlepoint.parts import Floats
from needlepoint.query import Query
from needlepoint.store.base import Probe

MORE, LESS, BOTH = "more like these", "less like those", "as you marked"
_WEAK = 200
_L2 = 1e-3


@dataclass(frozen=True, slots=True)
class Options:
    """``feedback:rule=rocchio,more=2,less=0.25``.

    ``more`` and ``less`` weigh what was liked and what was not beside a part of the question. The
    ``logistic`` rule, which learns one direction from both, needs one mark of each kind; before
    that it is Rocchio's. Its direction weighs ``more``.
    """

    rule: Literal["rocchio", "logistic"] = "rocchio"
    more: float = 2.0
    less: float = 0.25

    def __post_init__(self) -> None:
        for name in ("more", "less"):
            if not 0 < getattr(self, name) <= 1000:
                raise UsageError(
                    f"method feedback: {name} is {getattr(self, name)}. Allowed: above 0, at most "
                    "1000."
                )


class Feedback:
    """Rocchio (1971): the question, plus the mean of what was liked, less the mean of the rest.

    All are compared by standardised scores, so that words and pictures of different spaces add up.
    """

    def __init__(self, options: Options) -> None:
        self._options = options

    def understand(self, turns: Sequence[Turn], view: View) -> Understood:
        """What was said in all turns, with the pictures marked in any of them."""
        more, less = marks_of(turns)
        parts = [part for turn in turns for part in turn.asks()]
        if not more and not less:
            return Understood(query=Query(tuple(parts)))
        probes, names = [], []
        for part in sorted(parts, key=str):  # whatever the order of the turns
            (probe,) = view.standard(view.probes(Query((replace(part, weight=1.0),))))
            probes.append(replace(probe, weight=part.weight))
            names.append(str(part))
        for probe, name in self._marked(view.marked(more), view.marked(less), view):
            (ready,) = view.standard([replace(probe, weight=1.0)])
            probes.append(replace(ready, weight=probe.weight))
            names.append(name)
        return Understood(tuple(probes), names=tuple(names))

    def ask(self, turns: Sequence[Turn], view: View) -> str:
        """Nothing: the user leads."""
        return ""

    def _marked(
        self, more: Sequence[Probe], less: Sequence[Probe], view: View
    ) -> list[tuple[Probe, str]]:
        """Signed probes that stand for all marks, and what they are called."""
        together = len({(p.space, p.fusion) for p in (*more, *less)}) == 1
        if self._options.rule == "logistic" and more and less and together:
            first = more[0]
            weak = view.wholes(view.sample(_WEAK, first.space).tolist(), first.space)
            direction = liked_direction(_rows(more), _rows(less), weak, _L2)
            return [(replace(first, vector=direction, weight=self._options.more), BOTH)]
        liked = [replace(p, weight=self._options.more * p.weight) for p in mean_probes(more)]
        other = [replace(p, weight=-self._options.less * p.weight) for p in mean_probes(less)]
        return [*((p, MORE) for p in liked), *((p, LESS) for p in other)]


def marks_of(turns: Sequence[Turn]) -> tuple[list[Mark], list[Mark]]:
    """What was marked as liked and as not, in order of id and place: turns may come in any order.

    The latest mark of a picture or piece counts.
    """
    liked: dict[Mark, bool] = {}
    for turn in turns:
        liked |= dict.fromkeys(turn.more, True) | dict.fromkeys(turn.less, False)
    order = sorted(liked, key=lambda mark: (mark.id, mark.box or ()))
    return [m for m in order if liked[m]], [m for m in order if not liked[m]]


def mean_probes(probes: Sequence[Probe]) -> list[Probe]:
    """One probe a space and fusion: the mean of theirs, weights adding up to 1."""
    groups: dict[tuple[int, str], list[Probe]] = {}
    for probe in probes:
        groups.setdefault((probe.space, str(probe.fusion)), []).append(probe)
    found = []
    for group in groups.values():
        mean = _rows(group).mean(axis=0, dtype=np.float64)
        unit: Floats = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
        found.append(replace(group[0], vector=unit, weight=len(group) / len(probes)))
    return found


def _rows(probes: Sequence[Probe]) -> Floats:
    return np.stack([probe.vector for probe in probes])


def dialogue(options: str, helpers: Helpers) -> Feedback:
    """The method with its options; no model is needed."""
    return Feedback(read_options(Options, options, "feedback"))


CARD = register(
    Method(
        MethodCard(
            name="feedback",
            title="Relevance feedback (Rocchio, or a logistic head)",
            paper="J. Rocchio, Relevance feedback in information retrieval, 1971",
            year=1971,
            task="interactive",
            parts=(
                "Dialogue: the question, plus the mean of what is liked, less that of the rest",
            ),
            recipe="*",
            needs=(),
            stores="nothing of its own",
            passes="none for a picture that is marked, one or two for a piece",
            evidence="paper's equations",
            parameters={
                "rule": "rocchio; logistic: L2-regularised regression on the marks, with 200 "
                "pictures of the library as weak negatives (ours)",
                "more": "2, on standardised scores; Rocchio's beta, 0.75 by custom, is of raw "
                "vectors (ours, see docs/conversation.md)",
                "less": "0.25, on standardised scores; Rocchio's gamma",
            },
            disagreements=(
                "Rocchio adds vectors. Words and pictures may lie in spaces that cannot be added, "
                "so scores are added, each standardised by what unrelated pictures score; within "
                "one space the means of marks are vectors, as in the paper.",
                "A picture's score is that of its best region, so adding scores lets words and "
                "marks be answered by different places of a picture.",
            ),
        ),
        dialogue=dialogue,
    )
)
