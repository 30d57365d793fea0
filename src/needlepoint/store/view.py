"""What a search scans of one space, in step with the database.

The base is a cache file (or memory, where none can be written); what was written since the base
was built is read from the database into small segments beside it. When those outgrow the base
by a tenth, the base is built anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.parts import Floats
from needlepoint.search.compressed import SignDecoder
from needlepoint.search.fusion import Fusion
from needlepoint.store.base import Ids, Space
from needlepoint.store.cache import NewCache, open_cache
from needlepoint.store.segment import (
    Mask,
    Page,
    Segment,
    allocate,
    fill,
    learn_decoder,
    read_pages,
    shapes_of,
)

CODES_UP_TO = 300_000
"""Vectors of a space, wholes counted, up to which all codes are held and every search is exact."""

_FEW_NUMBERS = 64  # of which bits say too little: where nothing stands out, all had to be compared
_FEW_FACTOR = 14  # so many more vectors of few numbers are held: 134 MB of codes
_FILE_FROM = 2_000  # vectors below which a base is read from the database quicker than it is told
_DELTA = 0.10
_DELTA_LEAST = 8_000
_MOST_SEGMENTS = 8


@dataclass(frozen=True, slots=True)
class Now:
    """Where the database stands: transaction, last forgotten removal, library and its writer."""

    seq: int
    floor: int
    library: str
    token: str

    @classmethod
    def of(cls, db: sqlite3.Connection) -> Now:
        """As the open transaction sees it."""
        meta = dict(db.execute("SELECT key, value FROM meta WHERE key NOT LIKE 'user.%'"))
        return cls(
            int(meta["seq"]), int(meta["floor"]), meta["library"], _token(db, int(meta["seq"]))
        )


def _token(db: sqlite3.Connection, seq: int) -> str:
    """The mark of the writer whose turn transaction ``seq`` was in."""
    row = db.execute(
        "SELECT token FROM epochs WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1", (seq,)
    ).fetchone()
    return row[0] if row else ""


class View:
    """The segments of one space as of a transaction: no picture is alive in two of them."""

    def __init__(self, folder: Path, space: Space, writable: bool) -> None:
        self.space = space
        self.segments: list[Segment] = []
        self.found: list[Mask] = []
        self.decoder: SignDecoder | None = None
        self._path = folder / "cache" / f"space-{space.id}.bin"
        self._writable = writable
        self._seq = -1
        self._base_seq = -1

    @property
    def exact(self) -> bool:
        """Whether all codes are held."""
        return self.decoder is None

    def refresh(self, db: sqlite3.Connection, now: Now) -> None:
        """Come into step with the open transaction."""
        if now.seq == self._seq:
            return
        if self._seq < 0 or self._seq < now.floor or now.seq < self._seq:
            self._load(db, now)
        if self._seq < now.seq:
            self._follow(db, now)
        if self._outgrown():
            self._build(db, now)
        rows = db.execute("SELECT id FROM pictures WHERE gone")
        gone = np.fromiter((row[0] for row in rows), np.int64)
        self.found = [s.alive & ~np.isin(s.ids, gone) for s in self.segments]

    def settle(self, db: sqlite3.Connection, now: Now) -> int:
        """Make the base cover all vectors there are; returns the transaction it knows of."""
        self.refresh(db, now)
        if len(self.segments) != 1 or not self.segments[0].alive.all():
            self._build(db, now)
            self._seq = -1
            self.refresh(db, now)
        return self._base_seq

    def _holds(self, vectors: int) -> bool:
        factor = _FEW_FACTOR if self.space.dim <= _FEW_NUMBERS else 1
        return vectors <= CODES_UP_TO * factor

    def _outgrown(self) -> bool:
        total = sum(segment.vectors for segment in self.segments)
        if self.exact and not self._holds(total):
            return True
        base = self.segments[0].vectors if self.segments else 0
        return total - base > max(_DELTA_LEAST, _DELTA * base)

    # -- the base

    def _load(self, db: sqlite3.Connection, now: Now) -> None:
        wanted = {
            "library": now.library,
            "space": self.space.id,
            "dim": self.space.dim,
            "codec": self.space.codec,
            "made": self.space.fingerprint,
        }
        opened = open_cache(self._path, wanted)
        if opened is not None:
            facts, arrays = opened
            seq = facts["seq"]
            if now.floor <= seq <= now.seq and facts["token"] == _token(db, seq):
                self._adopt(arrays, seq)
                return
        self._build(db, now)

    def _adopt(self, arrays: dict[str, Any], seq: int) -> None:
        self.decoder = (
            SignDecoder(arrays["shift"], arrays["centre"], arrays["matrix"])
            if "words" in arrays
            else None
        )
        alive = np.ones(len(arrays["ids"]), np.bool_)
        self.segments = [Segment(arrays["ids"], arrays["offsets"], arrays, alive)]
        self._seq = self._base_seq = seq

    def _build(self, db: sqlite3.Connection, now: Now) -> None:
        """Read the whole space from the database, into a file where one can be written."""
        space = self.space
        self.segments, self.found = [], []  # let go of the old base before making the new one
        rows = db.execute(f"SELECT picture_id, count FROM vectors_{space.id} ORDER BY 1").fetchall()
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        regions = sum(row[1] for row in rows)
        bits = not self._holds(len(rows) + regions)
        shapes = dict(shapes_of(space, len(rows), regions, bits))
        decoder = learn_decoder(db, space, ids, regions) if bits else None
        if decoder is not None:
            shapes["shift"] = shapes["centre"] = ("<f4", (space.dim,))
            shapes["matrix"] = ("<f4", (space.dim, space.dim))
        facts = {
            "library": now.library,
            "space": space.id,
            "dim": space.dim,
            "codec": space.codec,
            "made": space.fingerprint,
            "seq": now.seq,
            "token": now.token,
        }
        arrays = None
        if self._writable and len(rows) + regions >= _FILE_FROM:
            arrays = self._build_file(db, facts, shapes, decoder)
        if arrays is None:
            arrays = allocate(shapes)
            _fill(read_pages(db, space), space, arrays, decoder)
        self._adopt(arrays, now.seq)

    def _build_file(
        self,
        db: sqlite3.Connection,
        facts: dict[str, Any],
        shapes: dict[str, Any],
        decoder: SignDecoder | None,
    ) -> dict[str, Any] | None:
        """None when there is no room for a cache: searching works without."""
        try:
            # codes answer exactly and so must be right; bits only choose what is looked at
            checked = [name for name in shapes if name != "words"]
            new = NewCache(self._path, facts, shapes, checked)
        except OSError:
            return None
        try:
            _fill(read_pages(db, self.space), self.space, new.arrays, decoder)
            new.finish()
        except OSError:
            new.abandon()
            return None
        except BaseException:
            new.abandon()
            raise
        opened = open_cache(self._path, facts)
        return None if opened is None else opened[1]

    # -- what came after

    def _follow(self, db: sqlite3.Connection, now: Now) -> None:
        """Read what was written since the last look, and retire what it replaces."""
        after = self._seq
        if len(self.segments) > _MOST_SEGMENTS:
            del self.segments[1:]
            after = self._base_seq
        pages = list(read_pages(db, self.space, after=after))
        rows = db.execute(
            "SELECT picture_id FROM removed WHERE space = ? AND seq > ?", (self.space.id, after)
        )
        removed = np.fromiter((row[0] for row in rows), np.int64)
        retired = np.concatenate([removed, *(page.ids for page in pages)])
        for segment in self.segments:
            segment.alive &= ~np.isin(segment.ids, retired)
        if pages:
            pictures = sum(len(page.ids) for page in pages)
            regions = sum(len(page.codes) for page in pages)
            shapes = shapes_of(self.space, pictures, regions, self.decoder is not None)
            self.segments.append(fill(iter(pages), self.space, allocate(shapes), self.decoder))
        self._seq = now.seq

    # -- questions

    def look(self, probes: Floats, fusions: Sequence[Fusion]) -> list[Floats]:
        """Pairs of scores ``[N, 2, V]`` of each segment: from codes where they are held, else
        guessed from one plane of weights.
        """
        if self.decoder is None:
            return [segment.scores(self.space, probes, fusions) for segment in self.segments]
        return [segment.guess(self.decoder, probes, fusions, 1) for segment in self.segments]

    def guess_again(
        self, probes: Floats, fusions: Sequence[Fusion], ids: Ids, planes: int
    ) -> Floats:
        """Better guesses ``[n, 2, V]`` for some ids, ascending, of those found."""
        assert self.decoder is not None
        pairs = np.empty((len(ids), 2, len(probes)), np.float32)
        for segment, found in zip(self.segments, self.found, strict=True):
            if not len(segment.ids):
                continue
            at = np.searchsorted(segment.ids, ids)
            at[at == len(segment.ids)] = 0
            rows = np.flatnonzero((segment.ids[at] == ids) & found[at])
            picks = at[rows]
            pairs[rows] = segment.guess(self.decoder, probes, fusions, planes, picks)
        return pairs

    def ids(self, within: Ids | None) -> Ids:
        """Ids, ascending, of pictures that can be found."""
        blank = [np.zeros((len(s.ids), 2, 0), np.float32) for s in self.segments]
        return self.gather(within, blank)[0]

    def gather(self, within: Ids | None, pairs: list[Floats]) -> tuple[Ids, Floats]:
        """Ids ``[N]``, ascending, of those that can be found, and their pairs of :meth:`look`."""
        keeps = self.found
        if within is not None:
            keeps = [
                found & np.isin(segment.ids, within)
                for segment, found in zip(self.segments, self.found, strict=True)
            ]
        if len(pairs) == 1 and keeps[0].all():
            return self.segments[0].ids, pairs[0]
        ids = [s.ids[keep] for s, keep in zip(self.segments, keeps, strict=True)]
        scores = [pair[keep] for pair, keep in zip(pairs, keeps, strict=True)]
        every = np.concatenate(ids)
        order = np.argsort(every, kind="stable")
        return every[order], np.concatenate(scores)[order]

    @property
    def vectors(self) -> int:
        """Vectors held, wholes counted, the retired ones too."""
        return sum(segment.vectors for segment in self.segments)


def _fill(
    pages: Iterator[Page], space: Space, arrays: dict[str, Any], decoder: SignDecoder | None
) -> None:
    fill(pages, space, arrays, decoder)
    if decoder is not None:
        arrays["shift"][:] = decoder.shift
        arrays["centre"][:] = decoder.centre
        arrays["matrix"][:] = decoder.matrix
