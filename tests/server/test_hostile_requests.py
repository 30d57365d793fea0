"""Hostile requests against a real server: refused with a reason, nothing written, nothing told."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from test_serve_cli import LONG, Served

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from hostile_files import BAD, KINDS
from hostile_requests import everything, posted
from hostile_wire import Hostile, request

SECRET = "the-content-of-a-file-nobody-may-see"
LEAKS = (b"Traceback", b"site-packages", b'File "', b"root:x:", SECRET.encode())
ROOMS = (
    *("paths", "ids", "boxes", "numbers", "questions", "fetches", "filters", "cursors", "bodies"),
    *("jobs", "embeddings", "conversations", "saved", "messages", "doors", "uploads", "pictures"),
)
MOST_MEMORY = 2048  # MB at any time
HARMLESS = (  # words like any others, or no more than odd
    *("@", "@x", "@-1", "@1.5", "(" * 2000, "'; DROP TABLE pictures; --", "\x00", "a\x00b"),
    *("\u202ega", "\u200b", "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://127.0.0.1/a}"),
    *("$(id)", "%s%n%p", "\ud7ff\ufffd", "🏳️‍🌈" * 200, "e\u0301" * 500),
    *("2:" * 900, "text:/etc/passwd"),
)  # fmt: skip


@dataclass
class World:
    server: Served
    library: Path
    folder: Path
    requests: dict[str, list[Hostile]]
    before: dict[str, str]


@pytest.fixture(scope="module")
def world(
    served_folder: Path, served_pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A server of a copied library, and beside it files it must neither read nor change."""
    folder = tmp_path_factory.mktemp("hostile")
    library = folder / "library"
    shutil.copytree(served_folder, library)
    (folder / "secret.txt").write_text(SECRET)
    shutil.copy(served_pictures / "photo-cat.jpg", folder / "outside.jpg")
    (folder / "link.jpg").symlink_to(folder / "outside.jpg")
    places = {
        "outside": str(folder / "outside.jpg"),
        "inside": str(served_pictures / "photo-cat.jpg"),
        "link": str(folder / "link.jpg"),
        "port": "1",
    }
    bad = {name: make() for name, (kind, make) in KINDS.items() if kind == BAD}
    rooms: dict[str, list[Hostile]] = {}
    for one in everything(bad, places):
        rooms.setdefault(one.room, []).append(one)
    server = Served(library)
    try:
        assert server.get("v1/search?q=cat")[0] == 200  # leaves its note in the library
        yield World(server, library, folder, rooms, state(folder))
    finally:
        server.end()


def state(folder: Path) -> dict[str, str]:
    """What every file holds; of the library its tables, whose files change when they are read."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and "thumbs" not in name and "sqlite3" not in name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    with sqlite3.connect(folder / "library" / "library.sqlite3") as db:
        found["tables"] = hashlib.sha256("\n".join(db.iterdump()).encode()).hexdigest()
    return found


def send(server: Served, wire: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what comes back for some bytes."""
    name = re.search(r"http://([^:]+):(\d+)/", server.address)
    assert name
    came = b""
    with socket.create_connection((name[1], int(name[2])), timeout=LONG) as line:
        # a server may answer and hang up before it has read everything
        with contextlib.suppress(OSError):
            line.sendall(wire)
        with contextlib.suppress(ConnectionResetError):
            while more := line.recv(65536):
                came += more
    head, _, body = came.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(one.lower().split(": ", 1) for one in lines[1:] if ": " in one)
    return int(lines[0].split()[1]) if lines[0] else 0, headers, body


def refused(one: Hostile, status: int, headers: dict[str, str], body: bytes) -> str:
    """What is wrong with an answer; nothing when it is a refusal that says why."""
    if not 400 <= status < 500:
        return f"status {status} {body[:200]!r}"
    if told := [leak for leak in LEAKS if leak in body]:
        return f"tells {told}"
    if one.plain:
        return "" if body.strip() else "no reason"
    if headers.get("content-type") != "application/problem+json":
        return f"no problem but {headers.get('content-type')}"
    problem: dict[str, Any] = json.loads(body)
    whole = problem["status"] == status and problem["type"].startswith("urn:needlepoint:")
    return "" if whole and len(problem["detail"]) > 5 else f"an odd problem: {problem}"


def test_there_are_more_than_a_thousand_and_no_two_are_the_same(world: World) -> None:
    wires = [one.wire for room in world.requests.values() for one in room]
    assert len(set(wires)) == len(wires) >= 1000
    assert set(world.requests) == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_each_is_refused_and_says_why(world: World, room: str) -> None:
    wrong = {}
    for one in world.requests[room]:
        if problem := refused(one, *send(world.server, one.wire)):
            wrong[one.name] = problem
    assert not wrong


