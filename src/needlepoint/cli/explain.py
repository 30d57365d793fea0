"""How an answer came about, in lines for people."""

from __future__ import annotations

from needlepoint.results import Results, printable, shorten

SHOWN = 5
"""Hits whose scores are taken apart."""


def explanation(results: Results) -> list[str]:
    """What a method made of the question, then of each of the first hits what adds up to its score.

    Example:
        >>> from needlepoint.query import Query
        >>> explanation(Results(Query.parse("a bag"), [], told=(("words", "weight 0.5"),)))
        ['words: weight 0.5']
    """
    lines = [f"{label}: {text}" for label, text in results.told]
    for hit in results[:SHOWN]:
        sums = [f"{one.weight:+.2f} x {one.score:.3f} {one.part}" for one in hit.why]
        lines.append(f"{shorten(hit.path)}: {hit.score:.3f} = {' '.join(sums)}")
    return [printable(line) for line in lines]
