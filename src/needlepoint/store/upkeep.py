"""Keeping a library in good order: purge, copy, measure, check."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from needlepoint.errors import LibraryError
from needlepoint.search.codes import code_bytes, finer
from needlepoint.store.browsing import Browsing
from needlepoint.store.schema import DATABASE, SCHEMA_VERSION, plain_errors

_KEPT_EPOCHS = 1000


class Upkeep(Browsing):
    """What is done to a library now and then. No user's file is ever touched."""

    def gc(self, *, dry_run: bool = False, vacuum: bool = False) -> dict[str, int]:
        """Remove pictures whose files are gone, and what belongs to no picture.

        Args:
            dry_run: only count.
            vacuum: also give the room back to the file system; rewrites the database, which
                needs as much free room again. Else it is used for the next pictures.

        Returns:
            ``pictures``, ``vectors`` and ``blobs`` removed, ``bytes`` freed on disk.
        """
        before = self._bytes()["database"]
        spaces = self._space_numbers()
        orphan = "NOT IN (SELECT id FROM pictures WHERE NOT gone)"
        with self._reading() as db:
            counts = {
                "pictures": _one(db, "SELECT count(*) FROM pictures WHERE gone"),
                "vectors": sum(
                    _one(db, f"SELECT count(*) FROM vectors_{space} WHERE picture_id {orphan}")
                    for space in spaces
                ),
                "blobs": _one(db, f"SELECT count(*) FROM blobs WHERE picture_id {orphan}"),
                "bytes": 0,
            }
        if dry_run:
            return counts
        if any(counts.values()):
            with self._write() as seq:
                for space in spaces:
                    self._db.execute(
                        f"INSERT OR REPLACE INTO removed SELECT ?, picture_id, ? FROM "
                        f"vectors_{space} WHERE picture_id {orphan}",
                        (space, seq),
                    )
                    self._db.execute(f"DELETE FROM vectors_{space} WHERE picture_id {orphan}")
                self._db.execute(f"DELETE FROM blobs WHERE picture_id {orphan}")
                self._db.execute("DELETE FROM pictures WHERE gone")
        with self.writing(), self._guard, plain_errors(self.folder):
            if vacuum:
                self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        counts["bytes"] = max(0, before - self._bytes()["database"])
        return counts

    def _forget_removals(self, covered: int) -> None:
        """Forget who was removed up to transaction ``covered``: the caches know it by now."""
        with self._reading() as db:
            if not _one(db, f"SELECT count(*) FROM removed WHERE seq <= {covered:d}"):
                return
        with self._write():
            self._db.execute("DELETE FROM removed WHERE seq <= ?", (covered,))
            self._db.execute(
                "UPDATE meta SET value = ? WHERE key = 'floor' AND CAST(value AS INTEGER) < ?",
                (str(covered), covered),
            )
            self._db.execute(
                "DELETE FROM epochs WHERE first_seq NOT IN "
                f"(SELECT first_seq FROM epochs ORDER BY first_seq DESC LIMIT {_KEPT_EPOCHS})"
            )

    def snapshot(self, dest: str | Path) -> Path:
        """Copy the library as it stands at one moment, while others may write to it.

        Args:
            dest: folder of the copy, which must not hold a library yet.

        Returns:
            The folder.

        Raises:
            LibraryError: there is a library already, or it cannot be written.
        """
        dest = Path(dest)
        target = dest / DATABASE
        if target.exists():
            raise LibraryError(f"dest {dest} holds a library already: choose another folder")
        part = target.with_name(f"{DATABASE}.{secrets.token_hex(4)}.part")
        try:
            dest.mkdir(parents=True, exist_ok=True)
            with plain_errors(dest), self._guard:
                copy = sqlite3.connect(part)
                try:
                    self._db.backup(copy)
                    # what is copied to a read-only place must be readable without a log beside it
                    copy.execute("PRAGMA journal_mode = DELETE")
                finally:
                    copy.close()
            manifest = self.folder / "manifest.json"
            if manifest.is_file():
                shutil.copyfile(manifest, dest / manifest.name)
            os.replace(part, target)
        except OSError as error:
            raise LibraryError(f"dest {dest} cannot be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
        return dest

    def check(self) -> list[str]:
        """What is wrong with the database, in SQLite's words; empty when it is whole."""
        try:
            with self._guard:
                rows = self._db.execute("PRAGMA quick_check(20)").fetchall()
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [row[0] for row in rows if row[0] != "ok"]

    def stats(self) -> dict[str, Any]:
        """Counts, spaces and bytes.

        Returns:
            ``pictures`` (not gone), ``offline``, ``gone``, ``skipped``, ``schema``; ``spaces``, a
            list with name, encoder, recipe, codec, dim, pictures, regions, vectors and bytes of
            each; ``bytes`` on disk of database, log and cache.
        """
        with self._reading() as db:
            gone = _one(db, "SELECT count(*) FROM pictures WHERE gone")
            told: dict[str, Any] = {
                "pictures": _one(db, "SELECT count(*) FROM pictures") - gone,
                "offline": _one(
                    db,
                    "SELECT count(*) FROM pictures p JOIN roots r ON r.id = p.root "
                    "WHERE NOT p.gone AND NOT r.online",
                ),
                "gone": gone,
                "skipped": _one(db, "SELECT count(*) FROM skipped"),
                "schema": SCHEMA_VERSION,
                "spaces": [],
            }
            spaces = db.execute(
                "SELECT id, name, encoder, recipe, codec, dim FROM spaces ORDER BY id"
            ).fetchall()
            for number, name, encoder, recipe, codec, dim in spaces:
                pictures, regions = db.execute(
                    f"SELECT count(*), coalesce(sum(count), 0) FROM vectors_{number}"
                ).fetchone()
                each = code_bytes(codec, dim) + 8
                told["spaces"].append(
                    {
                        "id": number,
                        "name": name,
                        "encoder": encoder,
                        "recipe": recipe,
                        "codec": codec,
                        "dim": dim,
                        "pictures": pictures,
                        "regions": regions,
                        "vectors": pictures + regions,
                        "bytes": pictures * code_bytes(finer(codec), dim) + regions * each,
                    }
                )
        told["bytes"] = self._bytes()
        return told

    def _space_numbers(self) -> list[int]:
        with self._reading() as db:
            return [row[0] for row in db.execute("SELECT id FROM spaces ORDER BY id")]

    def _bytes(self) -> dict[str, int]:
        cache = self.folder / "cache"
        return {
            "database": _size(self.folder / DATABASE),
            "log": _size(self.folder / f"{DATABASE}-wal"),
            "cache": sum(map(_size, cache.iterdir())) if cache.is_dir() else 0,
        }


def _one(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
