"""Filters: a small language over what is known of a picture, compiled to SQL with parameters.

::

    year >= 2020 and camera ~ 'Pixel'            ~ contains; with * or ? it matches the whole
    format in (jpeg, png) and not width < 800    text ignores case
    taken between 2020-05 and 2020-07            a date of less precision is the whole period
    folder = trips/2020                          that folder and all below it
    keywords = beach or 'sea' in keywords        one of the keywords is exactly this
    size > 2MB and near(48.1, 11.5, 20)          within 20 km of a latitude and longitude
    has(gps) and rating is not null              what is known
    id in (3, 12) or id between 20 and 40        these pictures, by their numbers

Logic is that of SQL: a comparison with something unknown is unknown, ``not`` of unknown is
unknown, and only what is true is found. Keywords are never unknown, only empty.
"""

from __future__ import annotations

import math
import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from needlepoint.errors import UsageError, nearest, pointed
from needlepoint.where_terms import (
    Below,
    Join,
    Keyword,
    Known,
    Moment,
    Near,
    Not,
    Number,
    Row,
    Term,
    Text,
)

TEXTS = ("path", "folder", "name", "format", "orientation", "camera", "lens")
NUMBERS = ("id", "width", "height", "size", "year", "month", "day", "lat", "lon", "rating")
DATES = ("date", "taken")
FIELDS = (*TEXTS, *NUMBERS, *DATES, "keywords")
MAX_LENGTH, MAX_VALUES, MAX_DEPTH = 4000, 300, 50

_ORIENTATIONS = ("landscape", "portrait", "square")
_SAME_FORMAT = {"jpg": "jpeg", "jpe": "jpeg", "tif": "tiff", "heif": "heic", "jp2": "jpeg2000"}
_UNITS: dict[str, dict[str, float]] = {
    "size": {
        "": 1,
        "b": 1,
        "k": 10**3,
        "m": 10**6,
        "g": 10**9,
        "t": 10**12,
        "kb": 10**3,
        "mb": 10**6,
        "gb": 10**9,
        "tb": 10**12,
        "kib": 2**10,
        "mib": 2**20,
        "gib": 2**30,
        "tib": 2**40,
    },
    "distance": {"": 1, "km": 1, "m": 0.001},
}
_EXAMPLES = {"size": " of bytes such as 2MB or 500KiB", "distance": " of km, such as 20 or 500m"}
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_DATE = re.compile(
    r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2})"
    r"(?:[T ]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?)?)?"
)

_GRAMMAR = r"""
?start: any
any: all (OR all)*
all: _term (AND _term)*
_term: negated | group | near | has | compare | among | between | null | member
negated: NOT _term
group: "(" any ")"
compare: FIELD OP value
among: FIELD [NOT] IN "(" value ("," value)* ")"
between: FIELD [NOT] BETWEEN value AND value
null: FIELD IS [NOT] NULL
member: STRING [NOT] IN FIELD
near: NEAR "(" value "," value "," value ")"
has: HAS "(" FIELD ")"
value: (STRING | WORD) [UNIT]

AND.5: /and(?!\w)/i
OR.5: /or(?!\w)/i
NOT.5: /not(?!\w)/i
IN.5: /in(?!\w)/i
IS.5: /is(?!\w)/i
NULL.5: /null(?!\w)/i
BETWEEN.5: /between(?!\w)/i
NEAR.5: /near(?=\s*\()/i
HAS.5: /has(?=\s*\()/i
OP: /!=|<>|<=|>=|==|!~|=|<|>|~/
UNIT.4: /(?:[kmgt]?i?b|k?m)(?!\w)/i
FIELD.3: /[A-Za-z_]\w*/
STRING.6: /'(?:[^']|'')*'|"(?:[^"]|"")*"/
WORD.1: /[^\s()=!<>,'"]+/
%ignore /\s+/
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter: ``sql`` over the columns of ``pictures`` with its ``parameters``.

    ``matches`` evaluates the same condition in Python. ``near`` needs a function
    ``np_haversine(lat1, lon1, lat2, lon2)`` that gives kilometres, as the store's connections have.
    """

    sql: str
    parameters: tuple[Any, ...]
    text: str = ""
    term: Term = field(default_factory=lambda: Join("and", ()), repr=False, compare=False)

    def matches(self, row: Row) -> bool:
        """Whether a picture (mapping of column names to values) is found; unknown is not."""
        return self.term.test(row) is True


