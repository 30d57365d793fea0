"""The page for people: static files that come with the package."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
FOLDER = files("needlepoint.server") / "page"


@router.get("/")
def page() -> HTMLResponse:
    """The page."""
    return HTMLResponse((FOLDER / "index.html").read_text("utf-8"))
