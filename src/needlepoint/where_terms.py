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


def fold(text: str | bytes | None) -> str | None:
    """Text as it is compared when a pattern is not plain ASCII: NFC and without case."""
    if text is None:
        return None
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", raw.decode("utf-8", "replace")).casefold()


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
    """A placeholder; text with undecodable bytes travels as bytes."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            parameters.append(value.encode("utf-8", "surrogateescape"))
            return "CAST(? AS TEXT)"
    parameters.append(value)
    return "?"


def _plain(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape").lower()  # bytes.lower is ASCII only


def _folded_column(column: str, ascii_only: bool) -> str:
    # lower() and LIKE ignore the case of ASCII only; that is enough, and much quicker, for
    # patterns of ASCII. The cast lets the function see names that are not UTF-8.
    return f"lower({column})" if ascii_only else f"np_fold(CAST({column} AS BLOB))"


def _equal_sql(column: str, value: str, parameters: list[Any]) -> str:
    if value.isascii():
        return f"{_folded_column(column, True)} = {_bind(value.lower(), parameters)}"
    return f"{_folded_column(column, False)} = {_bind(fold(value), parameters)}"


def _equal(text: str, value: str) -> bool:
    return _plain(text) == _plain(value) if value.isascii() else fold(text) == fold(value)


def _pattern(value: str) -> str:
    """LIKE pattern (escape character ``\\``): contains, or the whole where it has * or ?."""
    literal = re.sub(r"([\\%_])", r"\\\1", value)
    if "*" in value or "?" in value:
        return literal.replace("*", "%").replace("?", "_")
    return f"%{literal}%"


def _like_sql(column: str, value: str, parameters: list[Any]) -> str:
    ascii_only = value.isascii()
    pattern = _pattern(value if ascii_only else fold(value) or "")
    subject = column if ascii_only else _folded_column(column, False)
    return f"{subject} LIKE {_bind(pattern, parameters)} ESCAPE '\\'"


def _like(text: str, value: str) -> bool:
    subject, value = (text, value) if value.isascii() else (fold(text) or "", fold(value) or "")
    pieces = [".*" if c == "*" else "." if c == "?" else re.escape(c) for c in value]
    glob = "*" in value or "?" in value
    body = "".join(pieces)
    return bool(re.fullmatch(body if glob else f".*{body}.*", subject, re.I | re.A | re.S))


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
        make = _equal_sql if self.op == "=" else _like_sql
        return make(self.column, self.value, parameters)

    def test(self, row: Row) -> bool | None:
        text = row.get(self.column)
        if text is None:
            return None
        return (_equal if self.op == "=" else _like)(text, self.value)


@dataclass(frozen=True, slots=True)
class Keyword:
    """At least one keyword equals or is like a value; never unknown."""

    op: str
    value: str

    def sql(self, parameters: list[Any]) -> str:
        make = _equal_sql if self.op == "=" else _like_sql
        inner = make("word.value", self.value, parameters)
        return f"EXISTS (SELECT 1 FROM json_each(coalesce(keywords, '[]')) AS word WHERE {inner})"

    def test(self, row: Row) -> bool | None:
        equal = _equal if self.op == "=" else _like
        return any(equal(word, self.value) for word in words_of(row))


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
            equal = _equal_sql("folder", self.value, parameters)
            below = self.value if self.value.isascii() else fold(self.value) or ""
            prefix = re.sub(r"([\\%_])", r"\\\1", below) + "/%"
            subject = "folder" if self.value.isascii() else _folded_column("folder", False)
            like = f"{subject} LIKE {_bind(prefix, parameters)} ESCAPE '\\'"
            conditions.append(f"({equal} OR {like})")
        return "(" + " AND ".join(conditions or ["folder IS NOT NULL"]) + ")"

    def test(self, row: Row) -> bool | None:
        folder = row.get("folder")
        here = self.root is None or row.get("root") == self.root
        if folder is None:
            return None if self.value and here else here and self.root is not None
        if not self.value or not here:
            return here
        plain = self.value.isascii()
        head = _plain(folder).decode("utf-8", "replace") if plain else fold(folder) or ""
        want = self.value.lower() if plain else fold(self.value)
        return head == want or head.startswith(f"{want}/")


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