def test_what_is_only_odd_is_answered(world: World) -> None:
    for question in HARMLESS:
        target = "/v1/search?limit=2&q=" + quote(question.encode("utf-8", "surrogatepass"))
        status, headers, body = send(world.server, request("GET", target))
        assert (status, headers["content-type"]) == (200, "application/json"), question
        assert not any(leak in body for leak in LEAKS)


def test_headers_cannot_be_smuggled_in(world: World) -> None:
    """What comes back of a request has no line of its own in the head of the answer."""
    for target in (
        "/v1/items/%0d%0aX-Evil:%201",
        "/%0d%0aX-Evil:%201",
        "/v1/search?q=%0d%0aX-Evil:1",
    ):
        for headers in ({}, {"If-None-Match": '"a", *, W/"x'}, {"Range": "bytes=9-1,-,5-x"}):
            _, told, _ = send(world.server, request("GET", target, headers=headers))
            assert "x-evil" not in told
    thumb = "/v1/items/1/thumb"
    for headers in (
        {"Range": "bytes=99999999-"},
        {"If-None-Match": "\x7f" * 900},
        {"Cookie": "a=" * 99},
    ):
        status, told, body = send(world.server, request("GET", thumb, headers=headers))
        assert (status, told["content-type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")


def test_who_is_slow_holds_nobody_up(world: World) -> None:
    found = re.search(r"http://([^:]+):(\d+)/", world.server.address)
    assert found
    lines = [socket.create_connection((found[1], int(found[2]))) for _ in range(150)]
    begun = request("POST", "/v1/uploads", b"x" * 5000, {"Content-Type": "image/jpeg"})[:-4999]
    chunked = request("POST", "/v1/uploads", headers={"Transfer-Encoding": "chunked"})
    chunked = chunked.replace(b"Content-Length: 0\r\n", b"")
    try:
        for i, line in enumerate(lines):
            line.sendall((b"GET /healthz HTTP/1.1\r\nHost: 127.", begun, chunked + b"1\r\n")[i % 3])
        for path in ("healthz", "v1/search?q=cat", "v1/items/1/thumb", "v1/facets"):
            assert world.server.get(path)[0] == 200
    finally:
        for line in lines:
            line.close()


def test_who_hangs_up_holds_nobody_up(world: World) -> None:
    found = re.search(r"http://([^:]+):(\d+)/", world.server.address)
    assert found
    wires = [request("GET", f"/v1/search?q=a+cat+{i}") for i in range(20)]
    wires += [
        request("POST", "/v1/uploads", b"x" * 9999, {"Content-Type": "image/jpeg"})[:-99]
    ] * 20
    for wire in wires:
        with socket.create_connection((found[1], int(found[2]))) as line:
            line.sendall(wire)
    assert world.server.get("v1/search?q=cat")[0] == 200


def test_fetching_is_no_way_into_private_networks(served_folder: Path, tmp_path: Path) -> None:
    """With fetching allowed: every private target is refused, and none is even connected to."""
    shutil.copytree(served_folder, tmp_path / "library")
    knocks: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as canary:
        thread = threading.Thread(target=lambda: knocks.append(canary.accept()), daemon=True)
        thread.start()
        places = {"outside": "x", "inside": "y", "link": "z", "port": str(canary.getsockname()[1])}
        urls = [one for one in everything({}, places) if one.room == "fetches"]
        server = Served(tmp_path / "library", "--allow-fetch")
        try:
            wrong = {
                one.name: problem
                for one in urls
                if (problem := refused(one, *send(server, one.wire)))
            }
        finally:
            server.end()
        assert not wrong
        assert not knocks


def test_afterwards_all_is_as_before(world: World) -> None:
    """The last in this file: the same files, the same tables, bounded memory, still answering."""
    assert state(world.folder) == world.before
    if os.path.exists("/proc/self/status"):
        status = Path(f"/proc/{world.server.process.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert peak
        assert int(peak[1]) / 1024 < MOST_MEMORY
    wire = posted("ok", "/v1/conversations", [{}])[0].wire
    assert send(world.server, wire)[0] == 201
    for path in ("v1/search?q=cat", "v1/items", "v1/facets", "metrics", ""):
        assert world.server.get(path)[0] == 200
    with urllib.request.urlopen(world.server.address + "healthz", timeout=LONG) as answer:
        assert answer.status == 200
