"""A filter finds the same rows in SQLite as in Python, and values never become SQL."""

from __future__ import annotations

import json
import sqlite3
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.errors import UsageError
from needlepoint.where import compile_where
from needlepoint.where_terms import haversine

TEXTS = ("path", "folder", "name", "format", "camera", "lens")
NUMBERS = ("width", "height", "size", "year", "month", "day", "rating")
COLUMNS = (*TEXTS, *NUMBERS, "orientation", "taken", "date", "lat", "lon", "keywords")

letters = st.text(st.sampled_from("abAB/ß éÉ*?[]%_\\'\"İſK"), max_size=5)
any_text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=6)
words = st.one_of(letters, any_text)
moment = st.datetimes().map(lambda d: d.replace(microsecond=0).isoformat())


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


@st.composite
def row(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {name: draw(maybe(words)) for name in TEXTS}
    made.update({name: draw(maybe(st.integers(-3, 3))) for name in NUMBERS})
    made["orientation"] = draw(st.sampled_from(["landscape", "portrait", "square"]))
    made["taken"] = draw(maybe(moment))
    made["date"] = made["taken"][:10] if made["taken"] else None
    made["lat"] = draw(maybe(st.floats(-90, 90)))
    made["lon"] = draw(maybe(st.floats(-180, 180)))
    made["keywords"] = json.dumps(draw(st.lists(words, max_size=3)))
    return made


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@st.composite
def condition(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["text", "number", "date", "keyword", "near", "known", "in"]))
    if kind == "text":
        op = draw(st.sampled_from(["=", "!=", "~", "!~"]))
        return f"{draw(st.sampled_from(TEXTS))} {op} {quoted(draw(words))}"
    if kind == "number":
        op = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
        value = draw(st.one_of(st.integers(-3, 3), st.floats(-3, 3)))
        return f"{draw(st.sampled_from(NUMBERS))} {op} {value}"
    if kind == "date":
        op = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
        name = draw(st.sampled_from(["date", "taken"]))
        cuts = [4, 7, 10] if name == "date" else [4, 7, 10, 16, 19]
        return f"{name} {op} {quoted(draw(moment)[: draw(st.sampled_from(cuts))])}"
    if kind == "keyword":
        form = draw(st.sampled_from(["keywords = {}", "keywords ~ {}", "{} in keywords"]))
        return form.format(quoted(draw(words)))
    if kind == "near":
        km = draw(st.floats(0.01, 25000))
        return f"near({draw(st.floats(-90, 90))}, {draw(st.floats(-180, 180))}, {km})"
    if kind == "known":
        form = draw(st.sampled_from(["has({})", "{} is null", "{} is not null"]))
        return form.format(draw(st.sampled_from(COLUMNS)))
    name = draw(st.sampled_from([*TEXTS, "keywords"]))
    values = ", ".join(map(quoted, draw(st.lists(words, min_size=1, max_size=3))))
    return f"{name} {draw(st.sampled_from(['in', 'not in']))} ({values})"


filters = st.recursive(
    condition(),
    lambda inner: st.one_of(
        inner.map(lambda e: f"not ({e})"),
        st.tuples(inner, inner).map(lambda es: f"({es[0]}) and ({es[1]})"),
        st.tuples(inner, inner).map(lambda es: f"({es[0]}) or ({es[1]})"),
    ),
    max_leaves=5,
)


@cache
def connection() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    made.create_function("np_haversine", 4, haversine, deterministic=True)
    made.execute(f"CREATE TABLE pictures (root, {', '.join(COLUMNS)})")
    return made


@settings(max_examples=400, deadline=None)
@given(st.lists(row(), min_size=1, max_size=5), filters)
def test_sql_and_python_agree(rows: list[dict[str, Any]], expr: str) -> None:
    compiled = compile_where(expr)
    database = connection()
    database.execute("DELETE FROM pictures")
    marks = ", ".join("?" * (len(COLUMNS) + 1))
    for made in rows:
        values = [1, *(made[c] for c in COLUMNS)]
        database.execute(f"INSERT INTO pictures VALUES ({marks})", values)
    sql = f"SELECT rowid FROM pictures WHERE ({compiled.sql}) ORDER BY rowid"
    found = {r[0] for r in database.execute(sql, compiled.parameters)}
    rowids = [r[0] for r in database.execute("SELECT rowid FROM pictures ORDER BY rowid")]
    expected = {n for n, made in zip(rowids, rows, strict=True) if compiled.matches(made)}
    assert found == expected


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*TEXTS, "keywords"]), st.sampled_from(["=", "~", "!="]), words)
def test_values_are_parameters(name: str, op: str, value: str) -> None:
    compiled = compile_where(f"{name} {op} {quoted(value)}")
    left = compiled.sql
    known = ("EXISTS (SELECT 1 FROM json_each(coalesce(keywords, '[]')) AS word WHERE ",)
    for piece in (*known, "word.value GLOB ?", f"{name} GLOB ?", "folder IS NOT NULL"):
        left = left.replace(piece, "")
    assert not left.strip("NOTR() "), compiled.sql
    assert compiled.sql.count("?") == len(compiled.parameters)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), filters.map(lambda e: e[1:] + " " + e[:3])))
def test_any_text_is_a_filter_or_a_usage_error(text: str) -> None:
    try:
        compiled = compile_where(text)
    except UsageError:
        return
    connection().execute(f"SELECT * FROM pictures WHERE ({compiled.sql})", compiled.parameters)
