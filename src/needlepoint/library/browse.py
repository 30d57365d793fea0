"""Looking through a library without a question: lists, where files lie, what was saved."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from needlepoint.errors import (
    NoSuchItem,
    PictureError,
    PictureGone,
    PictureOutside,
    UsageError,
)
from needlepoint.intake.decode import decode
from needlepoint.intake.reading import os_reason, special_kind
from needlepoint.library.facets import Counter, Facets
from needlepoint.library.folding import near_duplicates
from needlepoint.library.layout import Layouts
from needlepoint.library.roster import Roster
from needlepoint.library.saved import Saved
from needlepoint.picture import Facts, Picture
from needlepoint.store.base import FileRecord
from needlepoint.store.browsing import Listed, Order
from needlepoint.store.sqlite import SqliteStore
from needlepoint.where import Filter, compile_where

EVERYTHING = Filter("1", ())
MOST_LISTED = 5000
_TOTALS = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Some pictures of a list, how many the whole list has, and where it goes on (or None)."""

    items: list[Listed]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class Located:
    """The file of a picture as it lies there now.

    ``path`` has all symbolic links followed; ``inside`` tells whether it lies in a folder of the
    library. ``size`` and ``mtime_ns`` are those of this moment, ``record`` is what was indexed.
    """

    id: int
    path: str
    inside: bool
    size: int
    mtime_ns: int
    record: FileRecord
    facts: Facts

    @property
    def unchanged(self) -> bool:
        """Whether size and time are those that were indexed."""
        return (self.size, self.mtime_ns) == (self.record.size, self.record.mtime_ns)


