"""What the pictures of a library have in common, counted, each with the filter that selects it.

All facts that are counted are held in columns of small numbers (about 60 bytes a picture), read
once for every state of the library. A filter then costs one scan of the database, and counting
under it a few milliseconds.
"""

from __future__ import annotations

import json
import os
import re
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint.store.base import Ids
from needlepoint.store.browsing import Browsing
from needlepoint.where import compile_where
from needlepoint.where_terms import Keyword, Term, Text

SHOWN = 50
"""Values of a kind that are listed."""

_SIZES = (
    ("below 100 kB", 0, 10**5, "size < 100kB"),
    ("100 kB to 1 MB", 10**5, 10**6, "size >= 100kB and size < 1MB"),
    ("1 to 5 MB", 10**6, 5 * 10**6, "size >= 1MB and size < 5MB"),
    ("5 to 20 MB", 5 * 10**6, 2 * 10**7, "size >= 5MB and size < 20MB"),
    ("20 MB and above", 2 * 10**7, 2**63 - 1, "size >= 20MB"),
)
_MONTH = re.compile(r"(?!0000)\d{4}-(0[1-9]|1[0-2])")
_READ = (
    *("root", "folder", "camera", "year", "substr(date, 1, 7)", "format", "orientation"),
    *("rating", "size", "lat IS NOT NULL AND lon IS NOT NULL", "keywords"),
)
_LONGEST = 1000  # characters of a value that is worth a button

Counts = list[tuple[Any, int]]
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Facet:
    """A value, how many pictures have it, and the filter that selects them."""

    value: str
    count: int
    where: str


@dataclass(frozen=True, slots=True)
class Facets:
    """Values by kind, at most 50 each; ``more`` counts those left out.

    ``years``, ``months``, ``ratings`` and ``sizes`` come in their own order, the highest first
    (sizes: the smallest); all others the commonest first. A folder counts all below it.
    """

    total: int
    kinds: dict[str, list[Facet]]
    more: dict[str, int]
    places: Facet


class Counter:
    """Counts what pictures have in common; ``library.shelf.facets``."""

    def __init__(self, store: Browsing) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._columns: _Columns | None = None

    def count(self, ids: Ids | None) -> Facets:
        """Count among some pictures (ids, ascending), or all when None."""
        now = self._store.generation()
        with self._guard:
            if self._columns is None or self._columns.generation != now:
                self._columns = None  # let go of the old ones before the new are made
                self._columns = _Columns.read(self._store, now)
            columns = self._columns
        rows = np.arange(len(columns.ids))
        if ids is not None:
            rows = np.flatnonzero(np.isin(columns.ids, ids))
        roots = {path: number for number, (path, _) in self._store.roots().items()}
        return _Count(columns, rows, roots).facets()


@dataclass(slots=True)
class _Column:
    """One value a picture: ``values[codes[i]]`` is that of row i."""

    values: list[Any] = field(default_factory=list)
    codes: Codes = field(default_factory=lambda: np.empty(0, np.int32))

    def counts(self, rows: npt.NDArray[np.intp]) -> Counts:
        """Each known value that occurs among some rows, and how often."""
        many = np.bincount(self.codes[rows], minlength=len(self.values))
        return [
            (self.values[i], int(many[i]))
            for i in np.flatnonzero(many).tolist()
            if self.values[i] is not None
        ]


@dataclass(slots=True)
class _Columns:
    """The facts of every picture as of one state of the library; keywords as pairs with rows."""

    generation: str
    ids: Ids
    columns: dict[str, _Column]
    words: list[str]
    word_codes: Codes
    word_rows: Codes

    @classmethod
    def read(cls, store: Browsing, generation: str) -> _Columns:
        names = ("folder", "camera", "year", "month", "format", "orientation", "rating", "size")
        known: dict[str, dict[Any, int]] = {name: {} for name in (*names, "place", "word")}
        codes: dict[str, list[Codes]] = defaultdict(list)
        ids: list[Ids] = []
        start = 0
        for rows in store.columns(_READ):
            number, root, folder, *facts, size, place, keywords = zip(*rows, strict=True)
            sizes = [next(i for i, (_, _, end, _) in enumerate(_SIZES) if s < end) for s in size]
            columns = (zip(root, folder, strict=True), *facts, sizes)
            for name, values in zip((*names, "place"), (*columns, place), strict=True):
                codes[name].append(_numbered(known[name], values))
            told = [dict.fromkeys(json.loads(some)) for some in keywords]
            codes["word"].append(_numbered(known["word"], (w for some in told for w in some)))
            owner = np.repeat(np.arange(start, start + len(rows)), [len(some) for some in told])
            codes["owner"].append(owner.astype(np.int32))
            ids.append(np.asarray(number, np.int64))
            start += len(rows)
        joined = {
            name: np.concatenate([np.empty(0, np.int32), *codes[name]])
            for name in (*known, "owner")
        }
        return cls(
            generation,
            np.concatenate([np.empty(0, np.int64), *ids]),
            {name: _Column(list(known[name]), joined[name]) for name in (*names, "place")},
            list(known["word"]),
            joined["word"],
            joined["owner"],
        )


def _numbered(known: dict[Any, int], values: Iterable[Any]) -> Codes:
    return np.fromiter((known.setdefault(value, len(known)) for value in values), np.int32)


