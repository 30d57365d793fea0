"""Bytes kept by key within a bound: a cache on disk that may be lost, damaged or refused."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

DISK_BYTES = 512 * 2**20
MEMORY_BYTES = 32 * 2**20
"""What is kept where no file can be written."""

WAIT = 2.0
"""Seconds to wait for another process that writes into the same file."""

_FRESH = 60.0  # seconds for which a use need not be noted again
_TABLE = """
CREATE TABLE IF NOT EXISTS kept (
    key BLOB PRIMARY KEY, used REAL NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL
) WITHOUT ROWID
"""
_Found = TypeVar("_Found")


class Kept:
    """Bytes by key; what was used longest ago goes first.

    One file of SQLite, which is whole after a killed process. Every value has a checksum. When
    the file is damaged it is begun anew; when the disk is full or the file is busy, nothing is
    kept, and nobody need know.
    """

    def __init__(self, path: Path | None, limit: int = DISK_BYTES) -> None:
        """Open or make the file; None, or a place that cannot be written, keeps in memory.

        ``limit`` is bytes of values at most; in memory it is 32 MB at most.
        """
        self._path, self._limit = path, limit
        self._guard = threading.Lock()
        self._held = 0
        self._db: sqlite3.Connection | None = self._open()

    def close(self) -> None:
        """Close the file; nothing is kept or found afterwards."""
        with self._guard:
            if self._db is not None:
                self._db.close()
            self._db = None

    @property
    def held(self) -> int:
        """Bytes of values kept; others who write into the same file are noticed now and then."""
        return self._held

    @property
    def on_disk(self) -> bool:
        """Whether values outlive the process."""
        return self._path is not None

    def get(self, key: bytes) -> bytes | None:
        """What is kept under a key, or None."""

        def ask(db: sqlite3.Connection) -> bytes | None:
            row = db.execute("SELECT used, crc, data FROM kept WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            used, crc, data = row
            if not isinstance(data, bytes) or zlib.crc32(data) != crc:
                db.execute("DELETE FROM kept WHERE key = ?", (key,))
                return None
            now = time.time()
            if abs(now - used) > _FRESH:  # a clock may also jump back
                with contextlib.suppress(sqlite3.OperationalError):  # busy or full, but found
                    db.execute("UPDATE kept SET used = ? WHERE key = ?", (now, key))
            return data

        return self._ask(ask)

    def put(self, key: bytes, data: bytes) -> None:
        """Keep something, and let go of what is too much by now."""

        def ask(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)",
                (key, time.time(), zlib.crc32(data), data),
            )
            self._held += len(data)
            if self._held > self._limit:
                self._shrink(db)

        if len(data) <= self._limit // 10:
            self._ask(ask)

    def _shrink(self, db: sqlite3.Connection) -> None:
        """Let go of what was used longest ago until a tenth is free."""
        excess, gone = _sum(db) - self._limit * 9 // 10, []
        for key, size in db.execute("SELECT key, length(data) FROM kept ORDER BY used"):
            if excess <= 0:
                break
            gone.append((key,))
            excess -= size
        db.execute("BEGIN IMMEDIATE")
        db.executemany("DELETE FROM kept WHERE key = ?", gone)
        db.execute("COMMIT")
        self._held = _sum(db)

    def _ask(self, ask: Callable[[sqlite3.Connection], _Found]) -> _Found | None:
        with self._guard:
            if self._db is None:
                return None
            try:
                return ask(self._db)
            except sqlite3.OperationalError:  # busy, or no room
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            except sqlite3.DatabaseError:
                self._db.close()
                self._forget_file()
                self._db = self._open()
        return None

    def _open(self) -> sqlite3.Connection:
        if self._path is not None:
            for _ in range(2):
                try:
                    self._path.parent.mkdir(exist_ok=True)
                    return self._prepare(sqlite3.connect(**_how(str(self._path))))
                except (OSError, sqlite3.OperationalError):
                    break  # read-only, no room, or busy: an error of this moment
                except sqlite3.DatabaseError:
                    self._forget_file()
        self._path, self._limit = None, min(self._limit, MEMORY_BYTES)
        return self._prepare(sqlite3.connect(**_how(":memory:")))

    def _prepare(self, db: sqlite3.Connection) -> sqlite3.Connection:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA journal_size_limit = 8388608")
            db.execute(_TABLE)
            db.execute("SELECT key, used, crc, data FROM kept LIMIT 1").fetchone()
            self._held = _sum(db)
            if self._held > self._limit:  # it was ended before it could let go of something
                self._shrink(db)
        except BaseException:
            db.close()
            raise
        return db

    def _forget_file(self) -> None:
        for end in ("", "-wal", "-shm"):
            if self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.with_name(self._path.name + end).unlink()


def _how(path: str) -> dict[str, Any]:
    return {
        "database": path,
        "timeout": WAIT,
        "isolation_level": None,
        "check_same_thread": False,
    }


def _sum(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(sum(length(data)), 0) FROM kept").fetchone()[0])
