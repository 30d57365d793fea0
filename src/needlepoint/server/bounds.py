"""What a request may weigh: the bytes of its address, headers and body, and the body's time."""

from __future__ import annotations

import time

import anyio
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from needlepoint.server.problems import problem
from needlepoint.server.settings import Serving

ADDRESS_BYTES = 40_000
"""A question has up to 4000 characters, and a character up to nine bytes in an address."""
HEADER_BYTES = 16_384
BODY_BYTES = 2**20
"""For all but pictures."""
_ENVELOPE = 65_536
"""What a form may add to the picture in it."""
_HEAVY = ("/v1/uploads", "/v1/embeddings")


class Bounds:
    """Middleware that refuses what is too long, before it is read where that can be known."""

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self._app, self._serving = app, serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a bounded body, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = BODY_BYTES
        if scope["path"] in _HEAVY:
            # an embedding's pictures come in base64
            most = self._serving.upload_bytes * 4 // 3 + _ENVELOPE
        answer = self._too_long(scope, most)
        if answer is not None:
            await answer(scope, receive, send)
            return
        bounded = _Body(receive, most, self._serving.body_seconds)
        await self._app(scope, bounded, send)

    def _too_long(self, scope: Scope, most: int) -> Response | None:
        path = scope["path"]
        address = len(scope.get("raw_path") or path.encode()) + len(scope["query_string"])
        if address > ADDRESS_BYTES:
            detail = f"the address has {address} bytes; at most {ADDRESS_BYTES} are read"
            return problem(414, "address-too-long", detail, path[:200])
        headers = sum(len(name) + len(value) for name, value in scope["headers"])
        if headers > HEADER_BYTES:
            detail = f"the headers have {headers} bytes; at most {HEADER_BYTES} are read"
            return problem(431, "headers-too-long", detail, path)
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isascii() or not declared.isdigit():
            detail = "Content-Length must be a number of bytes"
            return problem(400, "bad-length", detail, path)
        if len(declared) > 18 or int(declared) > most:
            return problem(413, "too-large", _too_large(most), path)
        return None


class _Body:
    """A body that ends in an error when it grows too large or takes too long."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self._receive, self._left, self._most = receive, most, most
        self._deadline = time.monotonic() + seconds
        self._seconds = seconds
        self._ended = False

    async def __call__(self) -> Message:
        if self._ended:  # what is awaited now is that the client leaves
            return await self._receive()
        try:
            with anyio.fail_after(max(0.0, self._deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(
                408, f"the body did not arrive within {self._seconds:g} s"
            ) from None
        self._ended = not message.get("more_body", False)
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, _too_large(self._most))
        return message


def _too_large(most: int) -> str:
    return f"the body is too large; at most {most} bytes are read here"
