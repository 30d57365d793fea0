"""From what the store found to results: weights, cut-offs, facts."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from needlepoint.methods.card import Asked
from needlepoint.methods.composing import Again
from needlepoint.parts import Calibration, Floats
from needlepoint.picture import Box
from needlepoint.results import Hit, Reason
from needlepoint.search.shortlist import reorder
from needlepoint.search.topk import gaussian_cdf
from needlepoint.store.base import Probe, Space, StoreHits
from needlepoint.store.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class Ready:
    """A part made ready: its probe, its space, its method and, if there is one, its calibration.

    ``asked`` is there where the best are put in order again by a second vector; ``name`` is the
    part as the user knows it.
    """

    probe: Probe
    space: Space
    method: str
    calibration: Calibration | None
    handicap: float = 0.0
    asked: Asked | None = None
    name: str = ""

    def background(self) -> tuple[float, float]:
        """Mean and standard deviation of unrelated pictures' scores; 0 and 1 when unknown."""
        if self.calibration is None:
            return 0.0, 1.0
        return self.calibration.background(self.probe.vector, self.handicap)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the found is shown: see ``Library.search``; ``without`` are ids left out."""

    k: int
    min_score: float | Literal["auto"] | None
    without: tuple[int, ...]


def weigh(ready: Sequence[Ready]) -> tuple[list[Probe], bool]:
    """Probes as they are for one part; standardised for several where that is possible.

    The second value tells whether scores are fused of several.
    """
    probes = [one.probe for one in ready]
    if len(probes) == 1 and probes[0].weight > 0:
        return [replace(probes[0], weight=1.0)], False
    if any(one.calibration is None for one in ready):
        return probes, True
    weighed = []
    for one in ready:
        mean, std = one.background()
        weighed.append(replace(one.probe, mean=mean, std=std))
    return weighed, True


def in_order_again(
    store: SqliteStore, found: StoreHits, one: Ready, asked: Asked
) -> tuple[StoreHits, int]:
    """The found with the first of them in the order of a second vector, and how many those are."""
    if asked.second is None or not len(found.ids):
        return found, 0
    first = np.sort(found.ids[: asked.shortlist])
    kept = store.fetch_vectors(first.tolist(), one.space.id)
    second = np.zeros(len(found.ids), np.float32)
    by_id = np.argsort(found.ids)  # equal scores come in order of id
    at = by_id[np.searchsorted(found.ids, first, sorter=by_id)]
    second[at] = [float(kept[number].whole @ asked.second[0]) for number in first.tolist()]
    order, mixed = reorder(
        found.score[None, by_id], second[None, by_id], asked.share, asked.shortlist
    )
    now = by_id[order[0]]
    again = replace(
        found,
        ids=found.ids[now],
        score=mixed[0, order[0]],
        part_scores=found.part_scores[now],
        boxes=found.boxes[now],
    )
    return again, len(first)


def in_order_anew(found: StoreHits, again: Again) -> tuple[StoreHits, int]:
    """The found with its shortlist in the order of a composer's scores, and how many those are."""
    count = len(found.ids) if not again.shortlist else min(again.shortlist, len(found.ids))
    scores = np.asarray(again.scores(found.ids[:count], found.score[:count]), np.float32)
    order = np.lexsort((found.ids[:count], -scores))
    now = np.concatenate([order, np.arange(count, len(found.ids))])
    anew = replace(
        found,
        ids=found.ids[now],
        score=np.concatenate([scores[order], found.score[count:]]),
        part_scores=found.part_scores[now],
        boxes=found.boxes[now],
    )
    return anew, count


class Judge:
    """Turns a score into match and probability where the question's spaces are calibrated.

    A fused score already is a weighted mean of standardised scores when all parts are calibrated;
    it is then judged with the first part's calibration, which is fitted on single questions.
    """

    def __init__(self, ready: Sequence[Ready], fused: bool) -> None:
        self._calibration = ready[0].calibration
        if fused and any(one.calibration is None for one in ready):
            self._calibration = None
        self._mean, self._std = 0.0, 1.0
        self.cutoff: float | None = None
        if self._calibration is None:
            return
        if not fused:
            self._mean, self._std = ready[0].background()
        self.cutoff = self._calibration.threshold() * self._std + self._mean

    def __call__(self, score: float) -> tuple[bool | None, float | None]:
        if self._calibration is None or self.cutoff is None:
            return None, None
        standard = (score - self._mean) / self._std
        return score >= self.cutoff, self._calibration.probability(standard)


def to_hits(
    store: SqliteStore,
    found: StoreHits,
    ready: Sequence[Ready],
    probes: Sequence[Probe],
    fused: bool,
    judge: Judge,
    wanted: Wanted,
    reordered: int = 0,
) -> list[Hit]:
    """Hits with paths and facts, best first, less what is not wanted.

    ``probes`` are those searched with, one for each of ``ready``; ``reordered`` tells how many of
    the first have a score of their own kind.
    """
    facts = store.facts(found.ids.tolist())
    roots = {number: path for number, (path, _) in store.roots().items()}
    source: dict[str, Any] = {
        "library": str(store.folder),
        "model": "+".join(dict.fromkeys(one.space.encoder for one in ready)),
        "space": "+".join(dict.fromkeys(one.space.name for one in ready)),
        "method": ready[0].method,
        "exact": found.exact,
        "mode": found.mode,
    }
    total = sum(abs(probe.weight) for probe in probes)
    hits: list[Hit] = []
    for i, number in enumerate(found.ids.tolist()):
        if number in wanted.without or len(hits) == wanted.k:
            continue
        score = float(found.score[i])
        match, probability = judge(score)
        if wanted.min_score == "auto" and match is False:
            continue
        if isinstance(wanted.min_score, float | int) and score < wanted.min_score:
            continue
        file, fact = facts[number]
        box = found.boxes[i]
        hits.append(
            Hit(
                rank=len(hits) + 1,
                id=number,
                path=os.path.join(roots[file.root], file.path),
                score=score,
                score_kind="reordered" if i < reordered else "fused" if fused else "cosine",
                box=None if np.isnan(box).any() else _box(box),
                match=match,
                probability=probability,
                width=fact.width,
                height=fact.height,
                source=source,
                why=tuple(
                    Reason(one.name, _standard(float(part), p), p.weight / total)
                    for one, p, part in zip(ready, probes, found.part_scores[i], strict=True)
                ),
                taken=fact.taken,
                lat=fact.lat,
                lon=fact.lon,
            )
        )
    return hits


def _standard(score: float, probe: Probe) -> float:
    """What a probe's score counts as in the sum of several."""
    standard = (score - probe.mean) / probe.std
    return float(gaussian_cdf(np.array([standard]))[0]) if probe.curve == "gaussian" else standard


class Clock:
    """Milliseconds by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.laps[stage] = round((now - self._last) * 1e3, 3)
        self._last = now


def _box(row: Floats) -> Box:
    x, y, w, h = (float(v) for v in row)
    return x, y, w, h
