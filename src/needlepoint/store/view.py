"""What a search scans of one space, kept in memory and in step with the database.

Shapes: N pictures, T region vectors, V probes, D dim, B bytes a vector.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from needlepoint.parts import Floats
from needlepoint.search.codes import Codes, code_bytes, lengths, unpack
from needlepoint.search.exact import Offsets, scan, segment_max
from needlepoint.store.base import Ids, Space

_PAGE = 1000  # rows read at once: about 10 MB at 8 KB a picture
_MOST_SEGMENTS = 8


@dataclass(slots=True)
class Segment:
    """Codes of some pictures, ids ascending; a picture not ``alive`` is passed over.

    ``whole`` uint8 ``[N, 2 D]`` float16, ``codes`` uint8 ``[T, B]``, ``inverse`` float32 ``[T]``
    one over the length of the unpacked codes; picture i owns rows ``offsets[i]`` to
    ``offsets[i + 1]``.
    """

    ids: Ids
    offsets: Offsets
    whole: Codes
    codes: Codes
    inverse: Floats
    alive: npt.NDArray[np.bool_]

    def scores(self, space: Space, probes: Floats, places: npt.NDArray[np.bool_]) -> Floats:
        """Best score of each picture for each probe, float32 ``[N, V]``."""
        best = scan(self.whole, "f16", probes)
        if places.any() and len(self.codes):
            found = scan(self.codes, space.codec, probes[places], self.inverse)
            best[:, places] = np.maximum(best[:, places], segment_max(found, self.offsets))
        return best


def read_segment(db: sqlite3.Connection, space: Space, after: int = 0) -> Segment:
    """All vectors of a space that were written after transaction number ``after``."""
    cursor = db.execute(
        f"SELECT picture_id, count, whole, regions FROM vectors_{space.id} WHERE seq > ? "
        "ORDER BY picture_id",
        (after,),
    )
    ids: list[int] = []
    counts: list[int] = []
    wholes: list[bytes] = []
    blobs: list[bytes] = []
    while rows := cursor.fetchmany(_PAGE):
        some_ids, some_counts, some_wholes, some_blobs = zip(*rows, strict=True)
        ids += some_ids
        counts += some_counts
        wholes.append(b"".join(some_wholes))
        blobs.append(b"".join(some_blobs))
    codes = _rows(blobs, code_bytes(space.codec, space.dim))
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    return Segment(
        np.array(ids, np.int64),
        offsets,
        _rows(wholes, code_bytes("f16", space.dim)),
        codes,
        _inverse(codes, space),
        np.ones(len(ids), np.bool_),
    )


def _rows(blobs: list[bytes], width: int) -> Codes:
    return np.frombuffer(b"".join(blobs), np.uint8).reshape(-1, width)


def _inverse(codes: Codes, space: Space) -> Floats:
    inverse = np.empty(len(codes), np.float32)
    for start in range(0, len(codes), 4096):
        size = lengths(unpack(codes[start : start + 4096], space.codec, space.dim))
        inverse[start : start + 4096] = 1 / np.where(size > 0, size, np.float32(1))
    return inverse


class View:
    """The segments of one space as of a transaction: no picture is alive in two of them."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.seq = 0
        self.segments: list[Segment] = []
        self._gone: Ids = np.empty(0, np.int64)

    def refresh(self, db: sqlite3.Connection, seq: int, floor: int) -> None:
        """Take in what was written since; what ``floor`` or older removed is forgotten."""
        if self.seq < floor or seq < self.seq:
            self.segments, self.seq = [], 0
        if seq == self.seq:
            return
        fresh = read_segment(db, self.space, self.seq)
        if self.segments:
            rows = db.execute(
                "SELECT picture_id FROM removed WHERE space = ? AND seq > ?",
                (self.space.id, self.seq),
            )
            removed = np.fromiter((row[0] for row in rows), np.int64)
            for segment in self.segments:
                segment.alive &= ~np.isin(segment.ids, np.concatenate([removed, fresh.ids]))
        if len(fresh.ids):
            self.segments.append(fresh)
        if len(self.segments) > _MOST_SEGMENTS:
            self.segments = [read_segment(db, self.space)]
        rows = db.execute("SELECT id FROM pictures WHERE gone")
        self._gone = np.fromiter((row[0] for row in rows), np.int64)
        self.seq = seq

    def scores(
        self, probes: Floats, places: npt.NDArray[np.bool_], within: Ids | None
    ) -> tuple[Ids, Floats, int]:
        """Ids ascending ``[N]``, their best scores ``[N, V]``, and the vectors looked at."""
        ids, parts, scanned = [], [], 0
        for segment in self.segments:
            keep = segment.alive & ~np.isin(segment.ids, self._gone)
            if within is not None:
                keep &= np.isin(segment.ids, within)
            ids.append(segment.ids[keep])
            parts.append(segment.scores(self.space, probes, places)[keep])
            scanned += len(segment.ids) + (len(segment.codes) if places.any() else 0)
        if not ids:
            return np.empty(0, np.int64), np.empty((0, len(probes)), np.float32), 0
        every = np.concatenate(ids)
        order = np.argsort(every)
        return every[order], np.concatenate(parts)[order], scanned
