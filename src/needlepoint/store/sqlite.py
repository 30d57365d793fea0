"""A library in one folder: SQLite holds the truth, a cache beside it makes searching quick."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.search.codes import code_bytes
from needlepoint.store.base import Entry, Ids, Probe, Question, Space, StoreHits, VectorRow
from needlepoint.store.catalogue import chunks
from needlepoint.store.find import Finder
from needlepoint.store.rows import (
    FACT_COLUMNS,
    FILE_COLUMNS,
    fact_values,
    file_values,
    vector_values,
    vectors_of,
)
from needlepoint.store.schema import VECTORS, plain_errors
from needlepoint.store.upkeep import Upkeep
from needlepoint.store.view import Now

_WRITTEN = (*FILE_COLUMNS, "gone", "seq", *FACT_COLUMNS)
_INSERT = f"INSERT INTO pictures ({', '.join(_WRITTEN)}) VALUES ({', '.join('?' * len(_WRITTEN))})"
_UPDATE = f"UPDATE pictures SET {', '.join(f'{name} = ?' for name in _WRITTEN)} WHERE id = ?"


class SqliteStore(Upkeep):
    """The local store: one process may write at a time, any number may read meanwhile."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, writable: bool) -> None:
        super().__init__(folder, connection, writable)
        self._known: dict[int, Space] = {}
        self._finder = Finder(folder, writable)

    # -- spaces

    def ensure_space(self, space: Space) -> Space:
        """Create the space or return the stored one with its id.

        Raises:
            LibraryIncompatible: there is one of this name, encoder and recipe that was made with
                other weights, preprocessing, dim or codec; says what differs.
        """
        for known in self.spaces():
            if (known.name, known.encoder, known.recipe) != (
                space.name,
                space.encoder,
                space.recipe,
            ):
                continue
            differs = [
                f"{field} {getattr(known, field)!r}, offered {getattr(space, field)!r}"
                for field in ("fingerprint", "dim", "codec")
                if getattr(known, field) != getattr(space, field)
            ]
            if differs:
                raise LibraryIncompatible(
                    f"space {space.name!r} of {space.encoder} in {self.folder} has "
                    f"{'; '.join(differs)}: use the encoder it was made with, or index into "
                    "another --library"
                )
            return known
        code_bytes(space.codec, space.dim)
        with self._write():
            made = self._db.execute(
                "INSERT INTO spaces (name, encoder, fingerprint, dim, codec, recipe, card) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(space.name, space.encoder, space.fingerprint, space.dim, space.codec),
                    *(space.recipe, json.dumps(space.card, sort_keys=True)),
                ),
            ).lastrowid
            for statement in VECTORS.format(made).split(";"):
                self._db.execute(statement)
        return next(known for known in self.spaces() if known.id == made)

    def spaces(self) -> list[Space]:
        """All spaces, oldest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT name, encoder, fingerprint, dim, codec, recipe, card, id FROM spaces "
                "ORDER BY id"
            ).fetchall()
        found = [
            Space(name, encoder, fingerprint, dim, codec, recipe, json.loads(card), number)
            for name, encoder, fingerprint, dim, codec, recipe, card, number in rows
        ]
        self._known = {space.id: space for space in found}
        return found

    def _space(self, number: int) -> Space:
        if number not in self._known:
            self.spaces()
        if number not in self._known:
            raise UsageError(f"space must be one of {sorted(self._known)}, got {number}")
        return self._known[number]

    # -- vectors

    def upsert(self, entries: Sequence[Entry]) -> list[int]:
        """Write a batch in one transaction; returns the ids in the order of ``entries``.

        The same path again keeps its id. When its content has changed, whatever other spaces
        knew of the old content is dropped.

        Raises:
            UsageError: vectors that do not fit their space; nothing of the batch is written.
            LibraryError: the disk is full, or the library cannot be written.
        """
        ready = [
            [
                (row.space, *vector_values(row, self._space(row.space), entry.file.path))
                for row in entry.vectors
            ]
            for entry in entries
        ]
        with self._write() as seq:
            return [
                self._upsert(entry, values, seq)
                for entry, values in zip(entries, ready, strict=True)
            ]

    def _upsert(self, entry: Entry, vectors: list[tuple[Any, ...]], seq: int) -> int:
        db, file = self._db, entry.file
        values = (*file_values(file), 0, seq, *fact_values(entry.facts))
        known = db.execute(
            "SELECT id, digest, size, mtime_ns FROM pictures WHERE root = ? AND raw = ?",
            values[:2],
        ).fetchone()
        if known is None:
            picture = int(db.execute(_INSERT, values).lastrowid or 0)
        else:
            picture = int(known[0])
            db.execute(_UPDATE, (*values, picture))
            same = file.digest or known[2:] == (file.size, file.mtime_ns)
            if known[1] != file.digest or not same:
                self._drop_vectors(picture, seq)
        db.execute("DELETE FROM skipped WHERE root = ? AND raw = ?", values[:2])
        for space, *stored in vectors:
            db.execute(
                f"INSERT OR REPLACE INTO vectors_{space:d} VALUES (?, ?, ?, ?, ?, ?)",
                (picture, seq, *stored),
            )
        for kind, data in entry.blobs:
            db.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (picture, kind, data))
        return picture

    def _drop_vectors(self, picture: int, seq: int) -> None:
        """Remove what all spaces know of a picture, and say so to those who have it cached."""
        for (space,) in self._db.execute("SELECT id FROM spaces").fetchall():
            if self._db.execute(
                f"DELETE FROM vectors_{space} WHERE picture_id = ?", (picture,)
            ).rowcount:
                self._db.execute(
                    "INSERT OR REPLACE INTO removed VALUES (?, ?, ?)", (space, picture, seq)
                )
        self._db.execute("DELETE FROM blobs WHERE picture_id = ?", (picture,))

    def delete(self, ids: Sequence[int]) -> int:
        """Remove pictures and their vectors; returns how many there were. No file is touched."""
        with self._write() as seq:
            for picture in ids:
                self._drop_vectors(int(picture), seq)
            return self._db.executemany(
                "DELETE FROM pictures WHERE id = ?", [(int(picture),) for picture in ids]
            ).rowcount

    def fetch_vectors(self, ids: Sequence[int], space: int) -> dict[int, VectorRow]:
        """Stored vectors, decoded to unit length; pictures without any are left out."""
        known, found = self._space(space), {}
        with self._reading() as db:
            for some in chunks(ids):
                rows = db.execute(
                    f"SELECT picture_id, count, whole, boxes, regions FROM vectors_{space} "
                    f"WHERE picture_id IN ({', '.join('?' * len(some))})",
                    some,
                )
                found.update({row[0]: vectors_of(known, *row[1:]) for row in rows})
        return found

    def described(self, space: int) -> Ids:
        """Ids int64, ascending, of pictures that have vectors in a space."""
        self._space(space)
        with self._reading() as db:
            rows = db.execute(f"SELECT picture_id FROM vectors_{space} ORDER BY picture_id")
            return np.fromiter((row[0] for row in rows), np.int64)

    def digests(self, space: int) -> set[bytes]:
        """Content hashes of all pictures that have vectors in a space."""
        self._space(space)
        with self._reading() as db:
            rows = db.execute(
                f"SELECT p.digest FROM pictures p JOIN vectors_{space} v ON v.picture_id = p.id "
                "WHERE p.digest <> x''"
            )
            return {row[0] for row in rows}

    def vectors_by_digest(self, digest: bytes, space: int) -> VectorRow | None:
        """Vectors of any picture with the same content, so that a copy need not be encoded."""
        known = self._space(space)
        with self._reading() as db:
            row = db.execute(
                f"SELECT v.count, v.whole, v.boxes, v.regions FROM vectors_{space} v JOIN "
                "pictures p ON p.id = v.picture_id WHERE p.digest = ? AND p.digest <> x'' "
                "ORDER BY p.id LIMIT 1",
                (digest,),
            ).fetchone()
        return None if row is None else vectors_of(known, *row)

    # -- search

    def search(
        self,
        probes: Sequence[Probe],
        k: int,
        *,
        within: Ids | None = None,
        mode: str = "auto",
    ) -> StoreHits:
        """Top k pictures by the weighted sum over probes of the best vector of each picture.

        Args:
            probes: at least one; see ``Probe``. A picture must have vectors in every space asked.
            k: how many; fewer come back when there are fewer.
            within: ids that may be found, from :meth:`query_facts`; None for all.
            mode: ``auto``, ``exact`` or ``compressed``.

        Returns:
            Hits ordered by score, then id. The box is that of the probe of greatest weight.

        Raises:
            UsageError: no probes, a vector that does not fit its space, an unknown mode.
        """
        return self.search_many([Question(probes, k, within, mode)])[0]

    def search_many(self, questions: Sequence[Question]) -> list[StoreHits]:
        """Answer several questions at once, each as :meth:`search` would.

        They share one look at the vectors, which takes 8 bytes a picture and probe meanwhile.

        Raises:
            UsageError: one of the questions cannot be asked; then none is answered.
        """
        with self._reading() as db:
            return self._finder.search(db, self._space, questions)

    def optimize(self) -> None:
        """Make the caches cover all there is, so that the next process searches at once.

        Worth calling when indexing has ended. Does nothing to a library open for reading.
        """
        if not self.writable:
            return
        with self._reading() as db:
            now = Now.of(db)
            views = [self._finder.view(db, space, now) for space in self.spaces()]
            covered = min([view.settle(db, now) for view in views], default=0)
        with self.writing():
            self._forget_removals(covered)
            with self._guard, plain_errors(self.folder):
                self._db.execute("PRAGMA optimize")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def release(self) -> None:
        """Let go of what is held for searching; the next search maps or reads it again."""
        with self._guard:
            self._finder.drop()

    def _renewed(self) -> None:
        self._known = {}
        self._finder.drop()

    def close(self) -> None:
        """Close the files; nothing can be asked afterwards."""
        self._finder.drop()
        super().close()