class Shelf:
    """The pictures of a library in order; ``library.shelf``.

    Example:
        >>> page = library.shelf.page("year >= 2020", order="newest", limit=100)  # doctest: +SKIP
        >>> page.total, page.items[0].path  # doctest: +SKIP
    """

    def __init__(self, store: SqliteStore, roster: Roster) -> None:
        self._store = store
        self._counter = Counter(store)
        self._totals: dict[tuple[object, ...], int] = {}
        self.cache: Path | None = store.folder / "cache" if store.writable else None
        """Where what can be made again may be kept; None where nothing may be written."""
        self.layouts = Layouts(store, roster)
        self.saved = Saved(store)

    def close(self) -> None:
        """Give up what is being made in the background."""
        self.layouts.close()

    def roots(self) -> list[str]:
        """The folders of the library, as absolute paths."""
        return [path for path, _ in self._store.roots().values()]

    def filter(self, where: str | None) -> Filter:
        """A filter made ready for this library's folders; None and blank find everything.

        Raises:
            UsageError: with the position of what cannot be understood.
        """
        if where is None or not where.strip():
            return EVERYTHING
        roots = {path: number for number, (path, _) in self._store.roots().items()}
        return compile_where(where, roots=roots)

    def page(
        self,
        where: str | None = None,
        *,
        order: Order = "id",
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        """Pictures in an order, some at a time.

        Args:
            where: filter over facts.
            order: ``id``, ``newest``, ``oldest`` (without a date last) or ``name``.
            limit: how many, 1 to 5000.
            cursor: ``next`` of the page before; None for the first. It stays good while pictures
                come and go: none is repeated, none left out.

        Raises:
            UsageError: filter, order, limit or cursor cannot be understood.
        """
        if not 1 <= limit <= MOST_LISTED:
            raise UsageError(f"`limit` is 1 to {MOST_LISTED}. Received: {limit}.")
        chosen = self.filter(where)
        after = None if cursor is None else _read_cursor(cursor, order)
        found, key = self._store.page(chosen.sql, chosen.parameters, order, limit, after)
        return Page(found, self._total(chosen), None if key is None else _cursor(order, key))

    def _total(self, chosen: Filter) -> int:
        """How many a filter finds; counted once for every state of the library."""
        known = (self._store.generation(), chosen.sql, chosen.parameters)
        total = self._totals.get(known)
        if total is None:
            total = self._store.count(chosen.sql, chosen.parameters)
            if len(self._totals) >= _TOTALS:
                self._totals.clear()
            self._totals[known] = total
        return total

    def facets(self, where: str | None = None) -> Facets:
        """What pictures have in common, counted under a filter."""
        if where is None or not where.strip():
            return self._counter.count(None)
        chosen = self.filter(where)
        return self._counter.count(self._store.query_facts(chosen.sql, chosen.parameters))

    def fold(self, ids: Sequence[int]) -> dict[int, list[int]]:
        """Which of some ranked pictures fold under which: the first of each group leads."""
        groups = near_duplicates(self._store, ids)
        return {head: [one.id for one in under] for head, under in groups.items()}

    def places(self, where: str | None = None) -> list[tuple[int, float, float]]:
        """Id, latitude and longitude of every picture that has a place, in id order."""
        chosen = self.filter(where)
        return self._store.places(chosen.sql, chosen.parameters)

    def locate(self, number: int) -> Located:
        """Where the file of a picture lies now.

        Raises:
            NoSuchItem: no picture has this id.
            PictureGone: the file, or the disk it lies on, is not there.
            PictureOutside: it is a folder or device outside the library's folders.
            PictureError: it is no regular file, or may not be looked at.
        """
        known = self._store.facts([number])
        if number not in known:
            raise NoSuchItem(f"@{number} is not a picture of this library.")
        record, facts = known[number]
        roots = {root: path for root, (path, _) in self._store.roots().items()}
        home = roots.pop(record.root)
        path = os.path.join(home, record.path)
        try:
            real = os.path.realpath(path)
            status = os.stat(real)
        except (FileNotFoundError, NotADirectoryError):
            raise PictureGone(shown(path), "file is gone") from None
        except OSError as error:
            raise PictureError(shown(path), os_reason(error)) from None
        inside = any(below(real, os.path.realpath(root)) for root in (home, *roots.values()))
        file = Located(number, real, inside, status.st_size, status.st_mtime_ns, record, facts)
        kind = special_kind(status.st_mode)
        if kind is not None:
            raise PictureError(shown(path), kind) if inside else _outside(file)
        return file

    def read(self, file: Located, *, at_least: int = 0) -> Picture:
        """Decode a picture of the library, bounded as when it was indexed.

        A file that is reached through a link out of the library's folders is read only while it
        is, byte for byte, the one that was indexed.

        Raises:
            PictureGone: it has been removed meanwhile.
            PictureOutside: it lies outside the library's folders and is another than was indexed.
            PictureError: it cannot be read; says why.
        """
        if not file.inside and file.size != file.record.size:
            raise _outside(file)
        try:
            picture = decode(file.path, at_least=at_least)
        except PictureError as error:
            if not file.inside:
                raise _outside(file) from None  # not a word about what it is
            kind = PictureGone if error.reason == "file is gone" else PictureError
            raise kind(shown(file.path), error.reason) from None
        if not file.inside and picture.extra["digest"] != file.record.digest:
            raise _outside(file)
        return picture


def shown(path: str) -> str:
    """A path as text that can be written anywhere: bytes that are not UTF-8 are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def below(path: str, folder: str) -> bool:
    """Whether an absolute path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _outside(file: Located) -> PictureOutside:
    return PictureOutside(
        shown(file.record.path), "leads out of the library's folders to another file than indexed"
    )


def _cursor(order: Order, key: tuple[object, ...]) -> str:
    told = json.dumps([order, *key], ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(told).decode().rstrip("=")


def _read_cursor(cursor: str, order: Order) -> tuple[object, ...]:
    try:
        told = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        kind, *key = json.loads(told)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise UsageError(
            "`cursor` is not one that a list gave; leave it out to begin at the first"
        ) from None
    if kind != order:
        raise UsageError(
            f"`cursor` belongs to the order {str(kind)[:20]!r}, and `order` is {order!r}; "
            "begin anew or keep the order"
        )
    return tuple(key)
