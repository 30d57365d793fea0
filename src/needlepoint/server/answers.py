"""Answers to questions as they are told over HTTP."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from needlepoint.results import Hit, Results

Pixels = Annotated[tuple[int, int, int, int], Field(description="x, y, width, height")]


class ReasonOut(BaseModel):
    """What one part of a question says of a picture: the sum of score times weight is the hit's."""

    part: str
    score: float
    weight: float


class HitOut(BaseModel):
    """A picture of an answer; ``box`` is in pixels of the upright original."""

    rank: int
    id: int
    path: str
    name: str
    score: float
    score_kind: Literal["cosine", "fused", "reordered"]
    box: Pixels | None
    match: Annotated[bool | None, Field(description="Above the cut-off; null without one.")]
    probability: float | None
    width: int
    height: int
    taken: str | None
    lat: float | None
    lon: float | None
    source: dict[str, Any]
    why: list[ReasonOut]
    folded: Annotated[list[int], Field(description="Near-duplicates that stand behind it.")]


class Answer(BaseModel):
    """The answer to a question; times are in milliseconds."""

    query: str
    hits: list[HitOut]
    cutoff: Annotated[float | None, Field(description="Score above which hits match.")]
    likely: Annotated[
        int | None, Field(description="How many of the first ranks probably match; null unknown.")
    ]
    likely_score: Annotated[float | None, Field(description="Score of the last of those.")]
    exact: Annotated[bool, Field(description="Whether the ranking equals brute force.")]
    notes: list[str]
    told: Annotated[
        list[tuple[str, str]], Field(description="What a method made of the question, by label.")
    ]
    timings: dict[str, float]


def answer(
    results: Results, hits: Sequence[Hit], folded: Mapping[int, Sequence[int]] | None = None
) -> dict[str, Any]:
    """An answer ready for JSON, with some of its hits."""
    behind = folded or {}
    rows = [
        {
            **hit.to_dict(),
            "name": os.path.basename(hit.path),
            "taken": hit.taken,
            "lat": hit.lat,
            "lon": hit.lon,
            "why": [reason.to_dict() for reason in hit.why],
            "folded": list(behind.get(hit.id, ())),
        }
        for hit in hits
    ]
    likely = results.likely
    told = replace(results, hits=()).to_dict()
    return {
        **told,
        "likely": likely,
        "likely_score": round(results[likely - 1].score, 6) if likely else None,
        "hits": rows,
    }
