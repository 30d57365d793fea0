"""Saved searches over HTTP."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from server_kit import Ask

from needlepoint.library import Library
from needlepoint.library import saved as module


@pytest.fixture
def saving(library: Library, ask: Ask) -> TestClient:
    return ask(library)


def test_a_search_is_saved_changed_and_forgotten(saving: TestClient, library: Library) -> None:
    wish = {"q": "a red bicycle +@12", "where": "year = 2020", "order": "newest", "fold": True}
    first = saving.put("/v1/saved/My bikes", json=wish)
    assert first.status_code == 201
    told = first.json()
    when = told.pop("saved")
    assert when.endswith("+00:00")
    assert told == {
        "name": "My bikes", **wish, "min_score": None, "model": None, "method": None,
    }  # fmt: skip
    again = saving.put("/v1/saved/My bikes", json={"q": "bicycles", "min_score": "auto"})
    assert (again.status_code, again.json()["min_score"]) == (200, "auto")
    assert (
        saving.put("/v1/saved/ärger & Spaß", json={"q": "x", "min_score": 0.3}).status_code == 201
    )
    assert saving.get("/v1/saved/My bikes").json() == again.json()
    names = [one["name"] for one in saving.get("/v1/saved").json()["saved"]]
    assert names == ["My bikes", "ärger & Spaß"]
    with Library.open(library.path, read_only=True) as again_opened:  # kept with the library
        assert [one.name for one in again_opened.shelf.saved.all()] == names
    gone = saving.delete("/v1/saved/My bikes")
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (saving.get("/v1/saved/My bikes"), saving.delete("/v1/saved/My bikes")):
        assert (answer.status_code, answer.json()["type"]) == (
            404,
            "urn:needlepoint:no-such-search",
        )


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        ("x" * 201, {"q": "a"}),
        ("%20", {"q": "a"}),
        ("a%00b", {"q": "a"}),
        ("a%0Ab", {"q": "a"}),
        ("a", {}),
        ("a", {"q": "a", "order": "worst"}),
        ("a", {"q": "a", "min_score": "high"}),
        ("a", {"q": "a" * 4001}),
        ("a", {"q": "a", "more": 1}),
        ("a", ["q"]),
    ],
)
def test_what_cannot_be_saved_is_refused(saving: TestClient, name: str, wish: object) -> None:
    answer = saving.put(f"/v1/saved/{name}", json=wish)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert saving.get("/v1/saved").json() == {"saved": []}


def test_only_so_many_are_kept(saving: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    for name in "abb":
        assert saving.put(f"/v1/saved/{name}", json={"q": name}).status_code in (200, 201)
    answer = saving.put("/v1/saved/c", json={"q": "c"})
    assert (answer.status_code, "remove some" in answer.json()["detail"]) == (422, True)


def test_a_server_for_reading_saves_nothing(library: Library, ask: Ask) -> None:
    client = ask(library, read_only=True)
    for answer in (client.put("/v1/saved/a", json={"q": "a"}), client.delete("/v1/saved/a")):
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:needlepoint:read-only")


def test_a_library_that_another_process_writes_to_says_so(saving: TestClient, library) -> None:
    with Library.open(library.path) as other, other._store.writing():
        answer = saving.put("/v1/saved/a", json={"q": "a"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:needlepoint:library-busy")
    assert saving.put("/v1/saved/a", json={"q": "a"}).status_code == 201


def test_what_a_newer_version_wrote_is_left_alone(saving: TestClient, library: Library) -> None:
    newer = '[{"name": "a", "q": "b", "unknown": 1}]'
    library._store.set_meta("saved.searches", newer)
    assert saving.get("/v1/saved").status_code == 503
    assert saving.put("/v1/saved/c", json={"q": "c"}).status_code == 503
    assert library._store.get_meta("saved.searches") == newer
