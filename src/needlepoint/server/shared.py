"""What all requests of one server share: the library, the settings and what is kept in memory."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from needlepoint.library import Library
from needlepoint.library.jobs import Jobs
from needlepoint.library.thumbs import Thumbs
from needlepoint.server.settings import Serving
from needlepoint.server.talks import Kept


class Shared:
    """The library and the settings of a running server."""

    def __init__(self, library: Library, serving: Serving) -> None:
        self.library, self.serving = library, serving
        self.conversations = Kept()
        self.thumbs = Thumbs(library.shelf)
        self.jobs = Jobs(library, below=serving.index_below)


def _of(request: Request) -> Shared:
    shared: Shared = request.app.state.shared
    return shared


Here = Annotated[Shared, Depends(_of)]
"""The type of a route's argument that receives the :class:`Shared` of its server."""
