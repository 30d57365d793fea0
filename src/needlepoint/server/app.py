"""The application: its routes, what wraps every request, and how it begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from concurrent.futures import Future
from importlib.resources import files
from typing import Any

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.requests import ClientDisconnect

from needlepoint.library import Library
from needlepoint.server import problems
from needlepoint.server.armour import Armour
from needlepoint.server.bounds import Bounds
from needlepoint.server.describing import Described
from needlepoint.server.gate import ClientGone
from needlepoint.server.meters import Counting
from needlepoint.server.routes import (
    conversations,
    embeddings,
    facets,
    health,
    info,
    items,
    jobs,
    map,
    page,
    saved,
    search,
    uploads,
)
from needlepoint.server.security import Doorman
from needlepoint.server.settings import Serving
from needlepoint.server.shared import Shared

THREADS = 16
"""Requests that are worked on at once, besides questions, turns and uploads."""

_log = logging.getLogger("needlepoint.server")


def create_app(library: Library, serving: Serving | None = None) -> FastAPI:
    """An ASGI application that answers for one library."""
    serving = serving or Serving()
    shared = Shared(library, serving)
    app = Described(
        docs_url=None,
        redoc_url=None,
        default_response_class=problems.Json,
        lifespan=_life,
    )
    app.state.shared = shared
    problems.install(app)
    app.add_exception_handler(ClientGone, _to_nobody)
    app.add_exception_handler(ClientDisconnect, _to_nobody)
    app.add_middleware(Doorman, serving=serving)
    app.add_middleware(Bounds, serving=serving)
    app.add_middleware(Armour)
    app.add_middleware(Counting, meters=shared.meters)
    rooms = (
        *(search, uploads, items, facets, map, saved, jobs),
        *(conversations, embeddings, info, health, page),
    )
    for room in rooms:
        app.include_router(room.router)
    folder = str(files("needlepoint.server") / "page")
    app.mount("/static", StaticFiles(directory=folder), name="static")
    return app


@contextlib.asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    """Warm up in the background, let models go when idle, and end in good order."""
    shared: Shared = app.state.shared
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    shared.gate.later(shared.warm).add_done_callback(_say_failure)
    idling = asyncio.create_task(_let_go_when_idle(shared))
    try:
        yield
    finally:
        idling.cancel()
        await asyncio.to_thread(shared.gate.close)
        await asyncio.to_thread(shared.jobs.close)
        shared.thumbs.close()


async def _to_nobody(request: Request, error: Exception) -> Response:
    """What ends a request whose client has hung up; only the figures see it."""
    return Response(status_code=499)


async def _let_go_when_idle(shared: Shared) -> None:
    while True:
        await asyncio.sleep(max(1.0, shared.serving.idle_seconds / 10))
        shared.rest()


def _say_failure(done: Future[Any]) -> None:
    """Warming up may fail where questions can still be answered, by another model for example."""
    if not done.cancelled() and done.exception() is not None:
        _log.warning("not warmed up: %s", done.exception())
