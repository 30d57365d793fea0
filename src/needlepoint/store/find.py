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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.search.exact import best_of, slack
from needlepoint.search.fusion import Fusion
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
_ROUNDING = 1e-6  # of a weighted sum
_DOUBT = 3.0  # standard deviations by which a guess may be too low and still be looked at
_DOUBT_GATED = 4.0  # the errors of two guesses are mixed, and spread less evenly


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
            ids, pairs, scanned = _exact_scores(db, asked, views, within)
            exact = True
        else:
            ids, pairs, scanned = _promising(db, asked, views, within, k)
            exact = False
        low, high = asked.span(pairs)
        keep = np.flatnonzero(high >= _kth(low, k))
        parts, boxes = _canonical(db, asked, ids[keep])
        fused = asked.weigh(parts)
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
        gated = any(probe.fusion.kind == "gated" for probe in probes)
        self.doubt = _DOUBT_GATED if gated else _DOUBT
        self._error = slack(max(space.dim for space in self.spaces.values()))
        self._weights = np.array([probe.weight for probe in probes], np.float64)
        self._means = np.array([probe.mean for probe in probes], np.float64)
        self._stds = np.array([probe.std for probe in probes], np.float64)
        # the heaviest probe tells where in the picture the answer is
        self.pointer = int(np.argmax(self._weights))
        fuse(np.empty((0, len(probes)), np.float32), self._weights, self._means, self._stds)

    def vectors(self, columns: Sequence[int]) -> Floats:
        """The probes of some columns, float32 ``[V, D]``."""
        return np.stack([self.probes[c].vector for c in columns]).astype(np.float32, copy=False)

    def fusions(self, columns: Sequence[int]) -> list[Fusion]:
        """How the probes of some columns fuse."""
        return [self.probes[c].fusion for c in columns]

    def combine(self, pairs: Floats) -> Floats:
        """Scores ``[N, V]`` of pairs."""
        found = [p.fusion.combine(pairs[:, 0, v], pairs[:, 1, v]) for v, p in self._columns()]
        return np.stack(found, axis=1)

    def weigh(self, parts: Floats) -> Floats:
        """One score ``[N]`` for each picture, of its scores ``[N, V]``."""
        return fuse(parts, self._weights, self._means, self._stds)

    def span(self, pairs: Floats) -> tuple[Floats, Floats]:
        """Bounds ``[N]`` of the canonical score of pairs from a scan."""
        spans = [
            p.fusion.span(pairs[:, 0, v], pairs[:, 1, v], self._error) for v, p in self._columns()
        ]
        # what pushes away lowers a score by as much as it raises its own
        low, high = (
            np.stack(
                [s[i if p.weight >= 0 else 1 - i] for s, p in zip(spans, self.probes, strict=True)],
                axis=1,
            )
            for i in (0, 1)
        )
        return self.weigh(low) - _ROUNDING, self.weigh(high) + _ROUNDING

    def promise(self, pairs: Floats) -> Floats:
        """What a picture ``[N]`` with such pairs scores at most, whichever gates are open."""
        most = []
        for v, probe in self._columns():
            whole, region = pairs[:, 0, v], pairs[:, 1, v]
            if probe.fusion.kind != "gated":
                most.append(probe.fusion.combine(whole, region))
            elif probe.weight > 0:
                most.append(replace(probe.fusion, tau=np.inf).at_most(whole, region))
            else:
                most.append(whole)
        return self.weigh(np.stack(most, axis=1))

    def _columns(self) -> Iterable[tuple[int, Probe]]:
        return enumerate(self.probes)


def _align(asked: _Asked, found: Sequence[tuple[Ids, Floats, list[int]]]) -> tuple[Ids, Floats]:
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
    db: sqlite3.Connection, asked: _Asked, views: dict[int, View], within: Ids | None
) -> tuple[Ids, Floats, int]:
    """Scores of all pictures (of ``within``): from memory where the codes are, else as stored."""
    found, scanned = [], 0
    for number, columns in asked.columns.items():
        view, probes, fusions = views[number], asked.vectors(columns), asked.fusions(columns)
        if view.exact and (within is None or len(within) > FEW):
            found.append((*view.scores(probes, fusions, within), columns))
            scanned += view.vectors
            continue
        ids = view.ids(within)
        pairs = [np.empty((0, 2, len(columns)), np.float32)]
        for page in read_pages(db, view.space, ids=None if within is None else ids.tolist()):
            wanted = np.isin(page.ids, ids)
            pairs.append(page_scores(page, view.space, probes, fusions)[wanted])
            scanned += len(page.ids) + len(page.codes)
        found.append((ids, np.concatenate(pairs), columns))
    return (*_align(asked, found), scanned)


def _promising(
    db: sqlite3.Connection, asked: _Asked, views: dict[int, View], within: Ids | None, k: int
) -> tuple[Ids, Floats, int]:
    """Scores of those pictures that may be among the best k, judged by their bits."""
    guessed, scanned = [], 0
    for number, columns in asked.columns.items():
        view = views[number]
        look = view.scores if view.exact else view.guess
        guessed.append((*look(asked.vectors(columns), asked.fusions(columns), within), columns))
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


def _stored_scores(db: sqlite3.Connection, asked: _Asked, ids: Ids) -> Floats:
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


def _canonical(db: sqlite3.Connection, asked: _Asked, ids: Ids) -> tuple[Floats, Floats]:
    """Canonical scores ``[N, V]`` and boxes ``[N, 4]`` of pictures, from their stored codes."""
    pairs = np.empty((len(ids), 2, len(asked.probes)), np.float32)
    boxes = np.full((len(ids), 4), np.nan, np.float32)
    place = {int(picture): row for row, picture in enumerate(ids)}
    for number, columns in asked.columns.items():
        space, probes = asked.spaces[number], asked.vectors(columns)
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
                stored = vectors_of(space, count, whole, frames, regions)
                some_regions = stored.regions if places else stored.regions[:0]
                *pair, which = best_of(stored.whole, some_regions, probes)
                pairs[place[picture], :, columns] = np.stack(pair, axis=1)
                if pointer is not None and which[pointer] >= 0:
                    boxes[place[picture]] = stored.boxes[which[pointer]]
    parts = asked.combine(pairs)
    boxes[parts[:, asked.pointer] <= pairs[:, 0, asked.pointer]] = np.nan
    return parts, boxes
