"""The chat client against a real local server: what it sends, and every way a server can fail."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from chat_stand_in import BROKEN, BUSY, CUT, HANG, HTML, REFUSED, Answer, StandIn, serving
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.outside.chat import Message, shown
from needlepoint.outside.endpoint import KEY, Endpoint
from needlepoint.outside.openai_chat import OpenAIChat

pytest.importorskip("openai")

ASK = [Message("system", "be brief"), Message("user", "hello")]
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (KEY, "OPENAI_API_KEY", "OPENAI_ORG_ID", "NEEDLEPOINT_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def chat(server: StandIn, **options: float) -> OpenAIChat:
    return OpenAIChat(Endpoint(server.url, "toy", **options), price=(1.0, 2.0))


def test_what_is_sent_and_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "another's")
    monkeypatch.setenv("OPENAI_ORG_ID", "mine")
    with serving([Answer(" hi \n")]) as server:
        model = chat(server)
        assert model.reply(ASK, temperature=0.5, most=32) == "hi"
        (asked,), (headers,) = server.asked, server.headers
    assert asked == {
        "model": "toy",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hello"},
        ],
        "temperature": 0.5,
        "max_tokens": 32,
    }
    assert headers["authorization"] == "Bearer secret"
    assert "openai-organization" not in headers
    assert model.name == f"openai:{server.url}#toy"
    spent = model.spent
    assert (spent.calls, spent.tokens_in, spent.tokens_out) == (1, 10, 3)
    assert spent.cost == pytest.approx(16e-6)
    assert "1 calls" in str(spent)


def test_a_key_goes_to_nobody_but_its_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "precious")
    with serving([Answer("hi")]) as server:
        chat(server).reply(ASK)
        assert "precious" not in str(server.headers)


def test_pictures_are_data_urls_without_what_files_say() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (500, 1000, 3), dtype=np.uint8)
    data = shown(pixels, 256)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (256, 128), {})
    with serving([Answer("a duck")]) as server:
        chat(server).reply([Message("user", "what is it?", (data,))])
        text, picture = server.asked[0]["messages"][0]["content"]
    assert text == {"type": "text", "text": "what is it?"}
    head, _, body = picture["image_url"]["url"].partition(",")
    assert (head, base64.b64decode(body)) == ("data:image/jpeg;base64", data)


def test_json_is_bound_by_schema() -> None:
    with serving([Answer('{"n": 3}')]) as server:
        assert json.loads(chat(server).reply(ASK, schema=SCHEMA)) == {"n": 3}
        bound = server.asked[0]["response_format"]
    assert bound["type"] == "json_schema"
    assert bound["json_schema"]["schema"] == SCHEMA
    assert bound["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    ("refusals", "forms"),
    [(1, ["json_schema", "json_object"]), (2, ["json_schema", "json_object", None])],
)
def test_a_server_that_refuses_schemas_is_asked_otherwise(refusals: int, forms: list) -> None:
    with serving([*[REFUSED] * refusals, Answer('```json\n{"n": 3}\n```')]) as server:
        model = chat(server)
        assert model.reply(ASK, schema=SCHEMA) == '{"n": 3}'
        model.reply(ASK, schema=SCHEMA)  # remembers
        told = [asked.get("response_format", {}).get("type") for asked in server.asked]
        assert told == [*forms, forms[-1]]
        assert json.dumps(SCHEMA) in server.asked[-1]["messages"][0]["content"]


@pytest.mark.parametrize(
    "wrong", ["", "three", '{"n": "three"}', '{"n": 3', "[]", '{"n": 3, "m": 4}', "null"]
)
def test_a_wrong_reply_is_sent_back_once(wrong: str) -> None:
    with serving([Answer(wrong), Answer('{"n": 3}')]) as server:
        assert chat(server).reply(ASK, schema=SCHEMA) == '{"n": 3}'
        assert len(server.asked) == 2
        if wrong:
            assert server.asked[1]["messages"][-2] == {"role": "assistant", "content": wrong}
            assert "cannot be used" in server.asked[1]["messages"][-1]["content"]


@pytest.mark.parametrize("schema", [None, SCHEMA])
def test_a_reply_wrong_twice_is_an_error(schema: dict | None) -> None:
    with serving([Answer("", finish="length")]) as server:
        with pytest.raises(ModelUnavailable, match="nothing usable, twice: it is empty"):
            chat(server).reply(ASK, schema=schema)
        assert len(server.asked) == 2


def test_a_busy_server_is_asked_again() -> None:
    with serving([BUSY, BROKEN, Answer("at last")]) as server:
        assert chat(server).reply(ASK) == "at last"
        assert len(server.asked) == 3


FAILURES = {
    "500 thrice": (BROKEN, "answers 500: .*boom", 3),
    "429 for ever": (BUSY, "answers 429: .*slow down", 3),
    "no JSON": (Answer(body=b"hello"), "no reply of an OpenAI-compatible", 1),
    "JSON cut short": (CUT, "no reply of an OpenAI-compatible", 1),
    "a web page": (HTML, "no chat completion", 1),
    "other JSON": (Answer(body=b'{"hello": 1}'), "no chat completion", 1),
    "a list": (Answer(body=b"[1, 2]"), "no chat completion", 1),
    "no choices": (Answer(body=b'{"choices": []}'), "no chat completion", 1),
    "null": (Answer(body=b"null"), "no chat completion", 1),
    "content of another kind": (
        Answer(body=b'{"choices": [{"message": {"content": 7}}]}'),
        "nothing usable",
        2,
    ),
    "a wrong key": (Answer(status=401, body=b"{}"), KEY, 1),
    "a forbidden one": (Answer(status=403, body=b"{}"), KEY, 1),
    "no such model": (Answer(status=404, body=b"{}"), "name of the model", 1),
    "refused": (REFUSED, "answers 400: .*not supported", 1),
    "a redirect to nowhere": (
        Answer(status=302, body=b"", headers={"location": "http://127.0.0.1:9/"}),
        "cannot be reached|answers 302",
        None,
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_every_failure_is_one_kind_of_error(name: str) -> None:
    answer, message, calls = FAILURES[name]
    with serving([answer]) as server:
        with pytest.raises(ModelUnavailable, match=message):
            chat(server).reply(ASK)
        assert calls is None or len(server.asked) == calls


def test_a_server_that_hangs_is_given_up() -> None:
    with serving([HANG]) as server, pytest.raises(ModelUnavailable, match="did not answer within"):
        chat(server, seconds=0.3, retries=0).reply(ASK)


def test_a_server_that_is_gone() -> None:
    with serving([Answer("hi")]) as server:
        model = chat(server, retries=0)
    with pytest.raises(ModelUnavailable, match="Is the server running"):
        model.reply(ASK)


def test_offline_keeps_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDLEPOINT_OFFLINE", "1")
    with pytest.raises(ModelUnavailable, match="offline is set"):
        OpenAIChat(Endpoint("http://198.51.100.7/v1", "toy"))
    with serving([Answer("hi")]) as server:
        assert chat(server).reply(ASK) == "hi"


def test_models_are_listed() -> None:
    with serving([Answer("hi")]) as server:
        assert chat(server).models() == ["toy"]


@pytest.mark.parametrize(
    "text",
    ["", "openai:", "openai:http://x", "http://x/v1#m", "openai:ftp://x#m", "openai:http://#m"],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="BASE_URL#MODEL"):
        Endpoint.parse(text)


def test_addresses_keep_odd_models() -> None:
    text = "openai:http://[::1]:8000/v1#org/model:4b@q4"
    endpoint = Endpoint.parse(text)
    assert (str(endpoint), endpoint.local) == (text, True)
    assert Endpoint.parse("openai:https://localhost.example.org/v1/#m").local is False