class _Count:
    """One count under one filter."""

    def __init__(
        self, columns: _Columns, rows: npt.NDArray[np.intp], roots: Mapping[str, int]
    ) -> None:
        self._all, self._rows, self._roots = columns, rows, roots

    def facets(self) -> Facets:
        """All kinds."""
        kinds: dict[str, list[Facet]] = {
            "folders": self._folders(),
            **{f"{name}s": self._texts(name) for name in ("camera", "format", "orientation")},
            "keywords": self._keywords(),
            "years": self._numbers("year"),
            "months": self._months(),
            "ratings": self._numbers("rating"),
            "sizes": self._sizes(),
        }
        located = dict(self._counts("place")).get(1, 0)
        return Facets(
            len(self._rows),
            {kind: values[:SHOWN] for kind, values in kinds.items()},
            {kind: max(0, len(values) - SHOWN) for kind, values in kinds.items()},
            Facet("with a place", located, "has(gps)"),
        )

    def _counts(self, name: str) -> Counts:
        return self._all.columns[name].counts(self._rows)

    def _numbers(self, name: str) -> list[Facet]:
        return [
            Facet(str(value), count, f"{name} = {value}")
            for value, count in sorted(self._counts(name), reverse=True)
        ]

    def _months(self) -> list[Facet]:
        return [
            Facet(value, count, f"date = {value}")
            for value, count in sorted(self._counts("month"), reverse=True)
            if _MONTH.fullmatch(value)
        ]

    def _sizes(self) -> list[Facet]:
        counts = dict(self._counts("size"))
        return [
            Facet(told, counts[i], where)
            for i, (told, _, _, where) in enumerate(_SIZES)
            if i in counts
        ]

    def _texts(self, name: str) -> list[Facet]:
        counts = dict(self._counts(name))

        def total(same: Sequence[str]) -> int:
            return sum(counts[value] for value in same)

        return _ranked(
            Facet(value, total(same), f"{name} = {quoted(value)}")
            for value, same in _merged(counts, _as_text)
        )

    def _keywords(self) -> list[Facet]:
        here = np.isin(self._all.word_rows, self._rows)
        codes, rows = self._all.word_codes[here], self._all.word_rows[here]
        many = np.bincount(codes, minlength=len(self._all.words))
        number = {word: i for i, word in enumerate(self._all.words)}
        counts = {self._all.words[i]: int(many[i]) for i in np.flatnonzero(many).tolist()}

        def total(same: Sequence[str]) -> int:
            if len(same) == 1:
                return counts[same[0]]
            spelled = np.isin(codes, [number[word] for word in same])
            return len(np.unique(rows[spelled]))  # a picture may have it in two spellings

        return _ranked(
            Facet(value, total(same), f"keywords = {quoted(value)}")
            for value, same in _merged(counts, _as_keyword)
        )

    def _folders(self) -> list[Facet]:
        """Every folder with what lies below it, up to the outermost root."""
        paths = {number: _shown(path) for path, number in self._roots.items()}
        below: dict[str, int] = defaultdict(int)
        spelled: dict[str, set[str]] = defaultdict(set)
        counts = self._counts("folder")
        for (root, folder), count in counts:
            top = min((p for p in paths.values() if _inside(paths[root], p)), key=len)
            path = f"{paths[root].rstrip('/')}/{folder}".rstrip("/") or "/"
            while True:
                below[path] += count
                spelled[_folded(path)].add(path)
                if path == top:
                    break
                path = path.rpartition("/")[0] or "/"
        found = []
        for same in spelled.values():
            best = max(same, key=lambda path: (below[path], path))
            where, count = f"folder = {quoted(best)}", below[best]
            if len(same) > 1:
                term = compile_where(where, roots=self._roots).term
                count = sum(many for (r, f), many in counts if term.test({"root": r, "folder": f}))
            found.append(Facet(_told(best, list(paths.values())), count, where))
        return _ranked(found)


def _merged(
    counts: Mapping[str, int], term: Callable[[str], Term]
) -> Iterable[tuple[str, list[str]]]:
    """Values, each with all spellings that its filter finds: case and composition are one.

    Which finds which is not always mutual: k finds K, and the sign of Kelvin finds both.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for value in counts:
        if value and len(value) <= _LONGEST and "\0" not in value:
            alike[_folded(value)].append(value)
    for spellings in alike.values():
        left = sorted(spellings, key=lambda value: (-counts[value], value))
        while left:
            test = term(left[0]).test if len(spellings) > 1 else None
            same = [v for v in spellings if test is None or test({"keywords": [v], "text": v})]
            yield left[0], same
            left = [v for v in left if v not in same and v != left[0]]


def _as_text(value: str) -> Term:
    return Text("text", "=", value)


def _as_keyword(value: str) -> Term:
    return Keyword("=", value)


def _ranked(found: Iterable[Facet]) -> list[Facet]:
    return sorted(found, key=lambda facet: (-facet.count, facet.value))


def quoted(value: str) -> str:
    """A text as the filter language writes it.

    >>> quoted("Rock 'n' Roll")
    "'Rock ''n'' Roll'"
    """
    return "'" + value.replace("'", "''") + "'"


def _folded(text: str) -> str:
    """The same for all texts that a filter takes for one, and perhaps for a few more."""
    if text.isascii():
        return text.upper()
    composed = unicodedata.normalize("NFC", text)
    return "".join(_one(_one(char, str.lower), str.upper) for char in composed)


def _one(char: str, change: Callable[[str], str]) -> str:
    changed = change(char)
    return changed if len(changed) == 1 else char


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "replace").replace(os.sep, "/")


def _inside(path: str, folder: str) -> bool:
    return (path + "/").startswith(folder.rstrip("/") + "/")


def _told(path: str, roots: Sequence[str]) -> str:
    """A folder as people call it: from the name of its root on, where that is no other's."""
    top = min((root for root in roots if _inside(path, root)), key=len, default="")
    name = top.rpartition("/")[2]
    if not name or sum(root.rpartition("/")[2] == name for root in roots) > 1:
        return path
    return name + path[len(top) :]
