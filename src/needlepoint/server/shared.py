"""What all requests of one server share: the library, the settings and what is kept in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request

from needlepoint.errors import UsageError
from needlepoint.intake.web import Web
from needlepoint.library import Library
from needlepoint.library.guests import Pictures
from needlepoint.library.jobs import Jobs
from needlepoint.library.thumbs import Thumbs
from needlepoint.query import Query
from needlepoint.server.gate import Gate
from needlepoint.server.meters import Meters
from needlepoint.server.problems import Problem
from needlepoint.server.rankings import Rankings
from needlepoint.server.settings import Serving
from needlepoint.server.talks import Kept
from needlepoint.server.uploads import Uploads

RECEIVING = 8
"""Pictures that may be on their way in at once."""
DECODING = 2
"""Pictures to ask with that are decoded at once: each may take much memory."""
FETCHING = 4
"""Questions whose pictures are fetched from the web at once."""
PARTS = 32
"""Parts of one question."""
PICTURES = 8
"""Those of them that are pictures or pieces, and have to be decoded."""


class Shared:
    """The library and the settings of a running server."""

    def __init__(self, library: Library, serving: Serving) -> None:
        self._library, self.serving = library, serving
        self.used = time.monotonic()
        self.meters = Meters()
        self.gate = Gate(lambda: self.library, serving.waiting, serving.answer_seconds, self.meters)
        self.uploads = Uploads(serving)
        self.rankings = Rankings()
        self.conversations = Kept()
        self.thumbs = Thumbs(library.shelf)
        self.jobs = Jobs(library, below=serving.index_below)
        self.decoding = CapacityLimiter(DECODING)
        self.fetching = CapacityLimiter(FETCHING)
        self.web = Web(serving.upload_bytes, serving.upload_seconds)
        self._receiving = 0
        self._show()

    @property
    def library(self) -> Library:
        """The library, which is in use from now on.

        Raises:
            LibraryMissing: it is gone.
        """
        self.used = time.monotonic()
        self._library.attend()
        return self._library

    def look(self) -> None:
        """Make sure that the library can be read; does not count as a use.

        Raises:
            LibraryError: it cannot.
        """
        self._library.attend()
        self._library.shelf.roots()

    def warm(self) -> None:
        """Load what the first questions would wait for; an empty library has nothing."""
        self._library.warm()

    def rest(self) -> None:
        """Let models go when nobody has asked for long."""
        if self._library.loaded and time.monotonic() - self.used > self.serving.idle_seconds:
            self.gate.later(self._library.release)

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """While a picture is taken in.

        Raises:
            Problem: 429, too many are.
        """
        if self._receiving >= RECEIVING:
            self.meters.rejected.inc()
            raise Problem(
                429,
                "busy",
                f"{RECEIVING} pictures are being received already; send it again in a moment",
                headers={"retry-after": "1"},
            )
        self._receiving += 1
        try:
            yield
        finally:
            self._receiving -= 1

    async def admit(self, query: Query) -> Query:
        """A question with its pictures decoded; see ``Library.admit``.

        Raises:
            UsageError: it has too many parts.
        """
        seen = [part for part in query.parts if part.kind == "picture" or part.box is not None]
        if len(query.parts) > PARTS or len(seen) > PICTURES:
            raise UsageError(
                f"a question here has {PARTS} parts at most, {PICTURES} of them pictures. "
                f"Received: {len(query.parts)} and {len(seen)}."
            )
        if not seen:
            return query
        web = self.web.fetch if self.serving.allow_fetch else None
        pictures = Pictures(self.uploads.picture, web, self.uploads.limits)
        far = web is not None and any(part.is_url for part in seen)
        limiter = self.fetching if far else self.decoding
        return await to_thread.run_sync(self.library.admit, query, pictures, limiter=limiter)

    def _show(self) -> None:
        gauge = self.meters.gauge
        gauge("waiting", "Questions that wait.", lambda: len(self.gate))
        gauge("uploads", "Pictures kept to ask with.", lambda: len(self.uploads))
        gauge("uploads_bytes", "Bytes they take.", lambda: self.uploads.bytes)
        gauge("models", "Encoders in memory.", lambda: len(self._library.loaded))
        gauge("rankings", "Answers kept for their next pages.", lambda: len(self.rankings))


def _of(request: Request) -> Shared:
    shared: Shared = request.app.state.shared
    return shared


Here = Annotated[Shared, Depends(_of)]
"""The type of a route's argument that receives the :class:`Shared` of its server."""
