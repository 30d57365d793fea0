"""Searching a library: what is scanned, what is rescored, and in which order it comes back.

Exact: every stored vector is compared. Compressed: all pictures are guessed at from one bit a
number, the better ones guessed at again more closely, and the best of those compared exactly,
in growing numbers, until the next guess is too low to matter.

Shapes: N pictures, V probes, K hits, D dim.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.search.exact import best_of, slack
from needlepoint.search.topk import at_least_kth, check_k, fuse, top_k
from needlepoint.store.base import Ids, Probe, Space, StoreHits
from needlepoint.store.rows import vectors_of
from needlepoint.store.segment import page_scores, read_pages
from needlepoint.store.view import Now, View

MODES = ("auto", "exact", "compressed")
FEW = 1_000
"""Pictures left by a filter up to which they are read from the database and compared exactly."""

_REFINED = 2_000  # pictures guessed at again, at least; or this share of all:
_REFINED_SHARE = 0.02
_PLANES = 4
_FIRST = 128  # pictures compared exactly in the first round, at least
_RUNG = 20  # a list of up to this many is settled at once
_ONCE = 250  # pictures scored canonically together: about 2 MB of codes
_DOUBT = 3.0  # standard deviations by which a guess may be too low and still be looked at


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
        probes: Sequence[Probe],
        k: int,
        within: Ids | None,
        mode: str,
    ) -> StoreHits:
        """See ``Store.search``; the caller holds one read transaction."""
        check_k(k)
        if mode not in MODES:
            raise UsageError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        asked = _Asked(probes, spaces)
        if within is not None:
            within = np.unique(np.asarray(within, np.int64))
        now = Now.of(db)
        views = {number: self.view(db, space, now) for number, space in asked.spaces.items()}
        held = all(view.exact for view in views.values())
        few = within is not None and len(within) <= FEW
        if mode == "exact" or held or (mode == "auto" and few):
            ids, scores, scanned = _exact_scores(db, asked, views, within)
            exact = True
        else:
            ids, scores, scanned = _promising(db, asked, views, within, k)
            exact = False
        margin = 2 * asked.error(slack(asked.widest))
        keep = at_least_kth(asked.fuse(scores), k, margin)
        parts, boxes = _canonical(db, asked, ids[keep])
        fused = asked.fuse(parts)
        order = top_k(fused, ids[keep], k)
        return StoreHits(
            ids[keep][order],
            fused[order],
            parts[order],
            boxes[order],
            exact,
            "exact" if exact else "compressed",
            scanned,
        )


class _Asked:
    """The probes of one question, checked, and grouped by space."""

    def __init__(self, probes: Sequence[Probe], spaces: Callable[[int], Space]) -> None:
        if not probes:
            raise UsageError("probes must hold at least one, got none")
        self.probes = probes
        self.spaces = {probe.space: spaces(probe.space) for probe in probes}
        self.columns: dict[int, list[int]] = {}
        for column, probe in enumerate(probes):
            dim = self.spaces[probe.space].dim
            length = float(np.linalg.norm(probe.vector.astype(np.float64)))
            if probe.vector.shape != (dim,) or not abs(length - 1) < 1e-2:
                raise UsageError(
                    f"vector of probe {column} must have shape [{dim}] and unit length, got "
                    f"shape {list(probe.vector.shape)} and length {length:.4g}"
                )
            self.columns.setdefault(probe.space, []).append(column)
        self.places = np.array([probe.places for probe in probes], np.bool_)
        self.widest = max(space.dim for space in self.spaces.values())
        self._weights = np.array([probe.weight for probe in probes], np.float64)
        self._means = np.array([probe.mean for probe in probes], np.float64)
        self._stds = np.array([probe.std for probe in probes], np.float64)
        # the heaviest probe tells where in the picture the answer is
        self.pointer = int(np.argmax(self._weights))
        fuse(np.empty((0, len(probes)), np.float32), self._weights, self._means, self._stds)

    def vectors(self, columns: Sequence[int]) -> Floats:
        """The probes of some columns, float32 ``[V, D]``."""
        return np.stack([self.probes[c].vector for c in columns]).astype(np.float32, copy=False)

    def fuse(self, parts: Floats) -> Floats:
        """One score for each picture."""
        return fuse(parts, self._weights, self._means, self._stds)

    def error(self, each: float) -> float:
        """How far the fused score can be off when each probe's score is off by ``each``."""
        share = np.abs(self._weights) / np.abs(self._weights).sum() / self._stds
        return float(share.sum() * each) + 1e-6


def _align(asked: _Asked, found: Sequence[tuple[Ids, Floats, list[int]]]) -> tuple[Ids, Floats]:
    """Pictures found in every space asked, with their scores ``[N, V]``.

    A picture without vectors in one of the spaces cannot be scored: it is never taken as 0.
    """
    common = found[0][0]
    if len(found) == 1:  # columns come in their order
        return common, found[0][1]
    for ids, _, _ in found[1:]:
        common = np.intersect1d(common, ids, assume_unique=True)
    parts = np.empty((len(common), len(asked.probes)), np.float32)
    for ids, scores, columns in found:
        parts[:, columns] = scores[np.searchsorted(ids, common)]
    return common, parts


