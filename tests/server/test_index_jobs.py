"""Indexing over HTTP: started, followed, cancelled, refused."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from server_kit import SAMPLES, Ask

from needlepoint.library import Library
from needlepoint.library.jobs import Jobs
from needlepoint.server.routes import jobs as route


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """A folder of three pictures that the library does not have."""
    folder = tmp_path / "more"
    folder.mkdir()
    for name in ("photo-fig", "photo-flower", "desk-02"):
        shutil.copy(SAMPLES / f"{name}.jpg", folder)
    return folder


@pytest.fixture
def indexing(library: Library, more: Path, ask: Ask) -> TestClient:
    return ask(library, index_below=(str(more),))


def followed(client: TestClient, number: int) -> list[dict]:
    answer = client.get(f"/v1/index/jobs/{number}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [part for part in answer.text.split("\n\n") if part.startswith("event: job\n")]
    return [json.loads(part.partition("data: ")[2]) for part in events]


def test_a_job_is_started_followed_and_done(indexing: TestClient, more: Path) -> None:
    total = indexing.get("/v1/items?limit=1").json()["total"]
    answer = indexing.post("/v1/index/jobs", json={"sources": [str(more)]})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/index/jobs/{job['id']}"
    assert job["state"] == "waiting"
    events = followed(indexing, job["id"])
    assert [event["state"] for event in events][-1] == "done"
    done = [event["done"] for event in events]
    assert done == sorted(done)
    last = indexing.get(answer.headers["location"]).json()
    assert last == events[-1]
    assert (last["report"]["added"], last["done"], last["total"]) == (3, 3, 3)
    assert indexing.get("/v1/index/jobs").json()["jobs"] == [last]
    assert indexing.get("/v1/items?limit=1").json()["total"] == total + 3
    assert indexing.delete(answer.headers["location"]).json() == last


def test_what_may_not_be_indexed_is_refused_and_nothing_starts(
    indexing: TestClient, more: Path, tmp_path: Path
) -> None:
    for body, status in [
        ({"sources": ["/"]}, 403),
        ({"sources": [str(tmp_path)]}, 403),
        ({"sources": [f"{more}/../../etc"]}, 403),
        ({"sources": [f"{more}/none"]}, 400),
        ({"sources": ["relative"]}, 400),
        ({"sources": ["a\0b"]}, 400),
        ({"sources": [str(more)], "model": "onnx:/etc"}, 400),
        ({"sources": [str(more)], "workers": 99}, 422),
        ({"sources": str(more)}, 422),
        ({"sources": [""]}, 422),
        ({"sources": ["x" * 5000]}, 422),
        ({"sources": ["/x"] * 101}, 422),
        ([], 422),
    ]:
        answer = indexing.post("/v1/index/jobs", json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (
            status, "application/problem+json",
        ), body  # fmt: skip
    assert indexing.post("/v1/index/jobs", content=b"{").status_code == 422
    assert indexing.get("/v1/index/jobs").json() == {"jobs": []}


def test_jobs_that_are_not_there(indexing: TestClient) -> None:
    for path in ("/v1/index/jobs/7", "/v1/index/jobs/7/events"):
        answer = indexing.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:needlepoint:no-such-job")
    assert indexing.delete("/v1/index/jobs/7").status_code == 404
    for bad in ("0", "-1", "x", str(2**63)):
        assert indexing.get(f"/v1/index/jobs/{bad}").status_code == 422


def test_a_server_for_reading_starts_and_ends_no_job(library: Library, ask: Ask) -> None:
    client = ask(library, read_only=True)
    for answer in (
        client.post("/v1/index/jobs", json={}),
        client.delete("/v1/index/jobs/1"),
    ):
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:needlepoint:read-only"
    assert client.get("/v1/index/jobs").json() == {"jobs": []}


def test_a_follower_hears_a_heart_beat_and_goes_when_the_server_does(
    library: Library, more: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "HEART_BEAT", 0.0)
    monkeypatch.setattr(route, "LOOK", 0.01)
    jobs = Jobs(library, below=[str(more)])
    monkeypatch.setattr(jobs, "_run", lambda job: None)  # it runs and runs

    async def follow() -> list[str]:
        heard = []
        async for said in route._follow(jobs, jobs.start([str(more)])):
            heard.append(said)
            if said.startswith(":"):
                jobs._closing = True
        return heard

    heard = asyncio.run(asyncio.wait_for(follow(), 60))
    assert heard[0].startswith('event: job\ndata: {"id":1,')
    assert heard[-1] == ": still here\n\n"
