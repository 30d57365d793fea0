"""What no client should send: each is a tool error with a reason, and the server goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp_kit import COMMAND, SECONDS, Caller, World, connected, serving, with_token

from needlepoint import Library
from needlepoint.cli.main import run

TRAVERSALS = (
    *(
        "../../../etc/passwd",
        "/etc/passwd",
        "/etc/passwd\x00.jpg",
        "~/.bashrc",
        "file:///etc/passwd",
    ),
    *("%2e%2e%2fetc%2fpasswd", "....//....//etc/passwd", "\\\\host\\share\\x.jpg", "C:\\x.jpg"),
    *("/proc/self/environ", "/dev/zero", "/dev/stdin", "", " ", ".", "/", "\ud800.jpg", "x" * 4096),
    *("http://127.0.0.1:1/x.jpg", "https://example.org/x.jpg", "upload:abc", "memory:abc"),
)


def _questions(paths: tuple[str, ...]) -> list[str]:
    return [f'img:"{path}"' for path in paths if path.strip()]


def _with(tool: str, name: str, values: Iterable[Any], **others: Any) -> list[Any]:
    return [(tool, {name: value, **others}) for value in values]


BAD_BOXES: tuple[Any, ...] = (
    *([], [1, 2, 3], [1] * 5, "1,2,3,4", [None] * 4, ["a"] * 4),
    *([0, 0, 0, 0], [0, 0, -5, 5], [9999, 9999, 9, 9], [1e308] * 4, {"x": 1}),
)
ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    *_with("similar_images", "path", TRAVERSALS),
    *_with("search_images", "query", _questions(TRAVERSALS)),
    *_with("search_images", "query", ("", " ", "- x", "a +", '"a', "@99999999999999")),
    *_with("search_images", "query", (None, 5, ["a"], {"a": 1}, "x" * 4001, "@" + "9" * 50)),
    *_with("search_images", "query", ("@1#xywh=nan,0,1,1", "@1#xywh=0,0,0,0", "@1#xywh=1,2")),
    *_with("search_images", "k", (0, -1, 101, 10**30, 1.5, "many", []), query="x"),
    *_with("search_images", "where", ("", "1=1", "x; drop table", "y" * 4001), query="x"),
    *_with("search_images", "where", ("(" * 300, "year >= 'x'", "name = \x00"), query="x"),
    *_with("search_images", "negative", ("a +", "@77777", "../x.jpg"), query="x"),
    *_with("search_images", "cursor", ("x", "A" * 201, 5, {}, "\x00"), query="x"),
    *_with("search_images", "thumbnails", ("all", "", 1, None), query="x"),
    *_with("search_images", "limit", (5,), query="x"),
    ("search_images", {"x" * 10_000: "x"}),
    ("search_images", {}),
    *_with("similar_images", "id", (-1, 10**30, 77777, "x", 1.5, [1])),
    *_with("similar_images", "box", (*BAD_BOXES, [-1, 0, 9, 9]), id=1),
    ("similar_images", {}),
    ("similar_images", {"id": 1, "path": "x.jpg"}),
    *_with("get_image", "id", (-1, 77777, 10**30, None, "1; ls", {})),
    *_with("get_image", "max_px", (0, 15, 1569, 10**9, "big", None), id=1),
    *_with("get_image", "box", BAD_BOXES, id=1),
    *_with("refine", "session", ("", "x", "../x", "\x00", "x" * 65, 5), said="x"),
    *_with("refine", "more", ([-1], [77777], "1", [{"id": 1, "box": [1]}], [{}], [[1]], [1] * 51)),
    *_with("refine", "said", ("", " ", "x" * 4001, 5)),
    ("refine", {}),
    ("refine", {"undo": True}),
    ("refine", {"less": [1]}),
    ("library_info", {"x": 1}),
    ("no_such_tool", {}),
    ("x" * 100_000, {}),
    ("", {}),
]


def test_there_are_many_of_them() -> None:
    assert len(ARGUMENTS) > 120


def test_each_is_a_tool_error_and_the_server_goes_on(plain: Caller, world: World) -> None:
    for name, asked in ARGUMENTS:
        said = plain.refused(name, **_sendable(asked))
        assert said.strip(), (name[:30], asked)
        assert "Error executing tool" not in said, (name[:30], asked, said)
        assert "Errno" not in said, (name[:30], asked, said)
    assert plain.told("library_info")["pictures"] == 12


def _sendable(asked: dict[str, Any]) -> dict[str, Any]:
    """Lone surrogates cannot be sent as JSON text of UTF-8; they go as what they become."""
    return json.loads(json.dumps(asked).replace("\\ud800", "\\ufffd"))


@pytest.mark.parametrize(
    "uri",
    [
        "needlepoint://item/77777", "needlepoint://item/-1", "needlepoint://item/1.5",
        "needlepoint://item/%2e%2e%2f1", "needlepoint://item/" + "9" * 400, "needlepoint://item/",
        "needlepoint://item/١", "needlepoint://item/1%00", "needlepoint://items/1",
        "file:///etc/passwd", "http://127.0.0.1:1/", "x" * 10_000,
    ],
)  # fmt: skip
def test_resources_that_are_not(plain: Caller, uri: str) -> None:
    with pytest.raises(MCPError) as caught:
        plain.do("read_resource", uri)
    assert "Traceback" not in str(caught.value)


@contextmanager
def started(world: World) -> Iterator[Any]:
    """The command with its streams in our hands; killed at the limit, so nothing waits for ever."""
    process = subprocess.Popen(
        [COMMAND, "mcp", "--library", str(world.library)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    limit = threading.Timer(SECONDS, process.kill)
    limit.start()
    try:
        yield process
    finally:
        limit.cancel()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):  # what could not be written any more
                stream.close()


def message(number: int, method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


HELLO = message(
    1,
    "initialize",
    protocolVersion="2025-06-18",
    capabilities={},
    clientInfo={"name": "raw", "version": "1"},
)
READY = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


def test_rubbish_on_stdin_ends_nothing_and_stdout_stays_clean(world: World) -> None:
    box = b"[NaN, -Infinity, 1e999, 1]"
    call = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%s","arguments":%s}}'
    lines = (
        b"not json",
        b"",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"jsonrpc":"2.0"}',
        HELLO,
        READY,
        call % (2, b"similar_images", b'{"id":1,"box":%s}' % box),
        call % (3, b"get_image", b'{"id":1,"box":%s}' % box),
        call % (4, b"search_images", b'{"query":"%s"}' % (b"x" * 5_000_000)),
        call % (5, b"search_images", b'{"query":"\\ud800 \\u0000"}'),
        call % (6, b"refine", b'{"said":"x","more":%s}' % (b"[" * 500 + b"]" * 500)),
        message(7, "no/such/method"),
        message(8, "tools/call", name="library_info", arguments={}),
    )
    answers = []
    with started(world) as process:
        process.stdin.write(b"".join(line + b"\n" for line in lines))
        process.stdin.flush()
        while not {2, 3, 4, 7, 8} <= {answer.get("id") for answer in answers}:
            answers.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        assert process.wait(timeout=SECONDS) == 0, "the server ends with stdin"
        assert process.stdout.read() == b""
        assert b"Traceback" not in process.stderr.read()
    by_id = {answer.get("id"): answer for answer in answers}
    for number in (2, 3, 4):
        one = by_id[number]
        assert "error" in one or one["result"]["isError"], one
    # JSON this deep is not parsed, so nobody knows whose it was
    assert "result" not in by_id.get(6, {})
    assert "error" in by_id[7]
    assert by_id[8]["result"]["structuredContent"]["pictures"] == 12


def test_a_killed_server_leaves_nothing_broken(world: World) -> None:
    with started(world) as process:
        call = message(2, "tools/call", name="search_images", arguments={"query": "x"})
        process.stdin.write(HELLO + b"\n" + READY + b"\n" + call + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        process.kill()
        process.wait(timeout=SECONDS)
    with Library.open(world.library, read_only=True) as library:
        assert len(library.search("cat", k=20)) == 12


def test_an_interrupt_ends_it_while_stdin_is_open(world: World) -> None:
    with started(world) as process:
        process.stdin.write(HELLO + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=SECONDS) == 130
        assert process.stderr.read() == b""


# -- HTTP


def test_names_and_origins_are_checked(url: str) -> None:
    body = json.loads(HELLO)
    accept = {"Accept": "application/json, text/event-stream"}

    def status(**headers: str) -> int:
        return httpx2.post(
            url, json=body, headers={**accept, **headers}, timeout=SECONDS
        ).status_code

    assert status() == 200
    assert status(Host="evil.example") == 421
    assert status(Host="localhost.evil.example:80") == 421
    assert status(Origin="https://evil.example") == 403
    assert status(Origin="null") == 403
    told = {**accept, "Content-Type": "application/json"}
    huge = httpx2.post(url, content=b"x" * 5_000_000, headers=told, timeout=SECONDS)
    assert huge.status_code == 413
    assert httpx2.get(url.replace("/mcp", "/etc/passwd"), timeout=SECONDS).status_code == 404


def test_a_token_is_asked_for(world: World) -> None:
    token = "correct-horse-battery-staple"
    with serving(world.library, "--token", token) as url:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": token}):
            answer = httpx2.post(url, json=json.loads(HELLO), headers=headers, timeout=SECONDS)
            assert answer.status_code == 401
            assert "pictures" not in answer.text
        with connected(with_token(url, token)) as caller:
            assert caller.told("library_info")["pictures"] == 12


def test_it_does_not_start_unsafe(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    at = ("mcp", "--library", str(world.library), "--http")
    for options, code, word in (
        ((*at, "--host", "0.0.0.0"), 2, "NEEDLEPOINT_TOKEN"),
        ((*at, "--token", "short"), 2, "16 visible characters"),
        ((*at, "--host", "203.0.113.1", "--token", "x" * 16), 2, "cannot listen"),
        (("mcp", "--library", str(tmp_path / "none")), 3, "no library"),
    ):
        assert run(options) == code
        out, said = capfd.readouterr()
        assert out == ""
        assert word in said
