"""The line before the encoders: questions wait together, a bounded number, a bounded time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from needlepoint.errors import UsageError
from needlepoint.library import Library
from needlepoint.library.asking import Options
from needlepoint.query import Part, Query
from needlepoint.results import Results
from needlepoint.server.app import create_app
from needlepoint.server.gate import TOGETHER, ClientGone, Gate
from needlepoint.server.meters import Meters
from needlepoint.server.problems import Problem

LONG = 30.0


class Slow:
    """A library that answers when it is let; notes its batches."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[str]] = []
        self.fails: Exception | None = None

    def search_many(self, queries: list[Query], options: list[Options]) -> list[Any]:
        self.batches.append([query.text for query in queries])
        self.entered.set()
        assert self.let.wait(LONG)
        if self.fails is not None:
            raise self.fails
        return [
            UsageError("bad") if query.text == "bad" else Results(query, [], timings={"search": 1})
            for query in queries
        ]


class Client:
    """A request as the gate sees it: it may hang up."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "http.disconnect"}


def question(text: str) -> Query:
    return Query((Part("text", text),), text)


def play(
    scene: Callable[[Gate, Slow], Awaitable[None]], waiting: int = 8, seconds: float = LONG
) -> Meters:
    """Run a scene with a gate; returns its meters."""
    slow, meters = Slow(), Meters()
    gate = Gate(lambda: slow, waiting, seconds, meters)  # type: ignore[arg-type, return-value]

    async def run() -> None:
        try:
            await asyncio.wait_for(scene(gate, slow), LONG)
        finally:
            slow.let.set()
            await asyncio.to_thread(gate.close)

    asyncio.run(run())
    return meters


def ask(gate: Gate, text: str, client: Client | None = None) -> asyncio.Task[Results]:
    request: Any = client or Client()
    return asyncio.create_task(gate.ask(request, question(text), Options()))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_what_waits_is_answered_together() -> None:
    async def scene(gate: Gate, slow: Slow) -> None:
        first = ask(gate, "first")
        await until(slow.entered.is_set)
        rest = [ask(gate, f"{n}") for n in range(5)]
        await until(lambda: len(gate) == 5)
        slow.let.set()
        answers = await asyncio.gather(first, *rest)
        assert [a.query.text for a in answers] == ["first", *"01234"]
        assert slow.batches == [["first"], [*"01234"]]

    meters = play(scene)
    assert meters.registry.get_sample_value("needlepoint_batch_questions_count") == 2


def test_a_batch_is_bounded() -> None:
    async def scene(gate: Gate, slow: Slow) -> None:
        first = ask(gate, "first")
        await until(slow.entered.is_set)
        rest = [ask(gate, f"{n}") for n in range(TOGETHER + 3)]
        await until(lambda: len(gate) == TOGETHER + 3)
        slow.let.set()
        await asyncio.gather(first, *rest)
        assert [len(batch) for batch in slow.batches] == [1, TOGETHER, 3]

    play(scene, waiting=100)


def test_too_many_are_turned_away_at_once() -> None:
    async def scene(gate: Gate, slow: Slow) -> None:
        first = ask(gate, "first")
        await until(slow.entered.is_set)
        rest = [ask(gate, f"{n}") for n in range(2)]
        await until(lambda: len(gate) == 2)
        with pytest.raises(Problem) as told:
            await ask(gate, "one too many")
        assert (told.value.status, told.value.slug) == (429, "busy")
        assert int(told.value.headers["retry-after"]) >= 1
        slow.let.set()
        await asyncio.gather(first, *rest)
        assert (await ask(gate, "later")).query.text == "later"

    meters = play(scene, waiting=2)
    assert meters.registry.get_sample_value("needlepoint_rejected_total") == 1


def test_nobody_waits_for_ever() -> None:
    async def scene(gate: Gate, slow: Slow) -> None:
        asked = [ask(gate, "answered in vain"), ask(gate, "never asked")]
        for one in asked:
            with pytest.raises(Problem) as told:
                await one
            assert (told.value.status, told.value.slug) == (503, "too-slow")
        assert len(gate) == 0
        slow.let.set()

    play(scene, seconds=0.05)


def test_questions_of_those_who_left_are_dropped() -> None:
    async def scene(gate: Gate, slow: Slow) -> None:
        first, client = ask(gate, "first"), Client()
        await until(slow.entered.is_set)
        left = ask(gate, "left", client)
        stayed = ask(gate, "stayed")
        await until(lambda: len(gate) == 2)
        client.gone.set()
        with pytest.raises(ClientGone):
            await left
        assert len(gate) == 1
        slow.let.set()
        await asyncio.gather(first, stayed)
        assert slow.batches == [["first"], ["stayed"]]

    play(scene)


def test_an_error_is_its_question_s_alone() -> None:
    async def scene(gate: Gate, slow: Slow) -> None:
        slow.let.set()
        good, bad = ask(gate, "good"), ask(gate, "bad")
        assert (await good).query.text == "good"
        with pytest.raises(UsageError):
            await bad

    play(scene)


def test_a_broken_batch_breaks_no_gate() -> None:
    async def scene(gate: Gate, slow: Slow) -> None:
        slow.let.set()
        slow.fails = RuntimeError("broken")
        with pytest.raises(RuntimeError):
            await ask(gate, "one")
        slow.fails = None
        assert (await ask(gate, "two")).query.text == "two"

    play(scene)


def test_other_work_waits_in_the_same_line() -> None:
    async def scene(gate: Gate, slow: Slow) -> None:
        order: list[str] = []
        first = ask(gate, "first")
        await until(slow.entered.is_set)
        client: Any = Client()
        work = asyncio.create_task(gate.run(client, lambda: order.append("work")))
        await until(lambda: len(gate) == 1)
        second = ask(gate, "second")
        await until(lambda: len(gate) == 2)
        slow.let.set()
        await asyncio.gather(first, work, second)
        assert order == ["work"]
        assert slow.batches == [["first"], ["second"]]

    play(scene)


def test_closing_turns_away_who_waits() -> None:
    async def scene(gate: Gate, slow: Slow) -> None:
        first = ask(gate, "first")
        await until(slow.entered.is_set)
        waiting = ask(gate, "waiting")
        await until(lambda: len(gate) == 1)
        closing = asyncio.create_task(asyncio.to_thread(gate.close))
        with pytest.raises(Problem) as told:
            await waiting
        assert told.value.status == 503
        slow.let.set()
        await asyncio.gather(first, closing)
        with pytest.raises(Problem):
            await ask(gate, "after the end")

    play(scene)


def test_a_browser_that_closes_takes_its_question_with_it(
    served: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    monkeypatch.setattr(served, "search_many", slow.search_many)
    app = create_app(served)
    gate = app.state.shared.gate
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http="h11", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        asked = b"GET /v1/search?q=cat HTTP/1.1\r\nHost: localhost\r\n\r\n"
        clients = []
        for waiting in range(3):  # the first is being answered, the others wait
            clients.append(socket.create_connection(listening.getsockname()))
            clients[-1].sendall(asked)
            wait_for(lambda most=waiting: slow.entered.is_set() and len(gate) == most)
        clients[1].close()
        wait_for(lambda: len(gate) == 1)
        slow.let.set()
        assert clients[2].recv(12) == b"HTTP/1.1 200"
        for client in clients:
            client.close()
    finally:
        slow.let.set()
        server.should_exit = True
        thread.join(LONG)
    assert sum(map(len, slow.batches)) == 2


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
