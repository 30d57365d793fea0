"""Lists that stay true while the library changes, and files that are where they were."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_kit import flat

from needlepoint.errors import (
    LibraryError,
    NoSuchItem,
    PictureError,
    PictureGone,
    PictureOutside,
    UsageError,
)
from needlepoint.library.browse import Shelf
from needlepoint.library.roster import Roster
from needlepoint.picture import Facts
from needlepoint.store.sqlite import SqliteStore
from store_kit import entry

MODEL = "onnx:/fake"
ORDERS = ("id", "newest", "oldest", "name")


def made(store: SqliteStore, names: list[str], taken: list[str | None]) -> list[int]:
    root = store.add_root("/pictures")
    return store.upsert(
        [
            entry(root, name, facts=Facts(64, 48, "JPEG", when))
            for name, when in zip(names, taken, strict=True)
        ]
    )


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    with SqliteStore.open(tmp_path / "library", create=True) as opened:
        yield opened


def walk(shelf: Shelf, order: str, limit: int, **more: str) -> list[int]:
    found, cursor = [], None
    while True:
        page = shelf.page(order=order, limit=limit, cursor=cursor, **more)
        found += [one.id for one in page.items]
        cursor = page.next
        if cursor is None:
            return found


@given(
    taken=st.lists(
        st.one_of(st.none(), st.dates().map(lambda d: f"{d.isoformat()}T00:00:00")),
        min_size=1,
        max_size=12,
    ),
    limit=st.integers(1, 5),
)
@settings(max_examples=25, deadline=None)
def test_pages_together_are_the_whole_list_in_order(
    tmp_path_factory: pytest.TempPathFactory, taken: list[str | None], limit: int
) -> None:
    with SqliteStore.open(tmp_path_factory.mktemp("lib"), create=True) as store:
        names = [f"{'aB'[i % 2]}{i % 3}/{'xY'[i % 2]}{i}.jpg" for i in range(len(taken))]
        ids = made(store, names, taken)
        shelf, when = Shelf(store, Roster(store)), dict(zip(ids, taken, strict=True))
        last = dict(zip(ids, (n.rpartition("/")[2].lower() for n in names), strict=True))
        assert walk(shelf, "id", limit) == ids
        assert walk(shelf, "name", limit) == sorted(ids, key=lambda i: (last[i], i))
        assert walk(shelf, "oldest", limit) == sorted(
            ids, key=lambda i: (when[i] is None, when[i] or "", i)
        )
        dated = sorted((i for i in ids if when[i]), key=lambda i: (when[i], -i), reverse=True)
        assert walk(shelf, "newest", limit) == dated + [i for i in ids if not when[i]]
        assert shelf.page(limit=1).total == len(ids)


@pytest.mark.parametrize("order", ORDERS)
def test_a_list_stays_true_while_pictures_come_and_go(store: SqliteStore, order: str) -> None:
    days = [f"2020-01-{i % 9 + 1:02}T00:00:00" for i in range(20)]
    ids = made(store, [f"{i:02}.jpg" for i in range(20)], days)
    shelf = Shelf(store, Roster(store))
    first = shelf.page(order=order, limit=8)
    seen = [one.id for one in first.items]
    rest = [i for i in walk(shelf, order, 100) if i not in seen]
    store.mark_missing([seen[0], seen[-1], rest[1]])  # the last seen is where the next page begins
    made(store, ["new.jpg"], ["2020-01-05T12:00:00"])
    cursor, later = first.next, []
    while cursor is not None:
        page = shelf.page(order=order, limit=5, cursor=cursor)
        later += [one.id for one in page.items]
        cursor = page.next
    rest.pop(1)
    assert [i for i in later if i in ids] == rest
    assert len(later) == len(set(later))
    assert shelf.page(limit=1).total == 18


def test_a_list_may_be_filtered_and_tells_its_total(store: SqliteStore) -> None:
    days = [f"{2018 + i % 3}-01-01T00:00:00" for i in range(9)]
    ids = made(store, [f"{i}.jpg" for i in range(9)], days)
    shelf = Shelf(store, Roster(store))
    assert walk(shelf, "oldest", 2, where="year = 2019") == [ids[1], ids[4], ids[7]]
    assert shelf.page("year = 2019", limit=1).total == 3
    assert shelf.page("  ", limit=1).total == 9
    assert shelf.page("year = 1900").items == []
    one = shelf.page("name = 3.jpg").items[0]
    assert (one.path, one.name, one.width, one.taken) == (
        os.path.join("/pictures", "3.jpg"), "3.jpg", 64, days[3],
    )  # fmt: skip


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "bnVsbA", "W10", "WyJpZCJd", "WyJpZCIsInkiXQ", "WyJpZCIsMWUzMF0", "===="],
)
def test_a_cursor_that_no_list_gave_is_refused(store: SqliteStore, cursor: str) -> None:
    made(store, ["a.jpg"], [None])
    with pytest.raises(UsageError):
        Shelf(store, Roster(store)).page(cursor=cursor)


def test_a_cursor_of_another_order_is_refused(store: SqliteStore) -> None:
    made(store, ["a.jpg", "b.jpg"], [None, None])
    cursor = Shelf(store, Roster(store)).page(limit=1, order="name").next
    with pytest.raises(UsageError, match="keep the order"):
        Shelf(store, Roster(store)).page(cursor=cursor, order="newest")
    for limit in (0, 5001):
        with pytest.raises(UsageError, match="limit"):
            Shelf(store, Roster(store)).page(limit=limit)


def test_names_that_are_not_utf8_can_be_listed(store: SqliteStore) -> None:
    made(store, [os.fsdecode(b"caf\xe9.jpg")], [None])
    for order in ORDERS:
        (one,) = Shelf(store, Roster(store)).page(order=order).items
        assert one.path.encode().endswith("caf\ufffd.jpg".encode())


def test_places_are_those_of_pictures_that_have_one(store: SqliteStore) -> None:
    root = store.add_root("/p")
    here = Facts(9, 9, "PNG", lat=48.2, lon=16.4)
    ids = store.upsert([entry(root, "a.png", facts=here), entry(root, "b.png")])
    assert Shelf(store, Roster(store)).places() == [(ids[0], 48.2, 16.4)]
    assert Shelf(store, Roster(store)).places("name = b.png") == []


def test_vectors_of_wholes_come_in_order_of_id_without_the_gone(indexed) -> None:
    store = indexed._store
    space = store.spaces()[0]
    ids, vectors = store.wholes(space)
    assert ids.tolist() == sorted(store.described(space.id).tolist())
    rows = store.fetch_vectors(ids.tolist(), space.id)
    np.testing.assert_array_equal(vectors, np.stack([rows[i].whole for i in ids.tolist()]))
    some, few = store.wholes(space, ids[2:5])
    np.testing.assert_array_equal(some, ids[2:5])
    np.testing.assert_array_equal(few, vectors[2:5])
    none, nothing = store.wholes(space, ids[:0])
    assert none.shape == (0,)
    assert nothing.shape == (0, space.dim)


# -- files


@pytest.fixture
def world(open_library, fake, tmp_path: Path):
    flat(tmp_path / "p" / "a.png", 1)
    flat(tmp_path / "p" / "b.png", 2)
    flat(tmp_path / "secret" / "c.png", 3)
    library = open_library()
    library.index(tmp_path / "p", model=MODEL)
    return library.shelf, tmp_path


def test_a_picture_is_read_where_it_lies(world) -> None:
    shelf, folder = world
    file = shelf.locate(1)
    assert (file.path, file.inside, file.unchanged) == (
        os.path.realpath(folder / "p" / "a.png"), True, True,
    )  # fmt: skip
    assert shelf.read(file).size == (40, 30)
    with pytest.raises(NoSuchItem, match="@9"):
        shelf.locate(9)


def test_a_picture_that_is_away_is_said_to_be_gone(world) -> None:
    shelf, folder = world
    file = shelf.locate(1)
    (folder / "p" / "a.png").unlink()
    with pytest.raises(PictureGone):
        shelf.locate(1)
    with pytest.raises(PictureGone):
        shelf.read(file)
    (folder / "p").rename(folder / "away")
    with pytest.raises(PictureGone):
        shelf.locate(2)


def test_what_became_something_else_is_not_read(world) -> None:
    shelf, folder = world
    path = folder / "p" / "a.png"
    path.write_bytes(b"no picture")
    assert not shelf.locate(1).unchanged
    with pytest.raises(PictureError, match="not a picture"):
        shelf.read(shelf.locate(1))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(PictureError, match="pipe"):
        shelf.locate(1)


@pytest.mark.parametrize("what", ["picture", "text"])
def test_a_link_swapped_in_that_leads_outside_is_refused(world, what: str) -> None:
    shelf, folder = world
    path = folder / "p" / "a.png"
    target = folder / "secret" / "c.png"
    if what == "text":
        target.write_bytes(b"root:x:0:0" + bytes(path.stat().st_size - 10))
    path.unlink()
    os.symlink(target, path)
    file = shelf.locate(1)
    assert not file.inside
    with pytest.raises(PictureOutside) as told:
        shelf.read(file)
    assert "secret" not in str(told.value)


def test_of_what_lies_outside_not_even_the_kind_is_told(world) -> None:
    shelf, folder = world
    path = folder / "p" / "a.png"
    path.unlink()
    os.symlink("/dev/zero", path)
    with pytest.raises(PictureOutside) as told:
        shelf.locate(1)
    assert "device" not in str(told.value)


def test_a_link_that_was_indexed_as_such_is_followed_while_it_leads_to_the_same(
    open_library, fake, tmp_path: Path
) -> None:
    target = flat(tmp_path / "elsewhere" / "c.png", 3)
    flat(tmp_path / "p" / "a.png", 1)
    os.symlink(tmp_path / "elsewhere", tmp_path / "p" / "link")
    library = open_library()
    library.index(tmp_path / "p", model=MODEL)
    number = library.shelf.page("name = c.png").items[0].id
    assert library.shelf.read(library.shelf.locate(number)).size == (40, 30)
    flat(target, 4)
    with pytest.raises(PictureOutside):
        library.shelf.read(library.shelf.locate(number))


def test_a_library_seen_from_inside_a_folder_lists_no_other(open_library, fake, tmp_path) -> None:
    flat(tmp_path / "p" / "in" / "a.png", 1)
    flat(tmp_path / "p" / "b.png", 2)
    library = open_library()
    library.index(tmp_path / "p", model=MODEL)
    inside = library.within([tmp_path / "p" / "in"])
    assert [one.name for one in inside.shelf.page().items] == ["a.png"]
    assert inside.shelf.page().total == 1
    assert inside.shelf.cache is None
    with pytest.raises(NoSuchItem):
        inside.shelf.locate(library.shelf.page("name = b.png").items[0].id)
    space = inside._store.spaces()[0]
    assert len(inside._store.wholes(space)[0]) == 1
    with pytest.raises(LibraryError):
        inside._store.set_meta("x", "y")
