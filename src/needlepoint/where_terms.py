"""The terms a filter is made of: each knows its SQL and its own truth for one row.

``sql`` appends parameters and returns SQL over the columns of ``pictures``; ``test`` evaluates the
same term in Python over a mapping of those columns. Both follow three-valued logic: None is
unknown. Values of users never enter the SQL text.
"""

from __future__ import annotations

import json
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

Row = Mapping[str, Any]
EARTH_KM = 6371.0088

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Term(Protocol):
    """One condition, or several joined."""

    def sql(self, parameters: list[Any]) -> str:
        """SQL of the condition; its values are appended to ``parameters``."""
        ...

    def test(self, row: Row) -> bool | None:
        """Truth for one picture; None when unknown."""
        ...


def haversine(
    lat1: float | None, lon1: float | None, lat2: float | None, lon2: float | None
) -> float | None:
    """Great-circle distance in km between two places in degrees; None when one is unknown."""
    if lat1 is None or lon1 is None or lat2 is None or lon2 is None:
        return None
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    half_lat, half_lon = (phi2 - phi1) / 2, math.radians(lon2 - lon1) / 2
    a = math.sin(half_lat) ** 2 + math.cos(phi1) * math.cos(phi2) * math.sin(half_lon) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(a)))


def _bind(value: Any, parameters: list[Any]) -> str:
    parameters.append(value)
    return "?"


@cache
def _cases(char: str) -> str:
    """The character in both cases, each one character long."""
    forms = {char, char.lower(), char.upper()}
    return "".join(sorted(form for form in forms if len(form) == 1))


def _forms(value: str, op: str) -> list[str]:
    """What to look for: the text composed and decomposed, as file systems write either."""
    if op == "~" and "*" not in value and "?" not in value:
        value = f"*{value}*"
    return sorted({value, *(unicodedata.normalize(form, value) for form in ("NFC", "NFD"))})


def _glob(value: str, op: str) -> str:
    """Pattern of SQLite's GLOB; classes of both cases make it ignore case in any script."""
    wild = "*?" if op == "~" else ""
    pieces = []
    for char in value:
        cases = _cases(char)
        pieces.append(
            char if char in wild or (cases == char and char not in "*?[") else f"[{cases}]"
        )
    return "".join(pieces)


def _like_sql(column: str, op: str, value: str, parameters: list[Any]) -> str:
    globs = [f"{column} GLOB {_bind(_glob(v, op), parameters)}" for v in _forms(value, op)]
    return globs[0] if len(globs) == 1 else f"({' OR '.join(globs)})"


