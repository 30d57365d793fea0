"""Feedback without any model: more like these, less like those (Rocchio's rule)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers, Mark, Turn, Understood, View
from needlepoint.methods.options import read_options
from needlepoint.parts import Floats
from needlepoint.query import Query
from needlepoint.store.base import Probe


@dataclass(frozen=True, slots=True)
class Options:
    """``feedback:more=0.75,less=0.25``: weights of what was liked and of what was not."""

    more: float = 0.75
    less: float = 0.25


class Feedback:
    """Rocchio (1971): the question, plus the mean of what was liked, less the mean of the rest."""

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
        for share, marks, name in (
            (self._options.more, more, "more like these"),
            (-self._options.less, less, "less like those"),
        ):
            for probe in view.standard(mean_probes(view.marked(marks))):
                probes.append(replace(probe, weight=share * probe.weight))
                names.append(name)
        return Understood(tuple(probes), names=tuple(names))

    def ask(self, turns: Sequence[Turn], view: View) -> str:
        """Nothing: the user leads."""
        return ""


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
        mean = np.stack([probe.vector for probe in group]).mean(axis=0, dtype=np.float64)
        unit: Floats = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
        found.append(replace(group[0], vector=unit, weight=len(group) / len(probes)))
    return found


def dialogue(options: str, helpers: Helpers) -> Feedback:
    """The method with its options; no model is needed."""
    return Feedback(read_options(Options, options, "feedback"))


CARD = register(
    Method(
        MethodCard(
            name="feedback",
            title="Relevance feedback (Rocchio)",
            paper="J. Rocchio, Relevance feedback in information retrieval, 1971",
            year=1971,
            task="interactive",
            parts=("dialogue",),
            recipe="*",
            needs=(),
            stores="nothing of its own",
            passes="none",
            evidence="paper's equations",
            parameters={"more": "0.75 (Rocchio's beta)", "less": "0.25 (Rocchio's gamma)"},
        ),
        dialogue=dialogue,
    )
)