def _exact_scores(
    db: sqlite3.Connection, asked: _Asked, views: dict[int, View], within: Ids | None
) -> tuple[Ids, Floats, int]:
    """Scores of all pictures (of ``within``): from memory where the codes are, else as stored."""
    found, scanned = [], 0
    for number, columns in asked.columns.items():
        view, probes, places = views[number], asked.vectors(columns), asked.places[columns]
        if view.exact and (within is None or len(within) > FEW):
            found.append((*view.scores(probes, places, within), columns))
            scanned += view.vectors
            continue
        ids = view.ids(within)
        parts = [np.empty((0, len(columns)), np.float32)]
        for page in read_pages(db, view.space, ids=None if within is None else ids.tolist()):
            wanted = np.isin(page.ids, ids)
            parts.append(page_scores(page, view.space, probes, places)[wanted])
            scanned += len(page.ids) + len(page.codes)
        found.append((ids, np.concatenate(parts), columns))
    return (*_align(asked, found), scanned)


def _promising(
    db: sqlite3.Connection, asked: _Asked, views: dict[int, View], within: Ids | None, k: int
) -> tuple[Ids, Floats, int]:
    """Scores of those pictures that may be among the best k, judged by their bits."""
    guessed, scanned = [], 0
    for number, columns in asked.columns.items():
        view = views[number]
        if view.exact:
            ids, scores = view.scores(asked.vectors(columns), asked.places[columns], within)
        else:
            ids, scores = view.guess(asked.vectors(columns), asked.places[columns], within)
        guessed.append((ids, scores, columns))
        scanned += view.vectors
    ids, coarse = _align(asked, guessed)
    chase = _Chase(db, asked, views, ids, coarse)
    most = _RUNG
    while True:
        chase.climb(most)
        if most >= k:
            break
        most *= 4
    seen = np.sort(chase.found())
    return ids[seen], chase.scores[seen], scanned + len(chase.seen)


class _Chase:
    """The search for the best pictures by growing numbers of exact comparisons.

    It climbs from rung to rung: first until the best ``_RUNG`` are settled, then four times as
    many, and so on. Whatever a later rung finds that an earlier one should have found is left
    out, so that a longer list always begins with the shorter ones.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        asked: _Asked,
        views: dict[int, View],
        ids: Ids,
        coarse: Floats,
    ) -> None:
        self._db, self._asked, self._views, self._ids = db, asked, views, ids
        self._coarse, self._first = coarse, asked.fuse(coarse)
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
        parts = self._coarse[better]
        for number, columns in self._asked.columns.items():
            if not self._views[number].exact:
                parts[:, columns] = self._views[number].guess_again(
                    self._asked.vectors(columns),
                    self._asked.places[columns],
                    self._ids[better],
                    _PLANES,
                )
        self._guess[better] = self._asked.fuse(parts)
        left = better[~np.isin(better, self.seen)]
        return left[np.argsort(-self._guess[left], kind="stable")]

    def _settled(self, following: np.intp, most: int) -> bool:
        """Whether the next guess, with its usual error, stays below the last of the best."""
        # those guessed last resemble the ones to come most
        late = self.seen[len(self.seen) // 2 :]
        error = self._asked.fuse(self.scores[late]) - self._guess[late]
        highest = self._guess[following] + error.mean() + _DOUBT * error.std()
        return bool(highest < _kth(self._asked.fuse(self.scores[self.seen]), most))

    def found(self) -> npt.NDArray[np.intp]:
        """Those compared exactly, less what a rung below has missed."""
        keep = np.ones(len(self.seen), np.bool_)
        fused = self._asked.fuse(self.scores[self.seen])
        margin = 2 * self._asked.error(slack(self._asked.widest))
        for done, most in self._rungs[:-1]:
            last = _kth(fused[:done][keep[:done]], most)
            keep[done:] &= fused[done:] < last - margin
        return self.seen[keep]


def _kth(scores: Floats, k: int) -> float:
    """The k-th best, or minus infinity where there are fewer."""
    return (
        float(np.partition(scores, len(scores) - k)[len(scores) - k])
        if len(scores) >= k
        else -np.inf
    )


def _stored_scores(db: sqlite3.Connection, asked: _Asked, ids: Ids) -> Floats:
    """Scores float32 ``[n, V]`` of pictures, ids ascending, from their stored codes."""
    parts = np.empty((len(ids), len(asked.probes)), np.float32)
    wanted = ids.tolist()
    for number, columns in asked.columns.items():
        probes, places, done = asked.vectors(columns), asked.places[columns], 0
        for page in read_pages(db, asked.spaces[number], ids=wanted):
            found = page_scores(page, asked.spaces[number], probes, places)
            parts[done : done + len(found), columns] = found
            done += len(found)
    return parts


def _canonical(db: sqlite3.Connection, asked: _Asked, ids: Ids) -> tuple[Floats, Floats]:
    """Canonical scores ``[N, V]`` and boxes ``[N, 4]`` of pictures, from their stored codes."""
    parts = np.empty((len(ids), len(asked.probes)), np.float32)
    boxes = np.full((len(ids), 4), np.nan, np.float32)
    place = {int(picture): row for row, picture in enumerate(ids)}
    for number, columns in asked.columns.items():
        space, probes = asked.spaces[number], asked.vectors(columns)
        places = asked.places[columns]
        pointer = columns.index(asked.pointer) if asked.pointer in columns else None
        for start in range(0, len(ids), _ONCE):
            some = [int(picture) for picture in ids[start : start + _ONCE]]
            rows = db.execute(
                f"SELECT picture_id, count, whole, boxes, regions FROM vectors_{number} "
                f"WHERE picture_id IN ({', '.join('?' * len(some))})",
                some,
            )
            for picture, count, whole, frames, regions in rows:
                stored = vectors_of(space, count, whole, frames, regions)
                best, which = best_of(stored.whole, stored.regions, probes, places)
                parts[place[picture], columns] = best
                if pointer is not None and which[pointer] >= 0:
                    boxes[place[picture]] = stored.boxes[which[pointer]]
    return parts, boxes
