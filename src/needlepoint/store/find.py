"""Searching a library: what is scanned, what is rescored, and in which order it comes back.

Exact: every stored vector is compared. Compressed: all pictures are guessed at from one bit a
number, the better ones guessed at again more closely, and the best of those compared exactly,
in growing numbers, until the next guess is too low to matter.

A probe's score comes of a pair, the whole picture's and its best region's, by the probe's fusion.
Where a gate makes that jump, a pair that is only nearly right may be far off: such scores are
bounded from both sides, and canonical pairs decide.

Shapes: N pictures, V probes, K hits, D dim. Pairs are ``[N, 2, V]``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.search.exact import best_of
from needlepoint.search.topk import at_least_kth, top_k
from needlepoint.store.asked import Asked, Looks
from needlepoint.store.base import Ids, Question, Space, StoreHits
from needlepoint.store.rows import vectors_of
from needlepoint.store.segment import page_scores, read_pages
from needlepoint.store.view import Now, View

_REFINED = 2_000  # pictures guessed at again, at least; or this share of all:
_REFINED_SHARE = 0.02
_PLANES = 4
_FIRST = 128  # pictures compared exactly in the first round, at least
_RUNG = 20  # a list of up to this many is settled at once
_ONCE = 250  # pictures scored canonically together: about 2 MB of codes


class Finder:
    """Answers questions from one connection; holds the views it scans."""

    def __init__(self, folder: Path, writable: bool) -> None:
        self._folder = folder
        self._writable = writable
        self._views: dict[int, View] = {}

    def view(self, db: sqlite3.Connection, space: Space, now: Now) -> View:
        """The view of a space in step with the open transaction."""
        view = self._views.get(space.id)
        if view is None:
            view = self._views[space.id] = View(self._folder, space, self._writable)
        view.refresh(db, now)
        return view

    def drop(self) -> None:
        """Let go of all views, and of the files they have mapped."""
        self._views.clear()

    def search(
        self,
        db: sqlite3.Connection,
        spaces: Callable[[int], Space],
        questions: Sequence[Question],
    ) -> list[StoreHits]:
        """See ``Store.search_many``; the caller holds one read transaction."""
        try:
            return self._answers(db, spaces, questions)
        except UsageError:
            raise
        except (IndexError, ValueError):
            # something has written over a cache file that is mapped: read the database anew
            self.drop()
            return self._answers(db, spaces, questions)

    def _answers(
        self,
        db: sqlite3.Connection,
        spaces: Callable[[int], Space],
        questions: Sequence[Question],
    ) -> list[StoreHits]:
        every = [Asked(question, spaces) for question in questions]
        now = Now.of(db)
        known = {number: space for asked in every for number, space in asked.spaces.items()}
        views = {number: self.view(db, space, now) for number, space in known.items()}
        looks = Looks(views, every)
        return [_answer(db, asked, views, looks) for asked in every]


def _answer(
    db: sqlite3.Connection, asked: Asked, views: dict[int, View], looks: Looks
) -> StoreHits:
    exact = asked.exact(views)
    look = _exact_scores if exact else _promising
    ids, pairs, scanned, candidates = look(db, asked, views, looks)
    low, high = asked.span(pairs)
    keep = np.flatnonzero(high >= _kth(low, asked.k))
    parts, boxes = _canonical(db, asked, ids[keep])
    fused = asked.weigh(parts)
    order = top_k(fused, ids[keep], asked.k)
    return StoreHits(
        ids[keep][order],
        fused[order],
        parts[order],
        boxes[order],
        exact,
        "exact" if exact else "compressed",
        scanned,
        candidates,
    )


def _align(asked: Asked, found: Sequence[tuple[Ids, Floats, list[int]]]) -> tuple[Ids, Floats]:
    """Pictures found in every space asked, with their pairs ``[N, 2, V]``.

    A picture without vectors in one of the spaces cannot be scored: it is never taken as 0.
    """
    common = found[0][0]
    if len(found) == 1:  # columns come in their order
        return common, found[0][1]
    for ids, _, _ in found[1:]:
        common = np.intersect1d(common, ids, assume_unique=True)
    pairs = np.empty((len(common), 2, len(asked.probes)), np.float32)
    for ids, scores, columns in found:
        pairs[:, :, columns] = scores[np.searchsorted(ids, common)]
    return common, pairs


def _exact_scores(
    db: sqlite3.Connection, asked: Asked, views: dict[int, View], looks: Looks
) -> tuple[Ids, Floats, int, int]:
    """Scores of all pictures asked for: from memory where the codes are, else as stored.

    With them, how many vectors were looked at, and how many pictures could have been found.
    """
    found, scanned, within = [], 0, asked.within
    for number, columns in asked.columns.items():
        view, probes, fusions = views[number], asked.vectors(columns), asked.fusions(columns)
        if view.exact and not asked.few:
            found.append((*looks.of(asked, number), columns))
            scanned += view.vectors
            continue
        ids = view.ids(within)
        pairs = [np.empty((0, 2, len(columns)), np.float32)]
        for page in read_pages(db, view.space, ids=None if within is None else ids.tolist()):
            wanted = np.isin(page.ids, ids)
            pairs.append(page_scores(page, view.space, probes, fusions)[wanted])
            scanned += len(page.ids) + len(page.codes)
        found.append((ids, np.concatenate(pairs), columns))
    common, scores = _align(asked, found)
    return common, scores, scanned, len(common)


def _promising(
    db: sqlite3.Connection, asked: Asked, views: dict[int, View], looks: Looks
) -> tuple[Ids, Floats, int, int]:
    """As :func:`_exact_scores`, of those that may be among the best k, judged by their bits."""
    guessed, scanned = [], 0
    for number, columns in asked.columns.items():
        guessed.append((*looks.of(asked, number), columns))
        scanned += views[number].vectors
    ids, coarse = _align(asked, guessed)
    chase = _Chase(db, asked, views, ids, coarse)
    most = _RUNG
    while True:
        chase.climb(most)
        if most >= asked.k:
            break
        most *= 4
    seen = np.sort(chase.found())
    return ids[seen], chase.scores[seen], scanned + len(chase.seen), len(ids)


class _Chase:
    """The search for the best pictures by growing numbers of exact comparisons.

    It climbs from rung to rung: first until the best ``_RUNG`` are settled, then four times as
    many, and so on. Whatever a later rung finds that an earlier one should have found is left
    out, so that a longer list always begins with the shorter ones.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        asked: Asked,
        views: dict[int, View],
        ids: Ids,
        coarse: Floats,
    ) -> None:
        self._db, self._asked, self._views, self._ids = db, asked, views, ids
        self._coarse, self._first = coarse, asked.promise(coarse)
        self._guess = np.zeros(len(ids), np.float32)
        self.scores = np.zeros_like(coarse)
        self.seen = np.empty(0, np.intp)
        self._rungs: list[tuple[int, int]] = []

    def climb(self, most: int) -> None:
        """Settle the best ``most``, as well as the guesses allow."""
        total = len(self._ids)
        order = self._refine(max(_REFINED, round(_REFINED_SHARE * total), 8 * most))
        stop = max(_FIRST, 4 * most)
        while len(order):
            some = np.sort(order[: max(0, stop - len(self.seen))])
            order = order[len(some) :]
            self.scores[some] = _stored_scores(self._db, self._asked, self._ids[some])
            self.seen = np.concatenate([self.seen, some])
            if not len(order) or self._settled(order[0], most):
                break
            stop = 2 * len(self.seen)
        self._rungs.append((len(self.seen), most))

    def _refine(self, many: int) -> npt.NDArray[np.intp]:
        """Guess again at the ``many`` best; those not seen yet, by falling guess, then id."""
        better = at_least_kth(self._first, many, 0.0)
        pairs = self._coarse[better]
        for number, columns in self._asked.columns.items():
            if not self._views[number].exact:
                pairs[:, :, columns] = self._views[number].guess_again(
                    self._asked.vectors(columns),
                    self._asked.fusions(columns),
                    self._ids[better],
                    _PLANES,
                )
        self._guess[better] = self._asked.promise(pairs)
        left = better[~np.isin(better, self.seen)]
        return left[np.argsort(-self._guess[left], kind="stable")]

    def _settled(self, following: np.intp, most: int) -> bool:
        """Whether the next guess, with its usual error, stays below the last of the best."""
        # those guessed last resemble the ones to come most
        late = self.seen[len(self.seen) // 2 :]
        error = self._asked.promise(self.scores[late]) - self._guess[late]
        highest = self._guess[following] + error.mean() + self._asked.doubt * error.std()
        return bool(highest < _kth(self._asked.span(self.scores[self.seen])[0], most))

    def found(self) -> npt.NDArray[np.intp]:
        """Those compared exactly, less what a rung below has missed."""
        keep = np.ones(len(self.seen), np.bool_)
        low, high = self._asked.span(self.scores[self.seen])
        for done, most in self._rungs[:-1]:
            keep[done:] &= high[done:] < _kth(low[:done][keep[:done]], most)
        return self.seen[keep]


def _kth(scores: Floats, k: int) -> float:
    """The k-th best, or minus infinity where there are fewer."""
    return (
        float(np.partition(scores, len(scores) - k)[len(scores) - k])
        if len(scores) >= k
        else -np.inf
    )


def _stored_scores(db: sqlite3.Connection, asked: Asked, ids: Ids) -> Floats:
    """Pairs float32 ``[n, 2, V]`` of pictures, ids ascending, from their stored codes."""
    pairs = np.empty((len(ids), 2, len(asked.probes)), np.float32)
    wanted = ids.tolist()
    for number, columns in asked.columns.items():
        probes, fusions, done = asked.vectors(columns), asked.fusions(columns), 0
        for page in read_pages(db, asked.spaces[number], ids=wanted):
            found = page_scores(page, asked.spaces[number], probes, fusions)
            pairs[done : done + len(found), :, columns] = found
            done += len(found)
    return pairs


def _canonical(db: sqlite3.Connection, asked: Asked, ids: Ids) -> tuple[Floats, Floats]:
    """Canonical scores ``[N, V]`` and boxes ``[N, 4]`` of pictures, from their stored codes."""
    pairs = np.empty((len(ids), 2, len(asked.probes)), np.float32)
    boxes = np.full((len(ids), 4), np.nan, np.float32)
    place = {int(picture): row for row, picture in enumerate(ids)}
    for number, columns in asked.columns.items():
        space, probes = asked.spaces[number], asked.vectors(columns)
        seen = 0
        places = any(fusion.kind != "whole" for fusion in asked.fusions(columns))
        pointer = columns.index(asked.pointer) if asked.pointer in columns else None
        for start in range(0, len(ids), _ONCE):
            some = [int(picture) for picture in ids[start : start + _ONCE]]
            rows = db.execute(
                f"SELECT picture_id, count, whole, boxes, regions FROM vectors_{number} "
                f"WHERE picture_id IN ({', '.join('?' * len(some))})",
                some,
            )
            for picture, count, whole, frames, regions in rows:
                seen += 1
                stored = vectors_of(space, count, whole, frames, regions)
                some_regions = stored.regions if places else stored.regions[:0]
                *pair, which = best_of(stored.whole, some_regions, probes)
                pairs[place[picture], :, columns] = np.stack(pair, axis=1)
                if pointer is not None and which[pointer] >= 0:
                    boxes[place[picture]] = stored.boxes[which[pointer]]
        if seen != len(ids):
            raise ValueError(f"{len(ids) - seen} pictures were looked at that have no vectors")
    parts = asked.combine(pairs)
    boxes[parts[:, asked.pointer] <= pairs[:, 0, asked.pointer]] = np.nan
    return parts, boxes
