"""The one way to the encoders: questions wait in a bounded line and are answered together."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request

from needlepoint.library import Library
from needlepoint.library.asking import Options
from needlepoint.library.changing import is_composed
from needlepoint.query import Query
from needlepoint.results import Results
from needlepoint.server.meters import Meters
from needlepoint.server.problems import Problem

TOGETHER = 32
"""Questions answered by one look at the vectors."""

T = TypeVar("T")


class ClientGone(Exception):
    """Whoever asked has hung up; nobody reads an answer."""


@dataclass(slots=True)
class _Waiting:
    """A question in line, or another use of the encoders (``work``).

    What is ``alone`` is no part of a batch: a composed question may take seconds.
    """

    query: Query | None
    options: Options
    work: Callable[[], Any] | None = None
    alone: bool = False
    answer: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class Gate:
    """Lets a bounded number of questions wait, and answers those that wait together.

    One thread does the asking: encoders use all cores as it is, and whatever came while it was
    busy goes into the next batch. Thumbnails and lists have threads of their own.
    """

    def __init__(
        self, library: Callable[[], Library], waiting: int, seconds: float, meters: Meters
    ) -> None:
        self._library, self._most, self._seconds = library, waiting, seconds
        self._meters = meters
        self._line: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._busy = self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="needlepoint-gate")

    def __len__(self) -> int:
        return len(self._line)

    def close(self) -> None:
        """Turn away who waits, and end when the batch in hand is done."""
        with self._lock:
            self._closed = True
            for one in self._line:
                one.answer.cancel()
            self._line.clear()
        self._thread.shutdown(wait=True)

    async def ask(self, request: Request, query: Query, options: Options) -> Results:
        """The answer to a question.

        Raises:
            Problem: 429 when too many wait already, 503 when it takes too long.
            ClientGone: nobody waits for the answer any more.
            NeedlepointError: as ``Library.search``.
        """
        alone = is_composed(query, options.method)
        answer: Results = await self._wait(request, _Waiting(query, options, alone=alone))
        return answer

    async def run(self, request: Request, work: Callable[[], T]) -> T:
        """The result of another use of the encoders, which waits in the same line."""
        answer: T = await self._wait(request, _Waiting(None, Options(), work, alone=True))
        return answer

    def later(self, work: Callable[[], Any]) -> Future[Any]:
        """Have something done in turn that no request waits for, such as warming up."""
        one = _Waiting(None, Options(), work, alone=True)
        with self._lock:
            self._join(one)
        return one.answer

    async def _wait(self, request: Request, one: _Waiting) -> Any:
        with self._lock:
            if len(self._line) >= self._most:
                self._meters.rejected.inc()
                raise Problem(
                    429,
                    "busy",
                    f"{self._most} questions are waiting already; ask again in a moment",
                    headers={"retry-after": "1"},
                )
            self._join(one)
        answer = asyncio.wrap_future(one.answer)
        gone = asyncio.ensure_future(_hung_up(request))
        try:
            await asyncio.wait(
                {answer, gone}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if answer.cancelled():
                raise _ending()
            if answer.done():
                return answer.result()
            if gone.done():
                raise ClientGone
        finally:
            gone.cancel()
            self._leave(one)
            with contextlib.suppress(asyncio.CancelledError):
                await gone
        raise Problem(
            503,
            "too-slow",
            f"no answer within {self._seconds:g} s; ask again, or ask for less",
            headers={"retry-after": "5"},
        )

    def _join(self, one: _Waiting) -> None:
        if self._closed:
            raise _ending()
        self._line.append(one)
        if not self._busy:
            self._busy = True
            self._thread.submit(self._work)

    def _leave(self, one: _Waiting) -> None:
        """Drop a question nobody waits for; one that is being answered is answered in vain."""
        one.answer.cancel()
        with self._lock, contextlib.suppress(ValueError):
            self._line.remove(one)

    # -- in the thread

    def _work(self) -> None:
        while batch := self._next():
            if batch[0].work is not None:
                _settle(batch[0], _tried(batch[0].work))
                continue
            began = time.monotonic()
            for one in batch:
                self._meters.stage.labels("wait").observe(began - one.since)
            self._meters.batch.observe(len(batch))
            found = _tried(lambda some=batch: self._answers(some))  # type: ignore[misc]
            answers = [found] * len(batch) if isinstance(found, Exception) else found
            for one, answer in zip(batch, answers, strict=True):
                _settle(one, answer)

    def _next(self) -> list[_Waiting]:
        """The next batch, or nothing, and then the thread's turn is over."""
        batch: list[_Waiting] = []
        with self._lock:
            while self._line and len(batch) < TOGETHER:
                if batch and (self._line[0].alone or batch[0].alone):
                    break
                one = self._line.popleft()
                if one.answer.set_running_or_notify_cancel():
                    batch.append(one)
            self._busy = bool(batch)
        return batch

    def _answers(self, batch: Sequence[_Waiting]) -> list[Results | Exception]:
        queries = [one.query for one in batch]
        answers = self._library().search_many(queries, [one.options for one in batch])
        for answer in answers:
            if isinstance(answer, Results):
                for stage, milliseconds in answer.timings.items():
                    self._meters.stage.labels(stage).observe(milliseconds / 1e3)
        return answers


def _tried(work: Callable[[], Any]) -> Any:
    """What something returns, or the exception it raises."""
    try:
        return work()
    except Exception as error:
        return error


def _settle(one: _Waiting, answer: Any) -> None:
    if isinstance(answer, Exception):
        one.answer.set_exception(answer)
    else:
        one.answer.set_result(answer)


def _ending() -> Problem:
    return Problem(503, "ending", "this server is ending; ask again when it is back")


async def _hung_up(request: Request) -> None:
    """Ends when the client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
