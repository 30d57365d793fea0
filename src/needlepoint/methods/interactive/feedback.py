"""Feedback without any model: more like these, less like those (Rocchio's rule)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers, Turn, Understood, View
from needlepoint.query import Query

MORE, LESS = 0.75, 0.25


class Feedback:
    """Rocchio (1971): the question, plus the mean of what was liked, less the mean of the rest."""

    def understand(self, turns: Sequence[Turn], view: View) -> Understood:
        """Words of all turns, with the pictures marked in any of them."""
        parts = tuple(p for t in turns if t.said.strip() for p in Query.parse(t.said).parts)
        probes = view.probes(Query(parts)) if parts else []
        for share, marks in (
            (MORE, [m for t in turns for m in t.more]),
            (-LESS, [m for t in turns for m in t.less]),
        ):
            probes += [replace(p, weight=share / len(marks)) for p in view.marked(marks)]
        return Understood(tuple(probes))

    def ask(self, turns: Sequence[Turn], view: View) -> str:
        """Nothing: the user leads."""
        return ""


def dialogue(options: str, helpers: Helpers) -> Feedback:
    """The method with its options (none so far)."""
    return Feedback()


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
