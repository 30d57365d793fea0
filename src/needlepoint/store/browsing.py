"""Looking through a library without a question: pages in an order, counts, vectors of all."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.search.codes import decode, finer
from needlepoint.store.base import Ids, Space
from needlepoint.store.catalogue import Catalogue

Order = Literal["id", "newest", "oldest", "name"]
Key = tuple[Any, ...]

_KEYS = {
    "id": ("id",),
    "newest": ("taken", "id"),
    "oldest": ("taken", "id"),
    "name": ("name", "id"),
}
_SORTED = {
    "id": "id",
    "newest": "taken IS NULL, taken DESC, id",
    "oldest": "taken IS NULL, taken, id",
    "name": "name COLLATE NOCASE, id",
}
_ONCE = 4096  # vectors decoded together


@dataclass(frozen=True, slots=True)
class Listed:
    """One picture of a page; ``path`` is absolute, as text that can be shown."""

    id: int
    path: str
    name: str
    width: int
    height: int
    taken: str | None
    lat: float | None
    lon: float | None


class Browsing(Catalogue):
    """Pages, counts and columns of the pictures that are not gone.

    ``where`` is SQL as ``needlepoint.where`` makes it, never a user's text.
    """

    def _visible(self) -> tuple[str, list[Any]]:
        """The condition under which a picture is there at all, and its values."""
        return "NOT gone", []

    def count(self, where: str = "1", parameters: Sequence[Any] = ()) -> int:
        """How many pictures satisfy a compiled filter."""
        visible, own = self._visible()
        with self._reading() as db:
            row = db.execute(
                f"SELECT count(*) FROM pictures WHERE {visible} AND ({where})", (*own, *parameters)
            ).fetchone()
            return int(row[0])

    def page(
        self,
        where: str,
        parameters: Sequence[Any],
        order: Order,
        limit: int,
        after: Key | None = None,
    ) -> tuple[list[Listed], Key | None]:
        """The next pictures in an order, and the key of the last where there may be more.

        A page begins after a key and not after a number of rows: what is written meanwhile
        neither repeats a picture nor leaves one out. Pictures without a date come last in
        ``newest`` and ``oldest``; ties come by id.

        Raises:
            UsageError: no such order, or a key of another one.
        """
        if order not in _KEYS:
            raise UsageError(f"`order` is {', '.join(get_args(Order))}. Received: {order!r}.")
        beyond, values = ("1", ()) if after is None else _beyond(order, after)
        visible, own = self._visible()
        with self._reading() as db:
            rows = db.execute(
                "SELECT id, root, path, name, width, height, taken, lat, lon FROM pictures "
                f"WHERE {visible} AND ({where}) AND ({beyond}) ORDER BY {_SORTED[order]} LIMIT ?",
                (*own, *parameters, *values, limit + 1),
            ).fetchall()
            roots = dict(db.execute("SELECT id, path FROM roots").fetchall())
        found = [
            Listed(number, os.path.join(roots[root], path), *rest)
            for number, root, path, *rest in rows[:limit]
        ]
        if len(rows) <= limit:
            return found, None
        return found, tuple(getattr(found[-1], name) for name in _KEYS[order])

    def columns(self, expressions: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """Some columns (SQL) of every picture, in id order, a few thousand rows at a time."""
        visible, own = self._visible()
        last = -1
        while True:
            with self._reading() as db:
                rows = db.execute(
                    f"SELECT id, {', '.join(expressions)} FROM pictures WHERE {visible} AND id > ? "
                    "ORDER BY id LIMIT ?",
                    (*own, last, _ONCE),
                ).fetchall()
            if not rows:
                return
            yield rows
            last = rows[-1][0]

    def places(self, where: str, parameters: Sequence[Any]) -> list[tuple[int, float, float]]:
        """Id, latitude and longitude of each picture that has a place, in id order."""
        visible, own = self._visible()
        with self._reading() as db:
            return db.execute(
                f"SELECT id, lat, lon FROM pictures WHERE {visible} AND lat IS NOT NULL AND "
                f"lon IS NOT NULL AND ({where}) ORDER BY id",
                (*own, *parameters),
            ).fetchall()

    def generation(self) -> str:
        """A short text that changes whenever anything is written."""
        with self._reading() as db:
            return f"{self._seq()}-{_writer(db)}"

    def generation_of(self, space: Space) -> str:
        """A short text that changes whenever pictures with vectors in a space come, go or change.

        What else is written, such as settings, does not change it.
        """
        visible, own = self._visible()
        with self._reading() as db:
            vectors = db.execute(
                f"SELECT count(*), total(picture_id), max(seq) FROM vectors_{space.id:d}"
            ).fetchone()
            hidden = db.execute(
                f"SELECT count(*), total(id) FROM pictures WHERE NOT ({visible})", own
            ).fetchone()
            library = db.execute("SELECT value FROM meta WHERE key = 'library'").fetchone()[0]
        return repr((library, space.id, space.fingerprint, *vectors, *hidden))

    def wholes(self, space: Space, ids: Ids | None = None) -> tuple[Ids, Floats]:
        """Vectors of whole pictures that are not gone, without their regions.

        Args:
            space: a stored space.
            ids: pictures, ascending; None for all.

        Returns:
            Ids int64 ``[N]``, ascending, and float32 ``[N, D]`` of unit length. Pictures without
            a vector are left out.
        """
        visible, own = self._visible()
        total = len(ids) if ids is not None else self._described(space)
        known = np.empty(total, np.int64)
        vectors = np.empty((total, space.dim), np.float32)
        filled, last, at = 0, -1, 0
        # a few pages at a time: whoever else waits for the connection gets a turn
        while filled < total:
            if ids is None:
                condition, values = "picture_id > ?", [last]
            else:
                values = ids[at : at + 500].tolist()
                condition = f"picture_id IN ({', '.join('?' * len(values))})"
                at += 500
                if not values:
                    break
            with self._reading() as db:
                rows = db.execute(
                    f"SELECT picture_id, whole FROM vectors_{space.id:d} JOIN pictures "
                    f"ON id = picture_id WHERE {visible} AND {condition} "
                    "ORDER BY picture_id LIMIT ?",
                    (*own, *values, min(_ONCE, total - filled)),
                ).fetchall()
            if rows:
                last = rows[-1][0]
                codes = np.frombuffer(b"".join(row[1] for row in rows), np.uint8)
                here = slice(filled, filled + len(rows))
                known[here] = [row[0] for row in rows]
                vectors[here] = decode(codes.reshape(len(rows), -1), finer(space.codec), space.dim)
                filled += len(rows)
            elif ids is None:
                break
        return known[:filled], vectors[:filled]

    def _described(self, space: Space) -> int:
        with self._reading() as db:
            row = db.execute(f"SELECT count(*) FROM vectors_{space.id:d}").fetchone()
            return int(row[0])


def _beyond(order: Order, key: Key) -> tuple[str, Key]:
    """The condition that a row comes after a key in an order, and its values."""
    kinds: dict[str, Any] = {"id": int, "name": str, "taken": (str, type(None))}
    names = _KEYS[order]
    if len(key) != len(names) or not all(
        isinstance(value, kinds[name]) and not isinstance(value, bool)
        for name, value in zip(names, key, strict=True)
    ):
        raise UsageError(f"this place in the list does not belong to the order {order!r}")
    if not 0 <= key[-1] < 2**63:
        raise UsageError("this place in the list names an id that cannot be")
    if order == "id":
        return "id > ?", key
    if order == "name":
        name = "name COLLATE NOCASE"
        return f"{name} > ? OR ({name} = ? AND id > ?)", (key[0], *key)
    if key[0] is None:
        return "taken IS NULL AND id > ?", key[1:]
    sign = "<" if order == "newest" else ">"
    return f"taken {sign} ? OR (taken = ? AND id > ?) OR taken IS NULL", (key[0], *key)


def _writer(db: sqlite3.Connection) -> str:
    """The mark of the last who wrote: two copies of a library may have counted alike since."""
    row = db.execute("SELECT token FROM epochs ORDER BY first_seq DESC LIMIT 1").fetchone()
    return row[0] if row else ""
