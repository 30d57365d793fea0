"""Transactions on the database of one library: many readers, one writer, plain errors."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from needlepoint.errors import LibraryBusy, LibraryError, LibraryMissing
from needlepoint.store.lock import WriterLock
from needlepoint.store.schema import DATABASE, connect, plain_errors

_Self = TypeVar("_Self", bound="Database")


class Database:
    """An open library. Its methods may be called from several threads, which then take turns."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, writable: bool) -> None:
        self.folder = folder
        self.writable = writable
        self._db = connection
        self._guard = threading.RLock()
        self._lock = WriterLock(folder)
        self._depth = 0
        self._file = _file_of(folder)
        self._epoch_noted = False

    @classmethod
    def open(
        cls: type[_Self], folder: str | Path, *, create: bool = False, read_only: bool = False
    ) -> _Self:
        """Open the library in ``folder``, or make one there when ``create`` is set.

        A folder that cannot be written is opened for reading; ``writable`` tells.

        Raises:
            LibraryMissing: nothing there and ``create`` is False.
            LibraryIncompatible: written by a newer needlepoint.
            LibraryError: damaged, or not a library.
        """
        folder = Path(folder)
        connection, writable = connect(folder, create=create, read_only=read_only)
        return cls(folder, connection, writable)

    def attend(self) -> None:
        """Make sure that the library is still there; take up another that was put in its place.

        What was opened can be read on after it was deleted, which would answer of pictures that
        nobody has any more. A process that asks for a long time asks this first.

        Raises:
            LibraryMissing: it is gone, or its disk is.
            LibraryBusy: another stands in its place while this process writes to the old one.
            LibraryError: what stands in its place cannot be opened.
        """
        there = _file_of(self.folder)
        if there is None:
            raise LibraryMissing(
                f"library {self.folder} is gone: deleted, moved, or its disk is away. It is "
                "answered from again as soon as it is back"
            )
        if there == self._file:
            return
        with self._guard:
            if self._depth:
                raise LibraryBusy(
                    f"library {self.folder} was replaced while it is being written; wait until "
                    "that has ended"
                )
            connection, _ = connect(self.folder, create=False, read_only=not self.writable)
            self._db.close()
            self._db, self._file = connection, there
            self._renewed()

    def _renewed(self) -> None:
        """Forget what was known of the library that stood here before."""

    def close(self) -> None:
        """Close the files; nothing can be asked afterwards."""
        with self._guard:
            self._lock.release()
            self._db.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the database, untouched by what others write meanwhile."""
        with self._guard, plain_errors(self.folder):
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN")
            try:
                yield self._db
            finally:
                if self._db.in_transaction:
                    self._db.execute("COMMIT")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer for a while; every method that writes does this for itself as well.

        Raises:
            LibraryBusy: another process writes; says which.
            LibraryError: opened for reading, or the folder cannot be written.
        """
        with self._guard:
            if not self.writable:
                raise LibraryError(
                    f"library {self.folder} is open for reading only, because its folder or file "
                    "is read-only or it was opened so. To index, make it writable or choose "
                    "another with --library"
                )
            if self._depth == 0:
                self._lock.acquire()
                self._epoch_noted = False
            self._depth += 1
        try:
            yield
        finally:
            with self._guard:
                self._depth -= 1
                if self._depth == 0:
                    self._lock.release()

    @contextlib.contextmanager
    def _write(self) -> Iterator[int]:
        """One transaction as the one writer; gives its number, one more than the last."""
        with self.writing(), self._guard, plain_errors(self.folder):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                seq = self._seq() + 1
                yield seq
                if not self._epoch_noted:
                    self._db.execute(
                        "INSERT INTO epochs VALUES (?, ?)", (seq, secrets.token_hex(8))
                    )
                self._db.execute("UPDATE meta SET value = ? WHERE key = 'seq'", (str(seq),))
                self._db.execute("COMMIT")
                self._epoch_noted = True
            except BaseException:
                # a full disk has rolled back by itself
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _seq(self) -> int:
        return int(self._meta("seq") or 0)

    def _meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def get_meta(self, key: str) -> str | None:
        """A setting of the library, or None."""
        with self._reading():
            return self._meta(f"user.{key}")

    def set_meta(self, key: str, value: str) -> None:
        """Keep a setting of the library."""
        with self._write():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"user.{key}", value))


def _file_of(folder: Path) -> tuple[int, int] | None:
    """What names the database file itself, whatever it is called; None where there is none."""
    try:
        status = os.stat(folder / DATABASE)
    except OSError:
        return None
    return status.st_dev, status.st_ino
