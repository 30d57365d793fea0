"""What a request may weigh."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from fastapi.testclient import TestClient
from server_kit import Ask
from starlette.exceptions import HTTPException

from needlepoint.server.bounds import ADDRESS_BYTES, BODY_BYTES, HEADER_BYTES, _Body


def test_long_addresses_are_refused(client: TestClient) -> None:
    answer = client.get("/v1/info?x=" + "a" * ADDRESS_BYTES)
    assert (answer.status_code, answer.json()["type"]) == (414, "urn:needlepoint:address-too-long")


def test_the_longest_question_fits(client: TestClient) -> None:
    answer = client.get("/v1/search", params={"q": "猫" * 4000})
    assert answer.status_code == 200
    assert client.get("/v1/search", params={"q": "猫" * 4001}).status_code == 422


def test_long_headers_are_refused(client: TestClient) -> None:
    answer = client.get("/v1/info", headers={"x-long": "a" * HEADER_BYTES})
    assert (answer.status_code, answer.json()["type"]) == (431, "urn:needlepoint:headers-too-long")


@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/uploads"])
def test_bodies_are_bounded_whether_they_say_so_or_not(ask: Ask, path: str) -> None:
    client = ask(upload_bytes=1000)
    most = BODY_BYTES + 1 if path == "/v1/conversations" else 100_000

    def piecewise() -> Iterator[bytes]:
        for _ in range(0, most, 1000):
            yield b"x" * 1000

    for body in (b"x" * most, piecewise()):
        answer = client.post(path, content=body, headers={"content-type": "image/jpeg"})
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("length", ["-1", "1e3", "²", "x", "9" * 30])
def test_odd_lengths_are_refused(client: TestClient, length: str) -> None:
    headers = {"content-length": length.encode()}
    answer = client.post("/v1/uploads", content=b"x", headers=headers)
    assert answer.status_code in (400, 413)


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> dict[str, object]:
        await anyio.sleep_forever()
        return {}

    async def read() -> None:
        await _Body(never, 10, 0.01)()

    with pytest.raises(HTTPException) as told:
        anyio.run(read)
    assert told.value.status_code == 408