def compile_where(expr: str, *, roots: Mapping[str, int] | None = None) -> Filter:
    """Compile a filter. ``roots`` (absolute folder to id) lets ``folder`` and ``path`` be absolute.

    Raises UsageError with the position of the first thing that cannot be understood.

    >>> compile_where("year >= 2020 and format = png").parameters
    (2020, '[Pp][Nn][Gg]')
    """
    from lark.exceptions import UnexpectedInput

    if not expr.strip():
        raise UsageError("the filter is empty; write for example: year >= 2020")
    # the store keeps names that are not UTF-8 with replacement characters; so do filters
    expr = expr.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if len(expr) > MAX_LENGTH or "\0" in expr:
        raise UsageError(
            f"a filter has at most {MAX_LENGTH} characters and no NUL. Received: {len(expr)}"
        )
    try:
        tree = _parser().parse(expr)
    except UnexpectedInput as error:
        raise _explain(expr, error) from None
    term = _Reader(expr, roots).read(tree)
    parameters: list[Any] = []
    sql = term.sql(parameters)
    return Filter(sql, tuple(parameters), expr, term)


@cache
def _parser() -> Any:
    from lark import Lark

    return Lark(_GRAMMAR, start="start", parser="lalr", maybe_placeholders=True)


def _explain(text: str, error: Any) -> UsageError:
    """Say what may stand where the parser stopped."""
    position: int | None = getattr(error, "pos_in_stream", None)
    token = getattr(error, "token", None)
    expected = set(getattr(error, "accepts", None) or getattr(error, "expected", None) or ())
    expected |= set(getattr(error, "allowed", None) or ())
    ended = position is None or getattr(token, "type", "") == "$END"
    place = len(text.rstrip()) if position is None or ended else position
    here = text[place : place + 1]
    if here in ("'", '"') and getattr(token, "type", "") != "STRING":
        return pointed(f"the quote is not closed; end it with {here}", text, place)
    if "FIELD" in expected and "WORD" not in expected:
        if here.isalpha() or not here or here == ")":
            return pointed(f"a condition is missing; it begins with {_fields()}", text, place)
        return pointed(f"a condition begins with a field: {_fields()}", text, place)
    if "WORD" in expected:
        return pointed("a value is missing; quote it if it has spaces or signs", text, place)
    if "NULL" in expected and "OP" not in expected:
        return pointed("after is comes null or not null", text, place)
    if "OP" in expected:
        signs = "=, !=, <, <=, >, >=, ~, !~, in (…), between … and … or is null"
        return pointed(f"after a field comes {signs}", text, place)
    if expected == {"COMMA"}:
        return pointed("near takes three numbers: near(latitude, longitude, km)", text, place)
    if ended or (here == ")" and "RPAR" not in expected):
        side = "( is not closed; add )" if ended else ") has no ("
        return pointed(f"a {side}", text, place)
    return pointed("expected and, or; quote a value that has spaces", text, place)


def _fields() -> str:
    return f"{', '.join(FIELDS)}, near(lat, lon, km) or has(field)"


