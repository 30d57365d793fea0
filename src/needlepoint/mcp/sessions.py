"""Conversations that go on from call to call: few, short, the one silent longest forgotten."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

import anyio

from needlepoint.errors import UsageError
from needlepoint.library.conversation import Conversation

MOST_SESSIONS = 32
MOST_TURNS = 100


@dataclass(slots=True)
class Session:
    """A conversation, the folders it may show, and whose turn it is."""

    talk: Conversation
    folders: tuple[str, ...] | None
    name: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    turn: anyio.Lock = field(default_factory=anyio.Lock)


class Sessions:
    """The conversations of one server; used on its event loop only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Session] = OrderedDict()

    def keep(self, session: Session) -> None:
        """Keep a session whose first turn went well."""
        self._kept[session.name] = session
        while len(self._kept) > MOST_SESSIONS:
            self._kept.popitem(last=False)

    def find(self, name: str, folders: tuple[str, ...] | None) -> Session:
        """The session of a name, for a client that may see these folders.

        Raises:
            UsageError: there is none, or the folders are not those it began with.
        """
        found = self._kept.get(name)
        if found is None:
            raise UsageError(
                f"`session` {name!r} is not known: the {MOST_SESSIONS} that spoke last are kept, "
                "until the server ends. Leave it out to begin anew."
            )
        if found.folders != folders:
            raise UsageError(
                "the client's folders (roots) are not those this `session` began with. "
                "Leave it out to begin anew."
            )
        self._kept.move_to_end(name)
        return found
