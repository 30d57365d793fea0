"""What wraps every answer: headers that bind browsers, a request id, and no trace of a fault."""

from __future__ import annotations

import logging
import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from needlepoint.server.problems import problem

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "font-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

_log = logging.getLogger("needlepoint.server")


class Armour:
    """Outermost middleware: what goes out is safe to show, whatever went wrong inside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and dress its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = secrets.token_hex(8)
        begun = False

        async def dressed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers["x-request-id"] = number
                if "cache-control" not in headers:
                    kept = scope["path"].startswith("/static/")
                    headers["cache-control"] = "no-cache" if kept else "no-store"
            await send(message)

        try:
            await self._app(scope, receive, dressed)
        except Exception:
            _log.exception("request %s: %s %s", number, scope["method"], scope["path"])
            if begun:  # the connection is closed, so that half an answer is not taken for one
                raise
            detail = f"something went wrong here; the server's log tells of request {number}"
            answer = problem(500, "fault", detail, scope["path"], request=number)
            await answer(scope, receive, dressed)
