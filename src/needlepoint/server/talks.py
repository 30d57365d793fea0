"""Conversations kept in memory between requests."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from anyio import CapacityLimiter

from needlepoint.library.conversation import Conversation
from needlepoint.server.problems import Problem

KEPT = 64
"""Conversations kept; beyond, the one that was silent longest is forgotten."""
TALKING = 4
"""Turns that are taken at once; each may wait for an outside model."""


@dataclass(slots=True)
class Held:
    """A conversation in memory; one turn at a time."""

    id: str
    talk: Conversation
    turn: threading.Lock = field(default_factory=threading.Lock)


class Kept:
    """The conversations of one server, those that spoke last at the end."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._lock = threading.Lock()
        self.talking = CapacityLimiter(TALKING)

    def add(self, talk: Conversation) -> Held:
        """Keep a new conversation, and forget the one that was silent longest."""
        held = Held(secrets.token_urlsafe(12), talk)
        with self._lock:
            self._held[held.id] = held
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return held

    def get(self, number: str) -> Held:
        """A conversation, which now is the last that spoke."""
        with self._lock:
            if number not in self._held:
                raise _gone(number)
            self._held.move_to_end(number)
            return self._held[number]

    def drop(self, number: str) -> None:
        """Forget a conversation."""
        with self._lock:
            if self._held.pop(number, None) is None:
                raise _gone(number)


def _gone(number: str) -> Problem:
    return Problem(
        404,
        "conversation-gone",
        f"there is no conversation {number}; it has been ended, or forgotten after {KEPT} newer "
        "ones. Begin one with POST /v1/conversations.",
    )
