"""Questions over HTTP: answers, pages, and pictures that may not be asked with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from server_kit import Ask

from needlepoint.library import Library
from needlepoint.server import rankings


def found(client: TestClient, **asked: Any) -> dict[str, Any]:
    answer = client.get("/v1/search", params=asked)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def refused(client: TestClient, **asked: Any) -> tuple[int, str, str]:
    answer = client.get("/v1/search", params=asked)
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    return answer.status_code, told["type"].removeprefix("urn:needlepoint:"), told["detail"]


def test_an_answer_is_that_of_the_library(client: TestClient, served: Library) -> None:
    told = found(client, q="2:cat - dog", limit=5)
    expected = served.search("2:cat - dog", k=5)
    assert [hit["id"] for hit in told["hits"]] == [hit.id for hit in expected]
    assert [hit["score"] for hit in told["hits"]] == [round(hit.score, 6) for hit in expected]
    assert told["cutoff"] == round(expected.cutoff or 0, 6)
    assert told["matching"] == sum(hit.match is True for hit in served.search("2:cat - dog", k=12))
    assert (told["total"], told["settled"], told["query"]) == (12, True, "2:cat - dog")
    first = told["hits"][0]
    assert first["name"] == os.path.basename(first["path"])
    assert {"taken", "lat", "lon", "box", "match", "probability", "folded"} <= set(first)
    assert [reason["part"] for reason in first["why"]] == ["2:cat", "dog"]
    summed = sum(reason["score"] * reason["weight"] for reason in first["why"])
    assert summed == pytest.approx(first["score"], abs=1e-4)
    assert {"encode", "filter", "search", "facts"} <= set(told["timings"])
    assert told["took_ms"] > 0


def test_pages_go_on_where_they_ended(client: TestClient, served: Library) -> None:
    ids: list[int] = []
    cursor = None
    while True:
        told = found(client, q="cat", limit=5, **({"cursor": cursor} if cursor else {}))
        ids += [hit["id"] for hit in told["hits"]]
        cursor = told["next"]
        if cursor is None:
            break
        assert len(told["hits"]) == 5
    assert ids == [hit.id for hit in served.search("cat", k=100)]


def test_a_cursor_belongs_to_its_question(client: TestClient) -> None:
    cursor = found(client, q="cat", limit=5)["next"]
    assert refused(client, q="dog", cursor=cursor)[:2] == (400, "bad-cursor")
    assert refused(client, q="cat", cursor=cursor, order="newest")[:2] == (400, "bad-cursor")
    for odd in ("x", "../../etc", cursor + "9" * 9, cursor.replace(".", ""), "'"):
        assert refused(client, q="cat", cursor=odd)[:2] == (400, "bad-cursor")


def test_old_rankings_are_forgotten(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rankings, "KEPT", 2)
    cursor = found(client, q="cat", limit=5)["next"]
    for question in ("dog", "cup", "car"):
        found(client, q=question)
    status, slug, detail = refused(client, q="cat", cursor=cursor)
    assert (status, slug) == (410, "cursor-gone")
    assert "ask again" in detail


def test_a_filter_and_a_least_score_limit_the_answer(client: TestClient, served: Library) -> None:
    told = found(client, q="cat", where="name ~ photo")
    assert told["total"] == 6
    assert all("photo" in hit["name"] for hit in told["hits"])
    least = told["hits"][2]["score"]
    assert found(client, q="cat", where="name ~ photo", min_score=least - 1e-6)["total"] == 3
    likely = found(client, q="cat", min_score="auto")
    assert all(hit["match"] for hit in likely["hits"])
    assert likely["total"] == likely["matching"] == len(likely["hits"])


def test_dates_order_only_what_matches(client: TestClient) -> None:
    told = found(client, q="cat", order="newest")
    assert told["total"] == told["matching"]
    dates = [hit["taken"] for hit in told["hits"] if hit["taken"]]
    assert dates == sorted(dates, reverse=True)


@pytest.mark.parametrize(
    "asked",
    [
        {"q": ""},
        {"q": "- cat"},
        {"q": "cat +"},
        {"q": '"cat'},
        {"q": "cat", "where": "nonsense"},
        {"q": "cat", "min_score": "nan"},
        {"q": "cat", "min_score": "1e999"},
        {"q": "cat", "min_score": "high"},
        {"q": "cat", "model": "hf:no/such"},
        {"q": "cat", "method": "nothing"},
        {"q": "@999999"},
        {"q": "@1#xywh=5000,5000,5,5"},
    ],
)
def test_what_cannot_be_understood_is_a_problem(client: TestClient, asked: dict[str, str]) -> None:
    status, slug, detail = refused(client, **asked)
    assert (status, slug) == (400, "usage")
    assert len(detail) > 20


@pytest.mark.parametrize(
    "asked",
    [{}, {"q": "cat", "limit": 0}, {"q": "cat", "limit": 1001}, {"q": "cat", "order": "best"}],
)
def test_what_is_not_allowed_is_named(client: TestClient, asked: dict[str, str]) -> None:
    status, slug, detail = refused(client, **asked)
    assert (status, slug) == (422, "invalid")
    assert detail.startswith("query.")


@pytest.mark.parametrize(
    "question",
    [
        "/etc/passwd",
        "/etc/hostname#xywh=0,0,9,9",
        "./photo-cat.jpg",
        "~/photo-cat.jpg",
        "../photo-cat.jpg",
        "photo-cat.jpg",
        'img:"photo-cat.jpg"',
        'img:"/proc/self/environ"',
        'img:"/dev/zero"',
        'img:"memory:00"',
        'img:"upload:"',
        "https://example.org/cat.jpg",
        "http://127.0.0.1/cat.jpg",
        "C:\\cat.jpg",
        "\\\\host\\share\\cat.jpg",
        'img:"a\x00b"',
    ],
)
def test_files_and_addresses_are_refused(client: TestClient, question: str) -> None:
    status, slug, _ = refused(client, q=question)
    assert (status, slug) in ((400, "usage"), (404, "upload-gone"))


def test_pictures_outside_the_library_are_not_told_from_none(
    client: TestClient, served_pictures: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "secret.jpg"
    shutil.copy(served_pictures / "photo-cat.jpg", outside)
    unindexed = served_pictures / "new.jpg"
    shutil.copy(outside, unindexed)
    try:
        told = [
            refused(client, q=f'img:"{path}"')
            for path in (
                outside,
                unindexed,
                tmp_path / "none.jpg",
                served_pictures / ".." / "pictures" / ".." / ".." / "secret.jpg",
            )
        ]
    finally:
        unindexed.unlink()
    assert {one[:2] for one in told} == {(400, "usage")}
    assert len({one[2].partition(" is not ")[2] for one in told}) == 1


def test_the_web_is_asked_only_where_allowed(
    ask: Ask, served_pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ask(allow_fetch=True)
    fetched: list[str] = []

    def fetch(_: object, url: str) -> bytes:
        fetched.append(url)
        return (served_pictures / "photo-cat.jpg").read_bytes()

    monkeypatch.setattr("needlepoint.intake.web.Web.fetch", fetch)
    url = "https://example.org/cat.jpg"
    assert found(client, q=url)["hits"][0]["name"] == "photo-cat.jpg"
    assert refused(ask(), q=url)[:2] == (400, "usage")
    assert fetched == [url]


def test_private_addresses_are_not_asked(ask: Ask) -> None:
    client = ask(allow_fetch=True)
    status, slug, detail = refused(client, q="http://127.0.0.1/cat.jpg + a dog")
    assert (status, slug) == (400, "usage")
    assert "never fetched" in detail


@pytest.mark.parametrize("question", [" + ".join(["a"] * 33), " + ".join(["@1#xywh=0,0,9,9"] * 9)])
def test_questions_have_a_bounded_number_of_parts(client: TestClient, question: str) -> None:
    assert refused(client, q=question)[:2] == (400, "usage")


def test_indexed_pictures_may_be_named(client: TestClient, served_pictures: Path) -> None:
    path = served_pictures / "photo-cat.jpg"
    whole = found(client, q=f'img:"{path}"')["hits"][0]
    assert (whole["name"], round(whole["score"], 3)) == ("photo-cat.jpg", 1.0)
    around = served_pictures / ".." / "pictures" / "photo-cat.jpg"
    assert found(client, q=f'img:"{around}"')["hits"][0]["name"] == "photo-cat.jpg"
    piece = found(client, q=f'img:"{path}"#xywh=percent:20,20,50,50')["hits"][0]
    assert piece["name"] == "photo-cat.jpg"


def test_names_that_are_no_text_are_told(ask: Ask, tmp_path: Path, served_pictures: Path) -> None:
    folder = os.fsencode(tmp_path / "pictures")
    os.mkdir(folder)
    shutil.copy(os.fsencode(served_pictures / "photo-cat.jpg"), folder + b"/caf\xe9.jpg")
    with Library.open(tmp_path / "library", create=True) as library:
        library.index(os.fsdecode(folder))
        (hit,) = found(ask(library), q="cat")["hits"]
    assert hit["path"].encode("utf-8", "surrogateescape").endswith(b"caf\xe9.jpg")


def test_an_empty_library_says_so(ask: Ask, tmp_path: Path) -> None:
    with Library.open(tmp_path / "library", create=True) as library:
        status, slug, detail = refused(ask(library), q="cat")
    assert (status, slug) == (400, "usage")
    assert "nothing yet" in detail


def test_a_library_that_is_deleted_is_gone_until_it_is_back(
    ask: Ask, served_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "library"
    shutil.copytree(served_folder, folder)
    with Library.open(folder) as library:
        client = ask(library)
        assert found(client, q="cat")["hits"]
        shutil.rmtree(folder)
        assert refused(client, q="cat")[:2] == (503, "library-gone")
        assert client.get("/healthz").json()["type"] == "urn:needlepoint:library-gone"
        assert client.get("/v1/items").status_code == 503
        shutil.copytree(served_folder, folder)
        assert found(client, q="cat")["hits"]
        assert client.get("/healthz").json()["status"] == "ok"


def test_two_servers_answer_from_one_library(ask: Ask, served_folder: Path) -> None:
    with Library.open(served_folder) as one, Library.open(served_folder) as other:
        first, second = found(ask(one), q="cat"), found(ask(other), q="cat")
    assert [hit["id"] for hit in first["hits"]] == [hit["id"] for hit in second["hits"]]


def test_near_duplicates_fold_where_asked(ask: Ask, tmp_path: Path, served_pictures: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for name, copy in (("photo-cat", "a"), ("photo-cat", "b"), ("photo-coffee", "c")):
        shutil.copy(served_pictures / f"{name}.jpg", tmp_path / "pictures" / f"{copy}.jpg")
    with Library.open(tmp_path / "library", create=True) as library:
        library.index(tmp_path / "pictures")
        client = ask(library)
        plain = found(client, q="cat")
        folded = found(client, q="cat", fold="true")
    assert [hit["name"] for hit in plain["hits"]] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [hit["name"] for hit in folded["hits"]] == ["a.jpg", "c.jpg"]
    assert [hit["folded"] for hit in folded["hits"]] == [[plain["hits"][1]["id"]], []]
    assert folded["total"] == 3


def test_a_change_is_answered_and_told(client: TestClient) -> None:
    asked = client.get("/v1/search", params={"q": "@1 -> in red", "limit": 3}).json()
    assert asked["told"] == [["picture", "weight 0.5"], ["words", "weight 0.5"]]
    assert 1 not in [hit["id"] for hit in asked["hits"]]
    assert [one["part"] for one in asked["hits"][0]["why"]] == ["the picture", "the words"]
    page = {"q": "@1 -> in red", "limit": 3, "cursor": asked["next"]}
    ids = [
        hit["id"] for hit in (*asked["hits"], *client.get("/v1/search", params=page).json()["hits"])
    ]
    assert len(set(ids)) == 6


def test_a_method_that_names_a_file_is_refused_wherever_it_is(client: TestClient) -> None:
    refused = client.get("/v1/search", params={"q": "@1 -> x", "method": "searle:weights=/etc"})
    assert (refused.status_code, "not for guests" in refused.json()["detail"]) == (400, True)
    talk = client.post("/v1/conversations", json={"method": "fashion_ntm:weights=/etc"})
    assert (talk.status_code, "not for guests" in talk.json()["detail"]) == (400, True)
