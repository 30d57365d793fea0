"""Who may ask the server, and what every answer carries."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from server_kit import Ask

from needlepoint.server.armour import HEADERS
from needlepoint.server.security import host_name

TOKEN = "a-token-of-some-length"


def slug(answer: object) -> str:
    told = answer.json()  # type: ignore[attr-defined]
    assert answer.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    assert told["status"] == answer.status_code  # type: ignore[attr-defined]
    return str(told["type"]).removeprefix("urn:needlepoint:")


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/search?q=cat", "/static/index.html", "/nowhere", "/v1/search", "/v1/items/999999"],
)
def test_every_answer_binds_the_browser(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert len(answer.headers["x-request-id"]) == 16
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cache-control"] in ("no-store", "no-cache")


def test_a_fault_tells_nothing(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = ask()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("/secret/place")

    monkeypatch.setattr("needlepoint.library.core.Library.info", broken)
    answer = client.get("/v1/info")
    assert answer.status_code == 500
    assert slug(answer) == "fault"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.json()["request"] == answer.headers["x-request-id"]
    assert answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "name",
    ["evil.example", "127.0.0.1.evil.example", "user@localhost", "local host", "", "10.0.0.7"],
)
def test_other_names_are_refused(client: TestClient, name: str) -> None:
    answer = client.get("/v1/info", headers={"host": name})
    assert answer.status_code == 421
    assert slug(answer) == "wrong-host"


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:9", "[::1]:8417", "127.0.0.1", "127.9.9.9"]
)
def test_names_of_this_machine_are_its_own(client: TestClient, name: str) -> None:
    assert client.get("/v1/search?q=cat", headers={"host": name}).status_code == 200


def test_a_server_for_others_answers_to_addresses_and_given_names(ask: Ask) -> None:
    client = ask(host="0.0.0.0", token=TOKEN, hosts=("nas.home",))
    let_in = {"authorization": f"Bearer {TOKEN}"}
    for name, status in (("nas.home:1", 200), ("192.168.1.5", 200), ("other.home", 421)):
        answer = client.get("/v1/search?q=cat", headers={"host": name, **let_in})
        assert answer.status_code == status


def test_host_names_are_read_strictly() -> None:
    read = {"a:1": "a", "A.": "a", "[::1]": "::1", "a:b": "", "a/b": "", "[::1": "", "a?b": ""}
    assert {given: host_name(given) for given in read} == read


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer \xff"},
        {"cookie": f"needlepoint-8417={TOKEN}"},
        {"cookie": "needlepoint-8417="},
        {"cookie": "a=\x01;;;"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/info", "/", "/static/index.html", "/nowhere", "/v1/items/1"])
def test_without_the_token_nothing_is_told(ask: Ask, path: str, headers: dict[str, str]) -> None:
    answer = ask(token=TOKEN).get(
        path, headers={k: v.encode("latin-1") for k, v in headers.items()}
    )
    assert answer.status_code == 401
    assert slug(answer) == "no-token"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_token_opens(ask: Ask) -> None:
    client = ask(token=TOKEN)
    answer = client.get("/v1/search?q=cat", headers={"authorization": f"bearer {TOKEN}"})
    assert answer.status_code == 200


def test_a_browser_gets_a_cookie_for_the_token(ask: Ask) -> None:
    client = ask(token=TOKEN)
    assert client.get("/?token=wrong").status_code == 401
    assert client.get(f"/v1/info?token={TOKEN}").status_code == 401
    entry = client.get(f"/?token={TOKEN}")
    assert (entry.status_code, entry.headers["location"]) == (303, "/")
    linked = client.get("/", params={"q": "a cat & dog", "token": TOKEN})
    assert linked.headers["location"] == "/?q=a+cat+%26+dog"
    cookie = entry.headers["set-cookie"]
    assert TOKEN not in cookie
    for mark in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert mark in cookie
    assert client.get("/").status_code == 200
    assert client.get("/v1/search?q=cat").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://[::1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_change_nothing(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/v1/uploads", content=b"x", headers=headers)
    assert answer.status_code == 403
    assert slug(answer) == "foreign-site"


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "http://127.0.0.1:8417", "sec-fetch-site": "same-origin"}],
)
def test_the_page_and_programs_may_send(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/v1/uploads", content=b"x", headers=headers).status_code == 415


def test_other_sites_read_nothing_but_may_link_here(client: TestClient) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    assert client.get("/v1/search?q=cat", headers=foreign).status_code == 403
    linked = {**foreign, "sec-fetch-mode": "navigate"}
    assert client.get("/?q=cat", headers=linked).status_code == 200
    assert client.get("/v1/search?q=cat", headers=linked).status_code == 403


def test_an_address_names_all_its_methods(client: TestClient) -> None:
    answer = client.put("/v1/index/jobs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert "GET, POST" in answer.json()["detail"]


def test_there_is_no_sharing_across_origins(client: TestClient) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = client.options("/v1/search", headers=asked)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]
