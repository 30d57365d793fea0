"""A server and its library in a folder of their own, for faults to happen to."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from needlepoint.library import Library
from serving import Server, until

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "pictures"
FEW = 12
LONG = 300.0
QUESTIONS = ("a cat", "a red cup", "@2", "@3#xywh=10,10,200,200")


class NotTried(Exception):
    """This machine does not allow the fault."""


@dataclass
class World:
    """A library of a few pictures in a folder of its own, and the servers started on it."""

    folder: Path
    servers: list[Server] = field(default_factory=list)

    @property
    def library(self) -> Path:
        return self.folder / "library"

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    def serve(self, *arguments: str, **more: Any) -> Asked:
        self.servers.append(Server(self.library, *arguments, **more))
        return Asked(self.servers[-1])

    def grow(self, count: int) -> None:
        """More pictures in the folder."""
        for path in sorted(SAMPLES.glob("*.jpg"))[FEW : FEW + count]:
            shutil.copy(path, self.pictures)


@dataclass
class Asked:
    """A server and ways to ask it: all give the status and what came."""

    server: Server

    def get(self, path: str, seconds: float = LONG) -> tuple[int, Any]:
        return self.send(urllib.request.Request(self.server.address + path), seconds)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        headers = {"content-type": "application/json"}
        data = json.dumps(body).encode()
        return self.send(urllib.request.Request(self.server.address + path, data, headers))

    def send(self, request: urllib.request.Request, seconds: float = LONG) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, _read(answer.headers["content-type"], answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _read(error.headers["content-type"], error.read())

    def found(self, questions: int = len(QUESTIONS)) -> list[list[tuple[int, float]]]:
        """Ids and scores of some questions."""
        lists = []
        for question in QUESTIONS[:questions]:
            quoted = urllib.parse.quote(question)
            status, told = self.get(f"/v1/search?limit=100&q={quoted}")
            assert status == 200, told
            lists.append([(hit["id"], hit["score"]) for hit in told["hits"]])
        return lists

    def index(self) -> dict[str, Any]:
        """Start a job over all folders; what it is when it has ended."""
        status, job = self.post("/v1/index/jobs", {"sources": []})
        assert status == 202, job
        return self.ended(job["id"])

    def ended(self, number: int) -> dict[str, Any]:
        def over() -> bool:
            return self.job(number)["state"] not in ("waiting", "running")

        until(over, LONG)
        return self.job(number)

    def job(self, number: int) -> dict[str, Any]:
        status, job = self.get(f"/v1/index/jobs/{number}")
        assert status == 200, job
        return dict(job)

    def count(self) -> int:
        status, told = self.get("/v1/info")
        assert status == 200, told
        return int(told["pictures"])

    def kill(self) -> None:
        self.server.process.kill()
        self.server.process.wait()


def _read(kind: str | None, body: bytes) -> Any:
    return json.loads(body) if kind and "json" in kind else body


def problem(told: tuple[int, Any], *statuses: int) -> str:
    """The reason given in a refusal that is one of these."""
    status, body = told
    assert status in statuses, (status, body)
    assert isinstance(body, dict), body
    assert body["status"] == status, body
    return str(body["detail"])


FAULTS: dict[str, Callable[[World], str]] = {}


def fault(told: str) -> Callable[[Callable[[World], str]], Callable[[World], str]]:
    """Enter a fault into the list under what it is called in the table."""

    def enter(function: Callable[[World], str]) -> Callable[[World], str]:
        FAULTS[told] = function
        return function

    return enter


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True
    )
    if done.returncode:
        raise NotTried("no mounting here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def prepared(folder: Path) -> Path:
    """An indexed library to copy."""
    (folder / "pictures").mkdir(parents=True)
    for path in sorted(SAMPLES.glob("*.jpg"))[:FEW]:
        shutil.copy(path, folder / "pictures")
    with Library.open(folder / "library", create=True) as library:
        library.index(folder / "pictures")
    return folder


def suffer(name: str, template: Path) -> str:
    """Try one fault; what it told.

    The library knows its pictures by where they were indexed: the fault happens in the folder
    of the template, which is put back afterwards.
    """
    aside = template.with_name(template.name + ".kept")
    shutil.copytree(template, aside)
    world = World(template)
    try:
        return FAULTS[name](world)
    finally:
        for server in world.servers:
            if server.process.poll() is None:
                server.end(signal.SIGKILL)
        shutil.rmtree(template)
        aside.rename(template)
