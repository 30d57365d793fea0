"""Conversations over HTTP: turns, marks, undo, what is refused, and how many are kept."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from chat_stand_in import Answer, serving
from needlepoint.library import Library
from needlepoint.methods.dialogue import Helpers
from needlepoint.outside.endpoint import Endpoint
from needlepoint.outside.openai_chat import OpenAIChat
from needlepoint.server.talks import Kept


def begin(client: TestClient, **told: Any) -> str:
    answer = client.post("/v1/conversations", json=told)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/conversations/{answer.json()['id']}"
    return str(answer.headers["location"])


def ids(turn: dict[str, Any]) -> list[int]:
    return [hit["id"] for hit in turn["answer"]["hits"]]


def test_words_alone_rank_as_search_does(client: TestClient) -> None:
    at = begin(client, k=5)
    turn = client.post(f"{at}/turns", json={"said": "a cat"}).json()
    plain = client.get("/v1/search", params={"q": "a cat", "limit": 5}).json()
    assert turn["said"] == "a cat"
    assert turn["moved"] == {}
    rows = [(h["id"], h["score"], h["match"]) for h in turn["answer"]["hits"]]
    assert rows == [(h["id"], h["score"], h["match"]) for h in plain["hits"]]
    assert turn["answer"]["cutoff"] == plain["cutoff"]


def test_marks_move_the_ranking_and_undo_restores_it(client: TestClient) -> None:
    at = begin(client, k=7)
    first = client.post(f"{at}/turns", json={"said": "a cat"}).json()
    worst = ids(first)[-1]
    second = client.post(f"{at}/turns", json={"more": [{"id": worst, "box": [0, 0, 200, 200]}]})
    assert second.status_code == 201
    moved = second.json()
    assert moved["more"] == [{"id": worst, "box": [0, 0, 200, 200]}]
    assert moved["moved"][str(worst)] > 0
    whole = client.get(at).json()
    assert [turn["said"] for turn in whole["turns"]] == ["a cat", ""]
    assert client.delete(f"{at}/turns/last").json()["turns"] == [first]
    client.post(f"{at}/turns", json={"said": "- a cat"})
    assert len(client.get(at).json()["turns"]) == 2


REFUSED = {
    "nothing said": ({}, 400),
    "no such item": ({"more": [{"id": 999_999}]}, 400),
    "a file of the server": ({"said": "./photo-cat.jpg"}, 400),
    "a folder of the server": ({"said": "img:/etc"}, 400),
    "all pushes away": ({"said": "- a cat"}, 400),
    "a box without area": ({"more": [{"id": 1, "box": [0, 0, 0, 5]}]}, 400),
    "a box of three": ({"more": [{"id": 1, "box": [0, 0, 5]}]}, 422),
    "a box of infinity": ({"more": [{"id": 1, "box": [0, 0, 5, "inf"]}]}, 422),
    "an unknown field": ({"say": "a cat"}, 422),
    "too long": ({"said": "a" * 4001}, 422),
    "too many marks": ({"more": [{"id": 1}] * 201}, 422),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_turn_is_a_problem_and_not_kept(client: TestClient, name: str) -> None:
    told, status = REFUSED[name]
    at = begin(client)
    answer = client.post(f"{at}/turns", json=told)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert client.get(at).json()["turns"] == []


@pytest.mark.parametrize(
    "told", [{"method": "windows"}, {"method": "no-such"}, {"where": "nonsense ="}, {"k": 0}]
)
def test_a_conversation_that_cannot_be_held(client: TestClient, told: dict[str, Any]) -> None:
    answer = client.post("/v1/conversations", json=told)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def test_a_turn_may_show_a_picture_that_was_sent(client: TestClient, served_pictures: Path) -> None:
    data = (served_pictures / "photo-dogs.jpg").read_bytes()
    sent = client.post("/v1/uploads", content=data, headers={"content-type": "image/jpeg"}).json()
    at = begin(client, k=3)
    client.post(f"{at}/turns", json={"said": "a cat"})
    turn = client.post(f"{at}/turns", json={"said": f"+ {sent['question']} - a cat"})
    assert turn.status_code == 201, turn.text
    assert turn.json()["answer"]["hits"][0]["name"] == "photo-dogs.jpg"
    gone = client.post(f"{at}/turns", json={"said": 'img:"upload:nothing"'})
    assert gone.status_code == 404


def test_a_method_with_a_model_asks_and_an_answer_is_words(ask: Any) -> None:
    pytest.importorskip("openai")
    with serving([Answer("What colour is it?")]) as server:
        chat = OpenAIChat(Endpoint(server.url, "toy", retries=0))
        client = ask(helpers=Helpers(chat))
        assert client.get("/v1/info").json()["chat"] == chat.name
        at = begin(client, method="chatir", k=3)
        first = client.post(f"{at}/turns", json={"said": "a cat"}).json()
        assert (first["question"], first["understood"]) == ("What colour is it?", "a cat")
        second = client.post(f"{at}/turns", json={"said": "grey - ./x.jpg @1"}).json()
        assert second["asked"] == "What colour is it?"
        assert second["understood"] == "a cat, What colour is it? grey - ./x.jpg @1"
        assert client.get(at).json()["question"] == ""  # asked before, so not again
    third = client.post(f"{at}/turns", json={"said": "and small"}).json()
    assert third["answer"]["hits"]  # the server is gone, the conversation goes on
    assert "no question is asked" in third["answer"]["notes"][-1]


def test_a_method_without_its_model_is_503(client: TestClient) -> None:
    answer = client.post("/v1/conversations", json={"method": "plugir"})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert client.get("/v1/info").json()["chat"] is None


def test_what_is_gone_is_404(client: TestClient) -> None:
    at = begin(client)
    assert client.delete(f"{at}/turns/last").json()["type"] == "urn:needlepoint:nothing-to-undo"
    assert client.delete(at).status_code == 204
    for answer in (
        client.get(at),
        client.delete(at),
        client.post(f"{at}/turns", json={"said": "a cat"}),
        client.delete(f"{at}/turns/last"),
        client.get("/v1/conversations/%2e%2e%2fetc"),
    ):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_one_silent_longest_is_forgotten(served: Library) -> None:
    kept = Kept(most=2)
    old, other = kept.add(served.converse()), kept.add(served.converse())
    kept.get(old.id)
    new = kept.add(served.converse())
    assert kept.get(old.id) is old
    assert kept.get(new.id) is new
    with pytest.raises(Exception, match="no conversation"):
        kept.get(other.id)


def test_turns_of_one_conversation_wait_for_each_other(client: TestClient) -> None:
    at = begin(client, k=3)
    said = [f"a cat {n}" for n in range(8)]
    threads = [
        threading.Thread(target=client.post, args=(f"{at}/turns",), kwargs={"json": {"said": s}})
        for s in said
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    turns = client.get(at).json()["turns"]
    assert sorted(turn["said"] for turn in turns) == said
    for before, after in itertools.pairwise(turns):
        assert set(map(int, after["moved"])) == set(ids(after))
        new = {n for n in ids(after) if n not in ids(before)}
        assert {int(n) for n, rise in after["moved"].items() if rise is None} == new


def test_more_turns_than_may_wait_are_turned_away(ask: Any) -> None:
    client = ask(waiting=0)
    at = begin(client)
    answer = client.post(f"{at}/turns", json={"said": "a cat"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert client.get(at).json()["turns"] == []