@cache
def _regex(value: str, op: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."} if op == "~" else {}
    alternatives = (
        "".join(wild.get(c) or f"(?:{'|'.join(map(re.escape, _cases(c)))})" for c in form)
        for form in _forms(value, op)
    )
    return re.compile("|".join(alternatives), re.DOTALL)


def _like(text: str, op: str, value: str) -> bool:
    return _regex(value, op).fullmatch(text) is not None


def words_of(row: Row) -> list[str]:
    """Keywords of a row, whether they come as JSON text, a sequence or not at all."""
    value = row.get("keywords")
    return [str(w) for w in (json.loads(value) if isinstance(value, str) else value or ())]


@dataclass(frozen=True, slots=True)
class Text:
    """A text column equals (``=``) or is like (``~``) a value, without regard to case."""

    column: str
    op: str
    value: str

    def sql(self, parameters: list[Any]) -> str:
        return _like_sql(self.column, self.op, self.value, parameters)

    def test(self, row: Row) -> bool | None:
        text = row.get(self.column)
        return None if text is None else _like(text, self.op, self.value)


@dataclass(frozen=True, slots=True)
class Keyword:
    """At least one keyword equals or is like a value; never unknown."""

    op: str
    value: str

    def sql(self, parameters: list[Any]) -> str:
        inner = _like_sql("word.value", self.op, self.value, parameters)
        return f"EXISTS (SELECT 1 FROM json_each(coalesce(keywords, '[]')) AS word WHERE {inner})"

    def test(self, row: Row) -> bool | None:
        return any(_like(word, self.op, self.value) for word in words_of(row))


@dataclass(frozen=True, slots=True)
class Below:
    """The folder is ``value`` or lies below it; an empty value is the whole root.

    ``root`` limits it to one root (its id) when the user gave an absolute folder.
    """

    value: str
    root: int | None = None

    def sql(self, parameters: list[Any]) -> str:
        conditions = []
        if self.root is not None:
            conditions.append(f"root = {_bind(self.root, parameters)}")
        if self.value:
            equal = _like_sql("folder", "=", self.value, parameters)
            conditions.append(f"({equal} OR {self._inside(parameters)})")
        return "(" + " AND ".join(conditions or ["folder IS NOT NULL"]) + ")"

    def _inside(self, parameters: list[Any]) -> str:
        globs = [f"{_glob(form, '=')}/*" for form in _forms(self.value, "=")]
        return " OR ".join(f"folder GLOB {_bind(glob, parameters)}" for glob in globs)

    def test(self, row: Row) -> bool | None:
        folder = row.get("folder")
        here = self.root is None or row.get("root") == self.root
        if folder is None:
            return None if self.value and here else here and self.root is not None
        if not self.value or not here:
            return here
        parts = folder.split("/")
        heads = ("/".join(parts[: n + 1]) for n in range(len(parts)))
        return any(_like(head, "=", self.value) for head in heads)


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric column compared with a number."""

    column: str
    op: str
    value: float

    def sql(self, parameters: list[Any]) -> str:
        return f"{self.column} {self.op} {_bind(self.value, parameters)}"

    def test(self, row: Row) -> bool | None:
        number = row.get(self.column)
        return None if number is None else _COMPARE[self.op](number, self.value)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date column compared with a period [``start``, ``end``) of ISO text."""

    column: str
    op: str
    start: str
    end: str

    def sql(self, parameters: list[Any]) -> str:
        if self.op == "=":
            low, high = _bind(self.start, parameters), _bind(self.end, parameters)
            return f"({self.column} >= {low} AND {self.column} < {high})"
        op, bound = self._bound()
        return f"{self.column} {op} {_bind(bound, parameters)}"

    def _bound(self) -> tuple[str, str]:
        return {
            "<": ("<", self.start),
            "<=": ("<", self.end),
            ">": (">=", self.end),
            ">=": (">=", self.start),
        }[self.op]

    def test(self, row: Row) -> bool | None:
        moment = row.get(self.column)
        if moment is None:
            return None
        if self.op == "=":
            return bool(self.start <= moment < self.end)
        op, bound = self._bound()
        return _COMPARE[op](moment, bound)


@dataclass(frozen=True, slots=True)
class Near:
    """The place lies within ``km`` kilometres (great circle) of ``lat``, ``lon``."""

    lat: float
    lon: float
    km: float

    def sql(self, parameters: list[Any]) -> str:
        # The latitude alone rules most pictures out without calling the function.
        reach = math.degrees(self.km / EARTH_KM) * 1.000001 + 1e-9
        parameters += [self.lat, reach, self.lat, self.lon, self.km]
        return (
            "(CASE WHEN lat IS NULL OR lon IS NULL THEN NULL WHEN abs(lat - ?) > ? THEN 0 "
            "ELSE np_haversine(lat, lon, ?, ?) <= ? END)"
        )

    def test(self, row: Row) -> bool | None:
        distance = haversine(row.get("lat"), row.get("lon"), self.lat, self.lon)
        return None if distance is None else distance <= self.km


@dataclass(frozen=True, slots=True)
class Known:
    """Every one of the columns has a value; keywords are known when there is one."""

    columns: tuple[str, ...]

    def sql(self, parameters: list[Any]) -> str:
        if self.columns == ("keywords",):
            return "json_array_length(coalesce(keywords, '[]')) > 0"
        return "(" + " AND ".join(f"{column} IS NOT NULL" for column in self.columns) + ")"

    def test(self, row: Row) -> bool | None:
        if self.columns == ("keywords",):
            return bool(words_of(row))
        return all(row.get(column) is not None for column in self.columns)


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; unknown stays unknown."""

    term: Term

    def sql(self, parameters: list[Any]) -> str:
        return f"NOT ({self.term.sql(parameters)})"

    def test(self, row: Row) -> bool | None:
        truth = self.term.test(row)
        return None if truth is None else not truth


@dataclass(frozen=True, slots=True)
class Join:
    """All (``and``) or any (``or``) of several terms."""

    op: str
    terms: Sequence[Term]

    def sql(self, parameters: list[Any]) -> str:
        if not self.terms:
            return "1" if self.op == "and" else "0"
        return "(" + f" {self.op.upper()} ".join(t.sql(parameters) for t in self.terms) + ")"

    def test(self, row: Row) -> bool | None:
        decisive = self.op == "or"
        truths = [term.test(row) for term in self.terms]
        if decisive in truths:
            return decisive
        return None if None in truths else not decisive
