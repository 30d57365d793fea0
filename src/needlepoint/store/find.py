"""Searching a library: what is scanned, what is rescored, and in which order it comes back.

Shapes: N pictures, V probes, K hits, D dim.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.search.exact import best_of, slack
from needlepoint.search.topk import at_least_kth, check_k, fuse, top_k
from needlepoint.store.base import Ids, Probe, Space, StoreHits
from needlepoint.store.rows import vectors_of
from needlepoint.store.view import View

_MODES = ("auto", "exact", "compressed")
_ONCE = 250  # pictures rescored together: about 2 MB of codes


class Finder:
    """Answers questions from one connection; holds the views it scans."""

    def __init__(self, folder: Path, writable: bool) -> None:
        self._folder = folder
        self._writable = writable
        self._views: dict[int, View] = {}

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
        if mode not in _MODES:
            raise UsageError(f"mode must be one of {', '.join(_MODES)}, got {mode!r}")
        asked = _Asked(probes, spaces)
        ids, scores, scanned = self._scan(db, asked, within)
        margin = 2 * asked.error(slack(asked.widest))
        keep = at_least_kth(asked.fuse(scores), k, margin)
        parts, boxes = _rescore(db, asked, ids[keep])
        fused = asked.fuse(parts)
        order = top_k(fused, ids[keep], k)
        return StoreHits(
            ids[keep][order], fused[order], parts[order], boxes[order], True, "exact", scanned
        )

    def _scan(
        self, db: sqlite3.Connection, asked: _Asked, within: Ids | None
    ) -> tuple[Ids, Floats, int]:
        """Pictures that have vectors in every space asked, with scores ``[N, V]``."""
        common: Ids | None = None
        found = []
        scanned = 0
        for space, columns in asked.columns.items():
            view = self._view(db, asked.spaces[space])
            ids, scores, looked = view.scores(asked.vectors(columns), asked.places[columns], within)
            scanned += looked
            found.append((ids, scores, columns))
            # a picture without vectors in one of the spaces cannot be scored: never taken as 0
            common = ids if common is None else np.intersect1d(common, ids, assume_unique=True)
        assert common is not None
        parts = np.empty((len(common), len(asked.probes)), np.float32)
        for ids, scores, columns in found:
            parts[:, columns] = scores[np.searchsorted(ids, common)]
        return common, parts, scanned

    def _view(self, db: sqlite3.Connection, space: Space) -> View:
        view = self._views.setdefault(space.id, View(space))
        state = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('seq', 'floor')"))
        view.refresh(db, int(state["seq"]), int(state["floor"]))
        return view


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


def _rescore(db: sqlite3.Connection, asked: _Asked, ids: Ids) -> tuple[Floats, Floats]:
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
