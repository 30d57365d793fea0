"""The collection on a plane and on the earth, over HTTP."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from server_kit import NAMES, SAMPLES, Ask

from needlepoint.library import Library, layout
from needlepoint.search.projection import project

LONG = 60.0


@pytest.fixture
def mapped(library: Library, ask: Ask) -> TestClient:
    return ask(library)


def finished(client: TestClient) -> dict:
    """The map once it is there."""
    for _ in range(int(LONG / layout.SOON)):
        answer = client.get("/v1/map")
        if answer.status_code == 200:
            return answer.json()
        assert answer.status_code == 202
        assert 0 <= answer.json()["progress"] <= 1
    raise AssertionError("the map is never made")


def test_every_picture_has_its_place(mapped: TestClient, library: Library) -> None:
    told = finished(mapped)
    assert told["ids"] == [one.id for one in library.shelf.page().items]
    assert len(told["x"]) == len(told["y"]) == len(NAMES)
    assert all(0 <= place <= 1 for place in told["x"] + told["y"])
    assert (told["space"], told["current"]) == ("builtin look", True)
    first = mapped.get("/v1/map")
    again = mapped.get("/v1/map", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_map_is_kept_until_the_pictures_change(
    mapped: TestClient, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = finished(mapped)
    library._store.set_meta("x", "y")  # a setting is no picture
    assert mapped.get("/v1/map").json() == told

    def never(*_: object, **__: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(layout, "project", never)
    for read_only in (True, False):
        with Library.open(library.path, read_only=read_only) as other:
            found = other.shelf.layouts.get()
            assert isinstance(found, layout.Layout)
            assert found.ids.tolist() == told["ids"]


def test_a_library_for_reading_gets_a_map_but_no_file(library: Library) -> None:
    with Library.open(library.path, read_only=True) as reader:
        found: layout.Layout | float = 0.0
        while isinstance(found, float):
            found = reader.shelf.layouts.get()
        assert len(found.ids) == len(NAMES)
    assert not list((library.path / "cache").glob("map-*"))


def test_while_a_new_map_is_made_the_old_one_serves(
    mapped: TestClient, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = finished(mapped)
    reached, go = threading.Event(), threading.Event()

    def held(vectors, *, progress):
        reached.set()
        assert go.wait(LONG)
        return project(vectors, progress=progress)

    monkeypatch.setattr(layout, "project", held)
    monkeypatch.setattr(layout, "REST", 0.0)
    monkeypatch.setattr(layout, "SOON", 0.01)
    (tmp_path / "more").mkdir()
    shutil.copy(SAMPLES / "photo-fig.jpg", tmp_path / "more")
    library.index(tmp_path / "more")
    library._store.mark_missing([told["ids"][0]])
    old = mapped.get("/v1/map").json()
    assert reached.wait(LONG)
    assert (old["current"], old["ids"]) == (False, told["ids"][1:])
    assert old["x"] == told["x"][1:]
    go.set()
    thread = library.shelf.layouts._thread
    if thread is not None:
        thread.join(LONG)
    new = mapped.get("/v1/map").json()
    assert new["current"]
    assert set(new["ids"]) - set(told["ids"]) == {max(new["ids"])}


def test_a_map_that_cannot_be_made_says_why(
    mapped: TestClient, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(layout, "project", broken)
    answer = mapped.get("/v1/map")
    thread = library.shelf.layouts._thread
    if thread is not None:
        thread.join(LONG)
    answer = mapped.get("/v1/map")
    assert answer.status_code == 503
    assert "MemoryError" in answer.json()["detail"]


def test_closing_the_library_stops_the_making(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, stopped = threading.Event(), threading.Event()

    def endless(vectors, *, progress):
        reached.set()
        try:
            while True:
                progress(0.5)
                stopped.wait(0.001)
        finally:
            stopped.set()

    monkeypatch.setattr(layout, "project", endless)
    monkeypatch.setattr(layout, "SOON", 0.01)
    assert isinstance(library.shelf.layouts.get(), float)
    assert reached.wait(LONG)
    library.close()
    assert stopped.is_set()


def test_a_damaged_map_is_made_anew(mapped: TestClient, library: Library) -> None:
    told = finished(mapped)
    (path,) = (library.path / "cache").glob("map-*.bin")
    data = bytearray(path.read_bytes())
    data[-20] ^= 255
    path.write_bytes(data)
    with Library.open(library.path) as other:
        layouts, found = other.shelf.layouts, 0.0
        while isinstance(found, float):
            found = layouts.get()
        assert found.ids.tolist() == told["ids"]


def test_an_empty_library_has_an_empty_map(tmp_path: Path, ask: Ask) -> None:
    with Library.open(tmp_path / "empty", create=True) as library:
        told = ask(library).get("/v1/map").json()
        assert (told["ids"], told["x"], told["y"]) == ([], [], [])


def test_places_on_the_earth(client: TestClient, served: Library) -> None:
    told = client.get("/v1/places").json()
    items = [one for one in served.shelf.page().items if one.lat is not None]
    assert told["ids"] == [one.id for one in items]
    assert told["lat"] == [one.lat for one in items]
    assert told["lon"] == [one.lon for one in items]
    assert client.get("/v1/places", params={"where": "has(gps) and year < 1900"}).json() == {
        "ids": [], "lat": [], "lon": [],
    }  # fmt: skip
    assert client.get("/v1/places?where=nonsense").status_code == 400
