"""Every answer that is not a success: problem details of RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from needlepoint.errors import (
    LibraryBusy,
    LibraryError,
    LibraryIncompatible,
    LibraryMissing,
    ModelUnavailable,
    NeedlepointError,
    NoSuchItem,
    PictureError,
    PictureGone,
    PictureOutside,
)
from needlepoint.results import dumps

MEDIA = "application/problem+json"

_KNOWN: tuple[tuple[type[NeedlepointError], int, str], ...] = (
    (NoSuchItem, 404, "no-such-item"),
    (LibraryBusy, 409, "library-busy"),
    (LibraryMissing, 503, "library-gone"),
    (LibraryIncompatible, 409, "library-incompatible"),
    (LibraryError, 503, "library"),
    (ModelUnavailable, 503, "model-unavailable"),
    (PictureGone, 410, "picture-gone"),
    (PictureOutside, 403, "picture-outside"),
    (PictureError, 422, "unreadable-picture"),
    (NeedlepointError, 400, "usage"),
)


class Json(JSONResponse):
    """JSON as all answers are written: paths may hold bytes that are no text."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return dumps(content).encode()


class Problem(Exception):
    """A refusal with a status, a slug that programs can compare, and a sentence for people."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.slug, self.detail, self.more = status, slug, detail, more
        self.headers = headers or {}


def problem(status: int, slug: str, detail: str, instance: str, **more: Any) -> JSONResponse:
    """The response."""
    body = {
        "type": f"urn:needlepoint:{slug}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        **more,
    }
    return Json(body, status, media_type=MEDIA)


def _allowed(request: Request, known: str) -> str:
    """Every method that an address takes; a route knows only its own."""
    pattern = getattr(request.scope.get("route"), "path", "")
    described = request.app.openapi()["paths"].get(pattern)
    return ", ".join(sorted(map(str.upper, described))) if described else known


def install(app: FastAPI) -> None:
    """Answer every error of an app with a problem."""

    async def own(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        answer = problem(error.status, error.slug, error.detail, request.url.path, **error.more)
        answer.headers.update(error.headers)
        return answer

    async def known(request: Request, error: Exception) -> JSONResponse:
        status, slug = next((s, slug) for kind, s, slug in _KNOWN if isinstance(error, kind))
        return problem(status, slug, str(error), request.url.path)

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        slug = HTTPStatus(error.status_code).name.lower().replace("_", "-")
        headers = dict(error.headers or {})
        detail = str(error.detail)
        if error.status_code == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
            detail = "there is nothing at this address; /openapi.json lists what there is"
        elif error.status_code == 405:
            headers["Allow"] = _allowed(request, headers.get("Allow", ""))
            detail = f"{request.method} is not for this address; allowed: {headers['Allow']}"
        elif error.status_code == 400:
            detail = "the body cannot be read as JSON"
        answer = problem(error.status_code, slug, detail, request.url.path)
        answer.headers.update(headers)
        return answer

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        told = [
            {"at": ".".join(map(str, one["loc"])), "problem": one["msg"]} for one in error.errors()
        ]
        detail = "; ".join(f"{one['at']}: {one['problem']}" for one in told)
        return problem(422, "invalid", detail, request.url.path, errors=told)

    app.add_exception_handler(Problem, own)
    app.add_exception_handler(NeedlepointError, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
