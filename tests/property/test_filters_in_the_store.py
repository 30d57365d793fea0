"""A filter run by the store finds the pictures for which it is true in Python, and no others."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from needlepoint.picture import Facts
from needlepoint.store.base import Entry
from needlepoint.store.sqlite import SqliteStore
from needlepoint.where import compile_where
from store_kit import entry

text = st.sampled_from(["Pixel 6", "pixel", "Straße", "50mm f/1.8", "x'y", "100%", "čekání", "A_b"])
facts = st.builds(
    Facts,
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    format=st.sampled_from(["JPEG", "PNG", "HEIF"]),
    taken=st.none() | st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat()),
    camera=st.none() | text,
    lens=st.none() | text,
    lat=st.none() | st.floats(-89, 89),
    lon=st.floats(-179, 179),
    keywords=st.lists(text, max_size=3).map(tuple),
    rating=st.none() | st.integers(0, 5),
)
names = st.sampled_from(["a.jpg", "trip/a.jpg", "trip/rome/B.JPG", "Trip 2/ž.png", "x/100%.jpg"])

atoms = st.one_of(
    st.tuples(
        st.sampled_from(["year", "month", "day", "width", "height", "rating", "lat", "lon"]),
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        st.sampled_from([0, 1, 3, 5, 12, 2000, 2500]),
    ).map(lambda t: f"{t[0]} {t[1]} {t[2]}"),
    st.tuples(
        st.sampled_from(["camera", "lens", "name", "folder", "path", "format", "keywords"]),
        st.sampled_from(["=", "!=", "~", "!~"]),
        st.sampled_from(
            ["Pixel 6", "pixel", "a.jpg", "trip", "PNG", "100%", "čekání", "*6", "s?r*"]
        ),
    ).map(lambda t: f"{t[0]} {t[1]} '{t[2]}'"),
    st.sampled_from(
        [
            "near(48.2, 16.4, 3000)",
            "orientation = landscape",
            "has(camera)",
            "date < 2000-05-01",
            "camera is null",
            "rating between 2 and 4",
            "format in (JPEG, PNG)",
        ]
    ),
)
filters = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def store() -> Iterator[SqliteStore]:
    with tempfile.TemporaryDirectory() as folder, SqliteStore.open(folder, create=True) as opened:
        opened.add_root("/pictures")
        yield opened


def row_of(one: Entry) -> dict[str, Any]:
    """The columns a filter may ask for, made without the store."""
    path, told = one.file.path, one.facts
    date = told.taken[:10] if told.taken else None
    parts = [int(part) for part in date.split("-")] if date else [None] * 3
    return {
        "path": path,
        "folder": path.rpartition("/")[0],
        "name": path.rpartition("/")[2],
        "root": one.file.root,
        "size": one.file.size,
        "format": told.format,
        "width": told.width,
        "height": told.height,
        "orientation": told.orientation,
        "taken": told.taken,
        "date": date,
        "year": parts[0],
        "month": parts[1],
        "day": parts[2],
        "camera": told.camera,
        "lens": told.lens,
        "lat": told.lat,
        "lon": told.lon,
        "rating": told.rating,
        "keywords": json.dumps(list(told.keywords), ensure_ascii=False),
    }


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(names, facts, max_size=5), st.lists(filters, min_size=1, max_size=4))
def test_the_store_and_python_agree(
    store: SqliteStore, pictures: dict[str, Facts], expressions: list[str]
) -> None:
    store.delete(store.query_facts("1", []).tolist())
    entries = [entry(1, path, facts=told) for path, told in pictures.items()]
    ids = store.upsert(entries)
    for expression in expressions:
        compiled = compile_where(expression)
        expected = [
            number
            for number, one in zip(ids, entries, strict=True)
            if compiled.matches(row_of(one))
        ]
        found = store.query_facts(compiled.sql, compiled.parameters).tolist()
        assert found == sorted(expected), expression