class _Reader:
    """Turns the parse tree into terms, checking fields and values."""

    def __init__(self, text: str, roots: Mapping[str, int] | None) -> None:
        self.text = text
        self.roots = roots
        self.values = 0

    def read(self, node: Any, depth: int = 0) -> Term:
        if depth > MAX_DEPTH:
            raise UsageError(f"a filter may be nested {MAX_DEPTH} deep at most")
        if node.data in ("any", "all"):
            terms = [self.read(n, depth) for n in node.children if hasattr(n, "data")]
            return (
                terms[0] if len(terms) == 1 else Join("or" if node.data == "any" else "and", terms)
            )
        if node.data == "group":
            return self.read(node.children[0], depth + 1)
        if node.data == "negated":
            return Not(self.read(node.children[1], depth + 1))
        make: Term = getattr(self, f"_{node.data}")(*node.children)
        return make

    def _field(self, token: Any, extra: tuple[str, ...] = ()) -> str:
        name = str(token).lower()
        if name not in FIELDS and name not in extra:
            problem = f"no field is called {str(token)!r}{nearest(name, (*FIELDS, *extra))}"
            known = ", ".join((*FIELDS, *extra))
            raise pointed(f"{problem}. Fields: {known}", self.text, token.start_pos)
        return name

    def _compare(self, field_token: Any, op_token: Any, value: Any) -> Term:
        op = {"<>": "!=", "==": "="}.get(op_token, str(op_token))
        if op in ("!=", "!~"):
            return Not(self._one(field_token, "=" if op == "!=" else "~", value, op_token))
        return self._one(field_token, op, value, op_token)

    def _one(self, field_token: Any, op: str, value: Any, op_token: Any) -> Term:
        name = self._field(field_token)
        self.values += 1
        if self.values > MAX_VALUES:
            raise UsageError(f"a filter may hold {MAX_VALUES} values at most")
        is_text = name in TEXTS or name == "keywords"
        if is_text and op not in ("=", "~"):
            advice = f"{name} is text; it takes =, !=, ~, !~ or in"
            raise pointed(f"{advice}. Received: {op_token}", self.text, op_token.start_pos)
        if not is_text and op == "~":
            advice = f"{name} is not text; it takes =, !=, <, <=, >, >=, in or between"
            raise pointed(f"{advice}. Received: {op_token}", self.text, op_token.start_pos)
        if name in NUMBERS:
            return Number(name, op, self._number(value, name))
        if name in DATES:
            return Moment(name, op, *self._period(value, name))
        text = self._text(value)
        if name == "keywords":
            return Keyword(op, text)
        if op == "=":
            return self._equal_text(name, text, value)
        return Text(name, op, text)

    def _equal_text(self, name: str, text: str, value: Any) -> Term:
        if name == "orientation" and text.lower() not in _ORIENTATIONS:
            names = ", ".join(_ORIENTATIONS)
            raise self._wrong(value, f"orientation is {names}{nearest(text, _ORIENTATIONS)}")
        if name == "format":
            text = _SAME_FORMAT.get(text.lower(), text)
        if name in ("path", "folder") and self.roots is not None:
            path = os.path.expanduser(text).replace(os.sep, "/")
            if posixpath.isabs(path) or re.match(r"[A-Za-z]:/", path):
                return self._absolute(name, posixpath.normpath(path))
        if name == "folder":
            folder = posixpath.normpath(text) if text.strip("./") else ""
            return Below(folder.strip("/"))
        return Text(name, "=", text.removeprefix("./") if name == "path" else text)

    def _absolute(self, name: str, path: str) -> Term:
        """The same place below each root that holds it, and the roots that lie below it."""
        terms: list[Term] = []
        for root, number in sorted((self.roots or {}).items()):
            shown = root.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            base = shown.replace(os.sep, "/").rstrip("/") + "/"
            if (path + "/").startswith(base):
                inside = (path + "/")[len(base) :].strip("/")
                here: Term = Below(inside, number)
                if name == "path":
                    here = Join("and", (Below("", number), Text("path", "=", inside)))
                terms.append(here)
            elif name == "folder" and base.startswith(path.rstrip("/") + "/"):
                terms.append(Below("", number))
        return Join("or", terms)

    def _among(self, field_token: Any, negated: Any, in_token: Any, *values: Any) -> Term:
        term = Join("or", [self._one(field_token, "=", value, in_token) for value in values])
        return Not(term) if negated is not None else term

    def _between(
        self, field_token: Any, negated: Any, word: Any, low: Any, _: Any, high: Any
    ) -> Term:
        first = self._one(field_token, ">=", low, word)
        last = self._one(field_token, "<=", high, word)
        pair = (first, last)
        if (
            isinstance(first, Number) and isinstance(last, Number) and first.value > last.value
        ) or (isinstance(first, Moment) and isinstance(last, Moment) and first.start > last.start):
            raise self._wrong(low, "between takes the smaller value first")
        return Not(Join("and", pair)) if negated is not None else Join("and", pair)

    def _null(self, field_token: Any, _: Any, negated: Any, __: Any) -> Term:
        known = Known((self._field(field_token),))
        return known if negated is not None else Not(known)

    def _member(self, string: Any, negated: Any, in_token: Any, field_token: Any) -> Term:
        if self._field(field_token) != "keywords":
            advice = "'…' in works with keywords; for text write field ~ '…'"
            raise pointed(advice, self.text, in_token.start_pos)
        term = Keyword("=", _unquote(string))
        return Not(term) if negated is not None else term

    def _near(self, _: Any, lat: Any, lon: Any, km: Any) -> Term:
        place = self._number(lat, "latitude"), self._number(lon, "longitude")
        if abs(place[0]) > 90:
            raise self._wrong(lat, "a latitude is -90 to 90 degrees")
        if abs(place[1]) > 180:
            raise self._wrong(lon, "a longitude is -180 to 180 degrees")
        distance = self._number(km, "distance")
        if distance <= 0:
            raise self._wrong(km, "a distance is above 0 km")
        return Near(float(place[0]), float(place[1]), float(distance))

    def _has(self, _: Any, field_token: Any) -> Term:
        name = self._field(field_token, ("gps",))
        return Known(("lat", "lon") if name == "gps" else (name,))

    def _text(self, value: Any) -> str:
        token, unit = value.children
        if unit is not None:
            raise pointed("quote a value that has spaces", self.text, unit.start_pos)
        return _unquote(token)

    def _number(self, value: Any, name: str) -> float:
        token, unit = value.children
        text = _unquote(token) + (unit or "")
        match = re.fullmatch(rf"({_NUMBER})\s*([a-z]*)", text, re.IGNORECASE)
        units = _UNITS.get(name, {"": 1})
        if match is None or match[2].lower() not in units:
            example = _EXAMPLES.get(name, "")
            raise self._wrong(value, f"{name} is a number{example}")
        number = float(match[1]) * units[match[2].lower()]
        if not math.isfinite(number):
            raise self._wrong(value, f"{name} compares with a finite number")
        return int(number) if number.is_integer() and abs(number) < 2**53 else number

    def _period(self, value: Any, name: str) -> tuple[str, str]:
        """First moment of the period a date literal names, and the first after it (ISO)."""
        match = _DATE.fullmatch(self._text(value))
        example = "2020, 2020-05, 2020-05-31" + ("" if name == "date" else ", 2020-05-31T18:00")
        if match is None:
            raise self._wrong(value, f"{name} compares with a date: {example}")
        year, month, day, hour, minute, second = (int(g) if g else None for g in match.groups())
        if name == "date" and hour is not None:
            raise self._wrong(value, "date has no time; use taken")
        try:
            start = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0)
        except ValueError as error:
            raise self._wrong(value, f"no such date ({error})") from None
        if hour is not None:
            form = "%Y-%m-%dT%H:%M:%S" if second is not None else "%Y-%m-%dT%H:%M"
            step = timedelta(seconds=1) if second is not None else timedelta(minutes=1)
            return _iso(start, form), _iso(start + step, form) if start.year < 9999 else "A"
        if day is not None:
            last = start.date() == date.max
            return start.date().isoformat(), (
                "A" if last else (start + timedelta(days=1)).date().isoformat()
            )
        months = start.year * 12 + start.month - 1 + (1 if month is not None else 12)
        end = "A" if months >= 120000 else f"{months // 12:04d}-{months % 12 + 1:02d}"
        return f"{start.year:04d}-{start.month:02d}", end

    def _wrong(self, value: Any, advice: str) -> UsageError:
        token = value.children[0]
        return pointed(f"{advice}. Received: {token}", self.text, token.start_pos)


def _iso(moment: datetime, form: str) -> str:
    return f"{moment.year:04d}" + moment.strftime(form.removeprefix("%Y"))


def _unquote(token: str) -> str:
    """The text of a value; a doubled quote inside quotes stands for one."""
    quote = token[:1]
    if quote in ("'", '"'):
        return str(token[1:-1].replace(quote * 2, quote))
    return str(token)
