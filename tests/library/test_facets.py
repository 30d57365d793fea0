"""Counts and the filters that select what was counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.library.browse import Shelf
from needlepoint.library.facets import SHOWN
from needlepoint.library.roster import Roster
from needlepoint.picture import Facts
from needlepoint.store.base import Entry, FileRecord
from needlepoint.store.sqlite import SqliteStore

ODD = [
    *("Pixel 6", "PIXEL 6", "it's", 'say "x"', "a*b?[c]", "Čas", "čas", "ČAS", "Cafe\u0301", "k"),
    *("café", "straße", "STRASSE", "ıI", "iI", "and", "not (x)", "ſs", "\u212a", " ", "%_"),
]
TEXTS = st.one_of(
    st.sampled_from(ODD),
    st.text(min_size=1, max_size=5).filter(lambda t: "\0" not in t and t.isprintable()),
)
FOLDERS = st.sampled_from(
    ["", "a", "A", "a/b", "A/b", "a/b/c", "it's", "sub", "sub/x", "SUB/x", "č/d", "Č/d", "a b"]
)
PICTURES = st.builds(
    dict,
    root=st.integers(0, 2),
    folder=FOLDERS,
    size=st.sampled_from([10, 10**5, 10**6 - 1, 3 * 10**6, 10**9]),
    width=st.sampled_from([40, 50, 60]),
    taken=st.sampled_from([None, "2020-05-03T10:00:00", "2020-06-01", "1999-12-31T23:59", "2020"]),
    camera=st.one_of(st.none(), TEXTS),
    place=st.booleans(),
    keywords=st.lists(TEXTS, max_size=4),
    rating=st.sampled_from([None, 0, 5]),
    format=st.sampled_from(["JPEG", "jpeg", "png"]),
)  # fmt: skip
FILTERS = st.sampled_from([None, "year = 2020", "not keywords = k", "width > 45", "has(camera)"])


def filled(folder: Path, pictures: list[dict]) -> SqliteStore:
    store = SqliteStore.open(folder, create=True)
    roots = [store.add_root(p) for p in ("/world/pics", "/world/pics/sub", "/other/pics")]
    store.upsert(
        [
            Entry(
                FileRecord(roots[p["root"]], f"{p['folder']}/{i}.jpg".strip("/"), p["size"], 0),
                Facts(
                    p["width"], 50, p["format"], p["taken"], p["camera"], None,
                    *((1.0, 2.0) if p["place"] else (None, None)),
                    tuple(p["keywords"]), p["rating"],
                ),
                (),
            )
            for i, p in enumerate(pictures)
        ]
    )  # fmt: skip
    return store


@given(pictures=st.lists(PICTURES, min_size=1, max_size=8), where=FILTERS)
@settings(max_examples=60, deadline=None)
def test_a_count_is_that_of_its_filter(
    tmp_path_factory: pytest.TempPathFactory, pictures: list[dict], where: str | None
) -> None:
    with filled(tmp_path_factory.mktemp("lib"), pictures) as store:
        shelf = Shelf(store, Roster(store))
        found = shelf.facets(where)
        assert found.total == shelf.page(where, limit=1).total
        for kind, values in [*found.kinds.items(), ("places", [found.places])]:
            assert len({one.where for one in values}) == len(values)
            for one in values:
                both = one.where if where is None else f"({where}) and ({one.where})"
                assert one.count == shelf.page(both, limit=1).total, (kind, one)
                assert one.count > 0 or kind == "places"


def test_spellings_that_find_each_other_one_way_only_are_counted_as_found(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "lib", create=True) as store:
        root = store.add_root("/p")
        for number, word in enumerate(("k", "k", "K", "\u212a"), 1):
            facts = Facts(9, 9, "png", camera=word, keywords=(word,))
            store.upsert([Entry(FileRecord(root, f"{number}.png", 1, 1), facts, ())])
        shelf = Shelf(store, Roster(store))
        kinds = shelf.facets().kinds
        for kind in ("cameras", "keywords"):
            assert {v.value: v.count for v in kinds[kind]} == {"k": 3, "\u212a": 4}
            for value in kinds[kind]:
                assert shelf.page(value.where).total == value.count


def test_every_value_is_counted_in_an_order_people_expect(tmp_path: Path) -> None:
    base = {
        "root": 2,
        "folder": "",
        "size": 10,
        "width": 60,
        "taken": None,
        "camera": None,
        "place": False,
        "keywords": [],
        "rating": None,
        "format": "jpeg",
    }
    pictures = [
        {**base, "folder": "b/c", "camera": "X", "taken": "2020-05-03T10:00:00", "rating": 3},
        {**base, "folder": "b", "camera": "Y", "taken": "2021-05-03T10:00:00", "rating": 5},
        {**base, "camera": "Y", "size": 2 * 10**6, "place": True, "keywords": ["sea", "Sea"]},
    ]
    with filled(tmp_path / "lib", pictures) as store:
        found = Shelf(store, Roster(store)).facets()
        told = {k: [(v.value, v.count) for v in values] for k, values in found.kinds.items()}
        other = "/other/pics"
        assert told["folders"] == [(other, 3), (f"{other}/b", 2), (f"{other}/b/c", 1)]
        assert told["cameras"] == [("Y", 2), ("X", 1)]
        assert told["years"] == [("2021", 1), ("2020", 1)]
        assert told["months"] == [("2021-05", 1), ("2020-05", 1)]
        assert told["ratings"] == [("5", 1), ("3", 1)]
        assert told["sizes"] == [("below 100 kB", 2), ("1 to 5 MB", 1)]
        assert told["keywords"] == [("Sea", 1)]
        assert found.places.count == 1
        assert not any(found.more.values())
        # and as soon as something is written, it counts
        store.mark_missing([1])
        assert [v.value for v in Shelf(store, Roster(store)).facets().kinds["years"]] == ["2021"]


def test_folders_of_one_root_are_told_by_its_name(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "lib", create=True) as store:
        root = store.add_root("/home/x/Pictures")
        files = [FileRecord(root, f"{name}/1.jpg", 1, 1) for name in ("trips", "trips/2020")]
        store.upsert([Entry(file, Facts(9, 9, "png"), ()) for file in files])
        folders = Shelf(store, Roster(store)).facets().kinds["folders"]
        assert [f.value for f in folders] == [
            "Pictures", "Pictures/trips", "Pictures/trips/2020",
        ]  # fmt: skip
        assert folders[2].where == "folder = '/home/x/Pictures/trips/2020'"


def test_what_is_too_much_is_counted_but_not_listed(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "lib", create=True) as store:
        root = store.add_root("/p")
        words = [f"w{i:03}" for i in range(SHOWN + 7)]
        facts = Facts(9, 9, "png", keywords=(*words, "x" * 5000))
        store.upsert([Entry(FileRecord(root, "a.png", 1, 1), facts, ())])
        found = Shelf(store, Roster(store)).facets()
        assert [v.value for v in found.kinds["keywords"]] == words[:SHOWN]
        assert found.more["keywords"] == 7


def test_an_empty_library_has_nothing_in_common(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "lib", create=True) as store:
        found = Shelf(store, Roster(store)).facets()
        assert found.total == found.places.count == 0
        assert not any(found.kinds.values())
        assert Shelf(store, Roster(store)).facets("year = 2020").total == 0
