"""The description of the API: in the docs as the server tells it, every refusal a problem."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from fastapi.testclient import TestClient

ROOT = Path(__file__).resolve().parents[2]


def test_the_file_in_the_docs_is_what_the_server_tells(client: TestClient) -> None:
    written = json.loads((ROOT / "docs" / "api" / "openapi.json").read_text("utf-8"))
    assert client.get("/openapi.json").json() == written, (
        "the API has changed: run `python tools/openapi.py`, and look at what it changes in "
        "docs/api/openapi.json"
    )


def test_the_tool_finds_the_file_as_it_wrote_it() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "openapi.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_refusal_is_described_as_a_problem(client: TestClient) -> None:
    told = client.get("/openapi.json").json()
    operations = [one for path in told["paths"].values() for one in path.values()]
    assert len(operations) > 20
    for operation in operations:
        refusals = {s: a for s, a in operation["responses"].items() if s[0] in "45d"}
        assert {"400", "401", "403", "421", "422", "429", "500", "503", "default"} <= set(refusals)
        for answer in refusals.values():
            assert list(answer["content"]) == ["application/problem+json"]


def test_every_answer_has_a_shape(client: TestClient) -> None:
    told = client.get("/openapi.json").json()
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            good = {s: a for s, a in operation["responses"].items() if s.startswith("2")}
            assert good, (method, path)
            for status, answer in good.items():
                shape = answer.get("content", {}).get("application/json", {}).get("schema", {"": 0})
                assert shape, (method, path, status)
