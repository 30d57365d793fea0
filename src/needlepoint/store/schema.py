"""The tables of a library, how they are opened, and what SQLite's errors mean to a user."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from needlepoint.errors import LibraryBusy, LibraryError, LibraryIncompatible, LibraryMissing
from needlepoint.where_terms import haversine

SCHEMA_VERSION = 1
DATABASE = "library.sqlite3"

# Vectors have a table per space (see VECTORS). ``seq`` is the number of the transaction that
# last touched a row; readers use it to find what is newer than their cache.
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE epochs (first_seq INTEGER PRIMARY KEY, token TEXT NOT NULL);
CREATE TABLE roots (
    id INTEGER PRIMARY KEY AUTOINCREMENT, raw BLOB NOT NULL UNIQUE, path TEXT NOT NULL,
    online INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE spaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, encoder TEXT NOT NULL,
    fingerprint TEXT NOT NULL, dim INTEGER NOT NULL, codec TEXT NOT NULL, recipe TEXT NOT NULL,
    card TEXT NOT NULL, UNIQUE (name, encoder, recipe)
);
CREATE TABLE pictures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    root INTEGER NOT NULL REFERENCES roots (id),
    raw BLOB NOT NULL, path TEXT NOT NULL, folder TEXT NOT NULL, name TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, digest BLOB NOT NULL,
    gone INTEGER NOT NULL DEFAULT 0, seq INTEGER NOT NULL,
    format TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    orientation TEXT NOT NULL, taken TEXT, date TEXT, year INTEGER, month INTEGER, day INTEGER,
    camera TEXT, lens TEXT, lat REAL, lon REAL, rating INTEGER, keywords TEXT NOT NULL,
    UNIQUE (root, raw)
);
CREATE INDEX pictures_digest ON pictures (digest);
CREATE INDEX pictures_gone ON pictures (id) WHERE gone;
CREATE TABLE removed (
    space INTEGER NOT NULL, picture_id INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (space, picture_id)
) WITHOUT ROWID;
CREATE TABLE skipped (
    root INTEGER NOT NULL REFERENCES roots (id), raw BLOB NOT NULL, path TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (root, raw)
) WITHOUT ROWID;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, started TEXT NOT NULL,
    finished TEXT, total INTEGER NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE blobs (
    picture_id INTEGER NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (picture_id, kind)
);
"""

# ``whole`` stands first and ``regions`` last: reading the former does not touch the pages that
# the latter overflows into.
VECTORS = """
CREATE TABLE vectors_{0} (
    picture_id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, count INTEGER NOT NULL,
    whole BLOB NOT NULL, boxes BLOB NOT NULL, regions BLOB NOT NULL
);
CREATE INDEX vectors_{0}_seq ON vectors_{0} (seq);
"""


@contextlib.contextmanager
def plain_errors(folder: Path) -> Iterator[None]:
    """Turn SQLite's errors into those of needlepoint, with what to do about them."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error, folder) from error


def _translated(error: sqlite3.Error, folder: Path) -> LibraryError:
    said = str(error)
    if "locked" in said or "busy" in said:
        return LibraryBusy(f"library {folder} is being written by another process ({said})")
    if "disk is full" in said:
        return LibraryError(
            f"no room left for library {folder}: the last batch was not written, everything "
            "before it is kept. Free some space and run the same command again"
        )
    if "readonly" in said:
        return LibraryError(
            f"library {folder} cannot be written: its folder or file is read-only. Searching "
            "works; to index, make it writable or choose another with --library"
        )
    if isinstance(error, sqlite3.DatabaseError) and (
        "malformed" in said or "not a database" in said or "disk I/O error" in said
    ):
        return LibraryError(
            f"library {folder} is damaged or unreadable ({said}). Nothing was changed in it; "
            f"restore {DATABASE} from a snapshot, or index again into another --library"
        )
    return LibraryError(f"library {folder} could not be used: {said}")


def connect(folder: Path, *, create: bool, read_only: bool) -> tuple[sqlite3.Connection, bool]:
    """Open the database of a library folder; returns it and whether it can be written.

    A folder that cannot be written is opened for reading even when writing was asked for; the
    first write then says why it cannot be done.

    Raises:
        LibraryMissing: nothing there and ``create`` is False.
        LibraryIncompatible: written by a newer needlepoint.
        LibraryError: damaged, or not a library.
    """
    path = folder / DATABASE
    if not path.is_file():
        if not create or read_only:
            raise LibraryMissing(
                f"no library at {folder}. Make one with: needlepoint --library {folder} index "
                "YOUR_PICTURES"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryError(f"library {folder} cannot be made: {error.strerror}") from error
    with plain_errors(folder):
        if not read_only:
            try:
                return _open_for_writing(path, folder, create), True
            except sqlite3.OperationalError as error:
                said = str(error)
                if not path.is_file() or not ("readonly" in said or "unable to open" in said):
                    raise
        return _open_for_reading(path, folder), False


def _open(path: Path, mode: str, extra: str = "") -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}{extra}",
        uri=True,
        timeout=10.0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.create_function("np_haversine", 4, haversine, deterministic=True)
    return connection


def _tune(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA temp_store = MEMORY")


def _open_for_writing(path: Path, folder: Path, create: bool) -> sqlite3.Connection:
    connection = _open(path, "rwc" if create else "rw")
    try:
        _prepare(connection, create)
        _check(connection, folder)
        _tune(connection)
        return connection
    except BaseException:
        connection.close()
        raise


def _open_for_reading(path: Path, folder: Path) -> sqlite3.Connection:
    connection = _open(path, "ro")
    try:
        _check(connection, folder)
        _tune(connection)
        return connection
    except sqlite3.OperationalError:
        connection.close()
    # WAL wants to make a file beside the database. Where it cannot, the database may still be
    # read as it lies, provided that no finished batch waits in the log.
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise LibraryError(
            f"library {folder} was not closed cleanly and its folder is read-only: open it once "
            "where it can be written (needlepoint info does), then it can be read anywhere"
        )
    connection = _open(path, "ro", "&immutable=1")
    try:
        _check(connection, folder)
        _tune(connection)
        return connection
    except BaseException:
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection, create: bool) -> None:
    """Set the durable journal, and lay the tables into an empty file."""
    if create and not connection.execute("PRAGMA user_version").fetchone()[0]:
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            # a row of vectors takes whole pages but for its first part: small ones waste less
            connection.execute("PRAGMA page_size = 2048")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.executemany(
                    "INSERT INTO meta VALUES (?, ?)",
                    [("library", secrets.token_hex(16)), ("seq", "0"), ("floor", "0")],
                )
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    # asks for write access: fails here, not in the middle of a batch, where there is none
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_size_limit = 67108864")


def _check(connection: sqlite3.Connection, folder: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise LibraryIncompatible(
            f"library {folder} has schema {version}, and this needlepoint knows up to "
            f"{SCHEMA_VERSION}: upgrade needlepoint (pip install -U needlepoint)"
        )
    if version < SCHEMA_VERSION:
        raise LibraryError(
            f"{folder / DATABASE} is not a needlepoint library (schema {version}, "
            f"{SCHEMA_VERSION} wanted): choose another --library"
        )
    connection.execute("SELECT value FROM meta WHERE key = 'seq'").fetchone()
