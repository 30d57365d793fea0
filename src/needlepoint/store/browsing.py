"""Looking through a library without a question: pages in an order, counts, vectors of all."""

from __future__ import annotations

import os
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
            seq = self._seq()
            row = db.execute(
                "SELECT token FROM epochs WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1",
                (seq,),
            ).fetchone()
        return f"{seq}-{row[0] if row else ''}"

    def wholes(self, space: Space, ids: Ids | None = None) -> tuple[Ids, Floats]:
        """Vectors of whole pictures that are not gone, without their regions.

        Args:
            space: a stored space.
            ids: pictures, ascending; None for all.

        Returns:
            Ids int64 ``[N]``, ascending, and float32 ``[N, D]`` of unit length. Pictures without
            a vector are left out.
        """
        # a step of a few pages at a time: whoever else waits for the connection gets a turn
        visible, own = self._visible()
        kept: list[Ids] = []
        numbers: list[Floats] = []
        last, at = -1, 0
        while True:
            if ids is not None:
                if at >= len(ids):
                    break
                some = ids[at : at + 500].tolist()
                at += 500
                condition = f"picture_id IN ({', '.join('?' * len(some))})"
                values: list[int] = some
            else:
                condition, values = "picture_id > ?", [last]
            with self._reading() as db:
                rows = db.execute(
                    f"SELECT picture_id, whole FROM vectors_{space.id:d} JOIN pictures "
                    f"ON id = picture_id WHERE {visible} AND {condition} "
                    "ORDER BY picture_id LIMIT ?",
                    (*own, *values, _ONCE),
                ).fetchall()
            if rows:
                last = rows[-1][0]
                kept.append(np.fromiter((row[0] for row in rows), np.int64, len(rows)))
                codes = np.frombuffer(b"".join(row[1] for row in rows), np.uint8)
                numbers.append(decode(codes.reshape(len(rows), -1), finer(space.codec), space.dim))
            elif ids is None:
                break
        if not kept:
            return np.empty(0, np.int64), np.empty((0, space.dim), np.float32)
        return np.concatenate(kept), np.concatenate(numbers)


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
