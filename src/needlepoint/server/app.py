"""The application: its routes, what wraps every request, and how it begins and ends."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from needlepoint import __version__
from needlepoint.library import Library
from needlepoint.server import problems
from needlepoint.server.routes import items, page, search
from needlepoint.server.settings import Serving
from needlepoint.server.shared import Shared


def create_app(library: Library, serving: Serving | None = None) -> FastAPI:
    """An ASGI application that answers for one library."""
    app = FastAPI(
        title="needlepoint",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.shared = Shared(library, serving or Serving())
    problems.install(app)
    for room in (search, items, page):
        app.include_router(room.router)
    folder = str(files("needlepoint.server") / "page")
    app.mount("/static", StaticFiles(directory=folder), name="static")
    return app
