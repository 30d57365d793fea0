"""What a server tells of itself: health, figures, what it holds and allows."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from server_kit import Ask

from needlepoint.errors import ModelUnavailable
from needlepoint.library import Library
from needlepoint.where import FIELDS

LONG = 30.0


def figures(client: TestClient) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_figures_count_by_route_never_by_address(client: TestClient) -> None:
    client.get("/v1/search?q=cat")
    client.get("/v1/search?q=dog")
    for number in (1, 2, 999_999):
        client.get(f"/v1/items/{number}")
    client.get("/nowhere/at/all")
    client.get("/v1/info", headers={"host": "evil.example"})
    told = figures(client)
    assert told["needlepoint_requests_total", "/v1/search", "200"] == 2
    assert told["needlepoint_requests_total", "/v1/items/{number}", "200"] == 2
    assert told["needlepoint_requests_total", "/v1/items/{number}", "404"] == 1
    assert told["needlepoint_requests_total", "other", "404"] == 1
    assert told["needlepoint_requests_total", "other", "421"] == 1
    assert told["needlepoint_request_seconds_count", "/v1/search"] == 2
    assert told["needlepoint_batch_questions_sum",] == 2
    for stage in ("wait", "encode", "filter", "search", "facts"):
        assert told["needlepoint_stage_seconds_count", stage] == 2
    assert told["needlepoint_models",] >= 1
    assert told["needlepoint_waiting",] == told["needlepoint_rejected_total",] == 0
    assert told["needlepoint_process_resident_memory_bytes",] > 0


def test_servers_in_one_process_count_apart(ask: Ask) -> None:
    one, other = ask(), ask()
    one.get("/v1/search?q=cat")
    assert ("needlepoint_requests_total", "/v1/search", "200") in figures(one)
    assert ("needlepoint_requests_total", "/v1/search", "200") not in figures(other)


def test_models_are_warmed_let_go_and_loaded_again(ask: Ask, served: Library) -> None:
    served.release()
    client = ask(idle_seconds=3600.0)
    shared = client.app.state.shared  # type: ignore[attr-defined]
    until(lambda: served.loaded == ["builtin"])
    shared.rest()
    assert served.loaded == ["builtin"]
    shared.used -= 3601.0
    shared.rest()
    until(lambda: not served.loaded)
    assert figures(client)["needlepoint_models",] == 0
    assert client.get("/v1/search?q=cat").json()["hits"]
    assert served.loaded == ["builtin"]


def test_looking_is_no_use(client: TestClient) -> None:
    shared = client.app.state.shared  # type: ignore[attr-defined]
    client.get("/v1/search?q=cat")
    used = shared.used
    client.get("/healthz")
    client.get("/metrics")
    assert shared.used == used


def test_health(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "waiting": 0}
    monkeypatch.setattr("needlepoint.server.gate.Gate.__len__", lambda _: 64)
    assert client.get("/healthz").json() == {"status": "busy", "waiting": 64}


def test_info_tells_what_may_be_asked(ask: Ask, served: Library) -> None:
    told = ask(read_only=True, waiting=7).get("/v1/info").json()
    assert told["pictures"] == 12
    assert told["models"] == served.models()
    assert (told["read_only"], told["fetch"], told["limits"]["waiting"]) == (True, False, 7)
    assert told["fields"] == list(FIELDS)
    assert "dense" in told["methods"]["search"]
    assert "feedback" in told["methods"]["interactive"]


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_server_that_cannot_warm_up_is_up(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(_: Library) -> None:
        raise ModelUnavailable("hf:someone/model is not on this machine")

    monkeypatch.setattr(Library, "warm", missing)
    client = ask()
    assert client.get("/v1/search?q=cat").status_code == 200
    assert "not warmed up: hf:someone/model is not on this machine" in caplog.text


def test_a_read_only_server_writes_nothing(
    ask: Ask, served_folder: Path, tmp_path: Path, served_pictures: Path
) -> None:
    folder = tmp_path / "library"
    shutil.copytree(served_folder, folder)
    before = tree(folder)
    with Library.open(folder, read_only=True) as library:
        client = ask(library, read_only=True)
        (hit, *_) = client.get("/v1/search?q=cat").json()["hits"]
        assert client.get(f"/v1/items/{hit['id']}/thumb").status_code == 200
        assert client.get("/v1/facets").status_code == 200
        wish = {"sources": [str(served_pictures)]}
        assert client.post("/v1/index/jobs", json=wish).status_code == 403
        assert client.put("/v1/saved/cats", json={"q": "cat"}).status_code == 403
        assert tree(folder) == before


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but SQLite's note of who is reading."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in files if not path.name.endswith("-shm")}
