"""The application: its routes, what wraps every request, and how it begins and ends."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from needlepoint import __version__
from needlepoint.library import Library
from needlepoint.server import problems
from needlepoint.server.armour import Armour
from needlepoint.server.bounds import Bounds
from needlepoint.server.routes import conversations, facets, items, jobs, page, search
from needlepoint.server.security import Doorman
from needlepoint.server.settings import Serving
from needlepoint.server.shared import Shared


def create_app(library: Library, serving: Serving | None = None) -> FastAPI:
    """An ASGI application that answers for one library."""
    serving = serving or Serving()
    app = FastAPI(
        title="needlepoint",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        default_response_class=problems.Json,
    )
    app.state.shared = Shared(library, serving)
    problems.install(app)
    app.add_middleware(Doorman, serving=serving)
    app.add_middleware(Bounds, serving=serving)
    app.add_middleware(Armour)
    for room in (search, items, facets, jobs, conversations, page):
        app.include_router(room.router)
    folder = str(files("needlepoint.server") / "page")
    app.mount("/static", StaticFiles(directory=folder), name="static")
    return app
