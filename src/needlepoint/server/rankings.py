"""Rankings kept between the pages of one answer, and the cursors that name them."""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from needlepoint.library.asking import Options
from needlepoint.library.ranking import Ranking
from needlepoint.query import Query
from needlepoint.server.problems import Problem

KEPT = 128
KEPT_HITS = 50_000
"""Hits of all rankings together; those that were read longest ago go first."""

_CURSOR = re.compile(r"([\w-]{16})\.([0-9]{1,6})")


@dataclass(slots=True)
class Held:
    """A ranking in memory and the question it answers; one page is made at a time.

    ``asked`` is the request as it was written, ``query`` what is searched with.
    """

    asked: tuple[object, ...]
    query: Query
    options: Options
    ranking: Ranking
    name: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def cursor(self, start: int) -> str:
        """What leads to the hits from ``start`` on."""
        return f"{self.name}.{start}"


class Rankings:
    """The rankings of one server, those read last at the end."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def keep(self, held: Held) -> None:
        """Keep a ranking, and forget those that were read longest ago where there are too many."""
        with self._lock:
            self._held[held.name] = held
            self._held.move_to_end(held.name)
            hits = sum(len(one.ranking.hits) for one in self._held.values())
            while len(self._held) > 1 and (len(self._held) > KEPT or hits > KEPT_HITS):
                hits -= len(self._held.popitem(last=False)[1].ranking.hits)

    def find(self, cursor: str, asked: tuple[object, ...]) -> tuple[Held, int]:
        """The ranking a cursor leads to, and the place in it.

        Raises:
            Problem: 400 for what no answer gave, or for a cursor of another question; 410 for
                one whose ranking is not kept any more.
        """
        read = _CURSOR.fullmatch(cursor)
        if read is None:
            detail = "`cursor` is not one that an answer gave; leave it out to begin at the first"
            raise Problem(400, "bad-cursor", detail)
        with self._lock:
            held = self._held.get(read[1])
            if held is not None:
                self._held.move_to_end(held.name)
        if held is None:
            detail = "the answer this `cursor` goes on with is not kept any more; ask again"
            raise Problem(410, "cursor-gone", detail)
        if held.asked != asked:
            detail = "`cursor` belongs to another question; repeat the one that gave it"
            raise Problem(400, "bad-cursor", detail)
        return held, int(read[2])
