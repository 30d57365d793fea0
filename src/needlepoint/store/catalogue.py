"""What a library knows of files: roots, pictures and their facts, skipped files, jobs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.picture import Facts
from needlepoint.store.base import FileRecord, Ids
from needlepoint.store.database import Database
from needlepoint.store.rows import FILE_COLUMNS, WANTED, file_values, raw_path, record_of

_ONCE = 500  # ids in one statement; SQLite allows at least 999
_PAGE = 2000  # rows held at once while walking through all pictures


class Catalogue(Database):
    """Pictures as files. Ids are never used twice.

    A picture is ``present``; ``offline`` while its root cannot be reached, and then still found;
    or ``gone``, and then not found, until it is purged or its file comes back.
    """

    # -- roots

    def roots(self) -> dict[int, tuple[str, bool]]:
        """Every root: its absolute path, and whether it was reachable when last looked at."""
        with self._reading() as db:
            rows = db.execute("SELECT id, raw, online FROM roots ORDER BY id")
            return {root: (os.fsdecode(raw), bool(online)) for root, raw, online in rows}

    def add_root(self, path: str | Path) -> int:
        """Id of the root at an absolute ``path``, new or known; it counts as reachable."""
        raw = os.fsencode(path)
        with self._write():
            self._db.execute(
                "INSERT INTO roots (raw, path) VALUES (?, ?) ON CONFLICT (raw) DO UPDATE "
                "SET online = 1",
                (raw, raw.decode("utf-8", "replace")),
            )
            row = self._db.execute("SELECT id FROM roots WHERE raw = ?", (raw,)).fetchone()
            return int(row[0])

    def set_root_online(self, root: int, online: bool) -> None:
        """Note whether a root can be reached. Its pictures are found either way."""
        with self._write():
            self._db.execute("UPDATE roots SET online = ? WHERE id = ?", (int(online), root))

    # -- pictures

    def files(self, root: int) -> dict[str, tuple[int, int, int, bytes]]:
        """Every known file of a root, gone ones too: path to id, size, mtime in ns, digest."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT raw, id, size, mtime_ns, digest FROM pictures WHERE root = ?", (root,)
            )
            return {os.fsdecode(raw): tuple(rest) for raw, *rest in rows}

    def facts(self, ids: Iterable[int]) -> dict[int, tuple[FileRecord, Facts]]:
        """File and facts of each picture that exists, gone ones too."""
        found = {}
        with self._reading() as db:
            for some in chunks(ids):
                marks = ", ".join("?" * len(some))
                rows = db.execute(f"SELECT {WANTED} FROM pictures WHERE id IN ({marks})", some)
                for picture, file, facts in map(record_of, rows):
                    found[picture] = (file, facts)
        return found

    def at(self, path: str) -> int | None:
        """Id of the picture at an absolute path, not gone; None where there is none."""
        for root, (folder, _) in self.roots().items():
            if not (path + os.sep).startswith(folder.rstrip(os.sep) + os.sep):
                continue
            with self._reading() as db:
                row = db.execute(
                    "SELECT id FROM pictures WHERE root = ? AND raw = ? AND NOT gone",
                    (root, raw_path(os.path.relpath(path, folder))),
                ).fetchone()
            if row is not None:
                return int(row[0])
        return None

    def states(self, ids: Iterable[int]) -> dict[int, str]:
        """``present``, ``offline`` or ``gone`` for each picture that exists."""
        found = {}
        with self._reading() as db:
            for some in chunks(ids):
                rows = db.execute(
                    "SELECT p.id, CASE WHEN p.gone THEN 'gone' WHEN r.online THEN 'present' "
                    "ELSE 'offline' END FROM pictures p JOIN roots r ON r.id = p.root "
                    f"WHERE p.id IN ({', '.join('?' * len(some))})",
                    some,
                )
                found.update(dict(rows.fetchall()))
        return found

    def query_facts(self, where: str, parameters: Sequence[Any]) -> Ids:
        """Ids int64, ascending, of pictures not gone that satisfy a compiled filter.

        ``where`` is SQL over the columns of ``pictures`` as ``needlepoint.where`` makes it, never
        a user's text; ``np_haversine(lat1, lon1, lat2, lon2)`` gives kilometres.
        """
        with self._reading() as db:
            rows = db.execute(
                f"SELECT id FROM pictures WHERE NOT gone AND ({where}) ORDER BY id", parameters
            )
            return np.fromiter((row[0] for row in rows), np.int64)

    def keywords(self) -> list[tuple[str, ...]]:
        """Keywords of every picture not gone that has any, in id order."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT keywords FROM pictures WHERE NOT gone AND keywords <> '[]' ORDER BY id"
            )
            return [tuple(json.loads(row[0])) for row in rows]

    def scan(self) -> Iterator[tuple[int, FileRecord, Facts]]:
        """Every picture not gone, in id order; a picture written meanwhile may or may not come."""
        last = 0
        while True:
            with self._reading() as db:
                page = db.execute(
                    f"SELECT {WANTED} FROM pictures WHERE id > ? AND NOT gone ORDER BY id "
                    f"LIMIT {_PAGE}",
                    (last,),
                ).fetchall()
            if not page:
                return
            yield from map(record_of, page)
            last = page[-1][0]

    def move(self, picture: int, file: FileRecord) -> None:
        """Give a picture another path; it keeps its id and vectors and is present again.

        Whatever was known at the new path is set aside as gone, until it is moved itself: two
        files may have changed places.

        Raises:
            UsageError: there is no such picture.
        """
        values = file_values(file)
        with self._write() as seq:
            held = self._db.execute(
                "SELECT id FROM pictures WHERE root = ? AND raw = ? AND id <> ?",
                (*values[:2], picture),
            ).fetchone()
            if held:
                # a path cannot hold the byte 0, so this one is free
                self._db.execute(
                    "UPDATE pictures SET raw = ?, gone = 1, seq = ? WHERE id = ?",
                    (b"\0%d" % held, seq, held[0]),
                )
            columns = ", ".join(f"{name} = ?" for name in FILE_COLUMNS)
            changed = self._db.execute(
                f"UPDATE pictures SET {columns}, gone = 0, seq = ? WHERE id = ?",
                (*values, seq, picture),
            ).rowcount
            if not changed:
                raise UsageError(f"there is no picture with id {picture} to move")
            self._db.execute("DELETE FROM skipped WHERE root = ? AND raw = ?", values[:2])

    def mark_missing(self, ids: Iterable[int]) -> int:
        """Note that files are gone: not found any more, but kept; returns how many were not yet."""
        return self._set_gone(ids, 1)

    def mark_present(self, ids: Iterable[int]) -> int:
        """Note that files are there, unchanged; returns how many had been gone."""
        return self._set_gone(ids, 0)

    def _set_gone(self, ids: Iterable[int], gone: int) -> int:
        ids = [int(picture) for picture in ids]
        with self._reading() as db:
            known = {row[0] for row in db.execute("SELECT id FROM pictures WHERE gone")}
        turned = [picture for picture in ids if (picture in known) != bool(gone)]
        if not turned:
            return 0
        with self._write() as seq:
            return self._db.executemany(
                "UPDATE pictures SET gone = ?, seq = ? WHERE id = ?",
                [(gone, seq, picture) for picture in turned],
            ).rowcount

    # -- skipped files, jobs, maps

    def skip(self, root: int, path: str, size: int, mtime_ns: int, reason: str) -> None:
        """Note that a file cannot be read and why; forgotten when it can."""
        raw = raw_path(path)
        with self._write():
            self._db.execute(
                "INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?, ?, ?)",
                (root, raw, raw.decode("utf-8", "replace"), size, mtime_ns, reason),
            )

    def forget_skipped(self, root: int, paths: Iterable[str]) -> None:
        """Forget skipped files, because they are not there any more."""
        with self._write():
            self._db.executemany(
                "DELETE FROM skipped WHERE root = ? AND raw = ?",
                [(root, raw_path(path)) for path in paths],
            )

    def skipped(self) -> list[dict[str, Any]]:
        """Files that could not be read: root, path, size, mtime_ns, reason; by root and path."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT root, raw, size, mtime_ns, reason FROM skipped ORDER BY root, raw"
            )
            return [
                {
                    "root": root,
                    "path": os.fsdecode(raw),
                    "size": size,
                    "mtime_ns": mtime_ns,
                    "reason": reason,
                }
                for root, raw, size, mtime_ns, reason in rows
            ]

    def begin_job(self, kind: str, total: int, detail: dict[str, Any] | None = None) -> int:
        """Note that a long task starts; an unfinished one of its kind is over with that."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with self._write():
            self._db.execute(
                "UPDATE jobs SET finished = ? WHERE kind = ? AND finished IS NULL", (now, kind)
            )
            made = self._db.execute(
                "INSERT INTO jobs (kind, started, total, detail) VALUES (?, ?, ?, ?)",
                (kind, now, total, json.dumps(detail or {}, sort_keys=True)),
            ).lastrowid
        return int(made or 0)

    def finish_job(self, job: int) -> None:
        """Note that a task has ended well."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with self._write():
            self._db.execute("UPDATE jobs SET finished = ? WHERE id = ?", (now, job))

    def unfinished_job(self, kind: str) -> dict[str, Any] | None:
        """The task of this kind that was begun and not finished: id, started, total, detail."""
        with self._reading() as db:
            row = db.execute(
                "SELECT id, started, total, detail FROM jobs WHERE kind = ? AND finished IS NULL "
                "ORDER BY id DESC",
                (kind,),
            ).fetchone()
        if row is None:
            return None
        return {"id": row[0], "started": row[1], "total": row[2], "detail": json.loads(row[3])}

    def put_blob(self, picture: int, kind: str, data: bytes) -> None:
        """Keep something optional with a picture, such as its compressed map."""
        with self._write():
            self._db.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (picture, kind, data))

    def get_blob(self, picture: int, kind: str) -> bytes | None:
        """What :meth:`put_blob` kept, or None."""
        with self._reading() as db:
            row = db.execute(
                "SELECT data FROM blobs WHERE picture_id = ? AND kind = ?", (picture, kind)
            ).fetchone()
            return row[0] if row else None


def chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    """Ids in lists short enough for one statement; without those no picture can have."""
    every = [number for number in map(int, ids) if 0 <= number < 2**63]
    for start in range(0, len(every), _ONCE):
        yield every[start : start + _ONCE]
