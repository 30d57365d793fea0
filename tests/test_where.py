"""The filter language: meaning over rows, in SQL and in Python, and what is refused."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from needlepoint.errors import UsageError
from needlepoint.where import FIELDS, compile_where
from needlepoint.where_terms import haversine

COLUMNS = ("root", *FIELDS)

MUNICH = {
    "path": "Trips/2020/Müller & Co/img_1.JPG", "folder": "Trips/2020/Müller & Co",
    "name": "img_1.JPG", "format": "jpeg", "width": 4000, "height": 3000,
    "orientation": "landscape", "taken": "2020-05-31T18:30:15", "date": "2020-05-31",
    "year": 2020, "month": 5, "day": 31, "camera": "Google Pixel 7", "lens": None,
    "size": 2_500_000, "lat": 48.137, "lon": 11.575, "rating": 4,
    "keywords": json.dumps(["Beach", "old town", "100%"]),
}  # fmt: skip
BARE = {
    "path": "scan.png", "folder": "", "name": "scan.png", "format": "png", "width": 600,
    "height": 800, "orientation": "portrait", "taken": None, "date": None, "year": None,
    "month": None, "day": None, "camera": None, "lens": None, "size": 999, "lat": None,
    "lon": None, "rating": None, "keywords": "[]",
}  # fmt: skip
NEW_YEAR = {
    **BARE, "path": "trips/2020b/x_y.png", "folder": "trips/2020b", "name": "x_y.png",
    "taken": "2021-01-01T00:00:00", "date": "2021-01-01", "year": 2021, "month": 1, "day": 1,
    "camera": "Canon EOS R5", "lens": "RF 50mm", "width": 800, "height": 800,
    "orientation": "square", "size": 2_000_000, "lat": -33.9, "lon": 179.9, "rating": 0,
    "keywords": json.dumps(["beachball"]),
}  # fmt: skip
ROWS = [MUNICH, BARE, NEW_YEAR]


def database(rows: list[dict[str, Any]]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.create_function("np_haversine", 4, haversine, deterministic=True)
    connection.execute(f"CREATE TABLE pictures ({', '.join(COLUMNS)})")
    for number, row in enumerate(rows):
        values = [{"root": 1, **row, "id": number}.get(c) for c in COLUMNS]
        connection.execute(f"INSERT INTO pictures VALUES ({', '.join('?' * len(values))})", values)
    return connection


def select(connection: sqlite3.Connection, expr: str, **options: Any) -> list[int]:
    compiled = compile_where(expr, **options)
    rows = connection.execute(
        f"SELECT id FROM pictures WHERE ({compiled.sql}) ORDER BY id", compiled.parameters
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("expr", "found"),
    [
        ("year >= 2020", [0, 2]),
        ("year = 2020", [0]),
        ("year == 2020", [0]),
        ("year != 2020", [2]),
        ("year <> 2020", [2]),
        ("not year = 2020", [2]),
        ("year < 2021 or year is null", [0, 1]),
        ("camera ~ Pixel", [0]),
        ("camera ~ 'pixel 7'", [0]),
        ('camera ~ "google*"', [0]),
        ("camera ~ '*R?'", [2]),
        ("camera !~ pixel", [2]),
        ("camera = 'google pixel 7'", [0]),
        ("camera in (x, 'canon eos r5')", [2]),
        ("camera not in (x, 'canon eos r5')", [0]),
        ("lens is null", [0, 1]),
        ("lens is not null", [2]),
        ("has(lens)", [2]),
        ("format = jpg", [0]),
        ("format in (JPEG, png)", [0, 1, 2]),
        ("path ~ '*.png'", [1, 2]),
        ("path ~ MÜLLER", [0]),
        ("path ~ 'mu\u0308ller'", [0]),
        ("path = scan.png", [1]),
        ("path = ./scan.png", [1]),
        ("name ~ '_'", [0, 2]),
        ("name = 'x_y.png'", [2]),
        ("name = 'x%y.png'", []),
        ("name = 'x*.png'", []),
        ("folder = trips/2020", [0]),
        ("folder = trips/2020/", [0]),
        ("folder = 'trips/2020/MÜLLER & CO'", [0]),
        ("folder = trips", [0, 2]),
        ("folder = trip", []),
        ("folder != trips", [1]),
        ("folder = .", [0, 1, 2]),
        ("folder ~ 2020", [0, 2]),
        ("orientation = Square", [2]),
        ("width > 1e3", [0]),
        ("width between 600 and 800", [1, 2]),
        ("width not between 600 and 800", [0]),
        ("id in (0, 2, 7)", [0, 2]),
        ("id between 1 and 2 and not id = 2", [1]),
        ("rating >= 3.5", [0]),
        ("rating = 0", [2]),
        ("size > 2MB", [0]),
        ("size >= 2 mb", [0, 2]),
        ("size < 1k", [1]),
        ("size > 2MiB", [0]),
        ("date >= 2020-05-01", [0, 2]),
        ("date = 2020-05", [0]),
        ("date = 2020", [0]),
        ("date > 2020", [2]),
        ("date <= 2020", [0]),
        ("date < 2020-05-31", []),
        ("date in (2020-05-31, 2021)", [0, 2]),
        ("date between 2020-05 and 2020-07", [0]),
        ("date = 2020-12-31 or date = 2021-1-1", [2]),
        ('taken < "2021-01-01T00:00"', [0]),
        ('taken <= "2021-01-01 00:00"', [0, 2]),
        ("taken = '2020-05-31T18:30'", [0]),
        ("taken > '2020-05-31T18:30:14'", [0, 2]),
        ("month = 5 and day = 31", [0]),
        ("keywords = beach", [0]),
        ("keywords ~ beach", [0, 2]),
        ("keywords ~ 'beach*'", [0, 2]),
        ("keywords != beach", [1, 2]),
        ("keywords in ('old town', x)", [0]),
        ("'OLD TOWN' in keywords", [0]),
        ("'beach' not in keywords", [1, 2]),
        ("keywords ~ '0%'", [0]),
        ("keywords is null", [1]),
        ("has(keywords)", [0, 2]),
        ("has(gps)", [0, 2]),
        ("not has(gps)", [1]),
        ("near(48.1, 11.5, 20)", [0]),
        ("not near(48.1, 11.5, 20)", [2]),
        ("near(48.1, 11.5, 900m)", []),
        ("near(-33.9, -179.9, 30)", [2]),
        ("lat < 0", [2]),
        ("(year = 2020 or year = 2021) and not camera ~ pixel", [2]),
        ("year = 2020 or year = 2021 and rating = 0", [0, 2]),
        ("NOT NOT year = 2020 AND HAS(gps)", [0]),
        ("keywords = not or name = in", []),
    ],
)  # fmt: skip
def test_meaning(expr: str, found: list[int]) -> None:
    assert select(database(ROWS), expr) == found
    compiled = compile_where(expr)
    assert [i for i, row in enumerate(ROWS) if compiled.matches({**row, "id": i})] == found


def test_absolute_folders_and_paths_find_their_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    roots = {"/home/me/Pictures": 1, "/disk": 2}
    rows = [{**MUNICH, "root": 1}, {**BARE, "root": 1}, {**BARE, "root": 2}]
    for expr, found in [
        ("folder = /home/me/Pictures", [0, 1]),
        ("folder = ~/Pictures/trips", [0]),
        ("folder = /home", [0, 1]),
        ("folder = /", [0, 1, 2]),
        ("folder = /home/me/Pict", []),
        ("folder != /home/me/Pictures", [2]),
        ("folder = /elsewhere", []),
        ("path = /disk/scan.png", [2]),
        ("path = /disk", []),
    ]:
        assert select(database(rows), expr, roots=roots) == found, expr
        compiled = compile_where(expr, roots=roots)
        assert [i for i, row in enumerate(rows) if compiled.matches(row)] == found, expr


@pytest.mark.parametrize(
    ("expr", "position", "told"),
    [
        ("camra = x", 1, "did you mean 'camera'"),
        ("year", 5, "after a field comes"),
        ("year 2020", 6, "after a field comes"),
        ("year >", 7, "value is missing"),
        ("year > abc", 8, "year is a number"),
        ("year > 1e999", 8, "finite"),
        ("width > 2MB", 9, "width is a number"),
        ("size > 2XB", 8, "2MB"),
        ("(year=3", 8, "( is not closed"),
        ("year=3)", 7, ") has no ("),
        ("year=3 and", 11, "condition is missing"),
        ("year = 3 or or x=2", 16, "after a field"),
        ("= 3", 1, "begins with a field"),
        ("not", 4, "condition is missing"),
        ("camera = 'x", 10, "quote is not closed"),
        ("camera = a b", 12, "quote a value"),
        ("camera in ()", 12, "value is missing"),
        ("camera in (a", 13, "not closed"),
        ("camera < x", 8, "camera is text"),
        ("year ~ 3", 6, "year is not text"),
        ("year is 3", 9, "null or not null"),
        ("orientation = landscap", 15, "did you mean 'landscape'"),
        ("near(100, 2, 3)", 6, "latitude"),
        ("near(1, 200, 3)", 9, "longitude"),
        ("near(1, 2, 0)", 12, "above 0 km"),
        ("near(1, 2)", 10, "three numbers"),
        ("date = 2020-13", 8, "no such date"),
        ("date = 2021-02-29", 8, "no such date"),
        ("date = soon", 8, "2020-05-31"),
        ("date > '2020-01-01T10:00'", 8, "use taken"),
        ("has(foo)", 5, "no field is called 'foo'"),
        ("'x' in camera", 5, "keywords"),
        ("width between 5 and 3", 15, "smaller value first"),
        ("date between 2021 and 2020", 14, "smaller value first"),
        ("year = 3; drop table pictures", 11, "and, or"),
    ],
)
def test_refusals_point_at_the_place(expr: str, position: int, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        compile_where(expr)
    message, line, caret = str(caught.value).split("\n")
    assert told in message
    assert f"(at position {position})" in message
    assert line == "  " + expr
    assert caret.index("^") == 2 + position - 1


@pytest.mark.parametrize(
    "expr",
    [
        "",
        "  ",
        "x" * 5000,
        "year = 1\0",
        " or ".join(["year=1"] * 301),
        "(" * 300 + "year=1" + ")" * 300,
    ],
)
def test_limits(expr: str) -> None:
    with pytest.raises(UsageError):
        compile_where(expr)


def test_the_longest_filter_allowed_runs() -> None:
    connection = database(ROWS)
    names = ",".join(["ab"] * 299)
    assert select(connection, f"not keywords in ({names})") == [0, 1, 2]
    assert select(connection, " or ".join(["year=2020"] * 290)) == [0]
    nested = "(" * 26 + "year=2020" + ")" * 26
    assert select(connection, "not " * 24 + nested) == [0]


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        ((0, 0), (0, 180), 20015.1),
        ((48.137, 11.575), (52.52, 13.405), 504.4),
        ((0, 179.9), (0, -179.9), 22.24),
        ((90, 0), (90, 123), 0.0),
    ],
)
def test_haversine(one: tuple[float, float], other: tuple[float, float], km: float) -> None:
    assert haversine(*one, *other) == pytest.approx(km, abs=0.1)
    assert haversine(None, 1, 2, 3) is None
