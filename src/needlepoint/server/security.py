"""Who may ask: names the server answers to, the token, and requests that other sites forge."""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from needlepoint.server.problems import problem
from needlepoint.server.settings import Serving

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})
COOKIE_SECONDS = 30 * 24 * 3600


class Doorman:
    """Middleware that lets a request in, or answers why not.

    A name that is not this server's is refused, for a page of another site may have its own name
    resolved to this machine. With a token, every request must show it: as ``Authorization:
    Bearer``, or as the cookie that ``/?token=`` gives in exchange. What changes something must
    come from this server's own page or from a program; other sites can neither change nor read.
    """

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self._app, self._serving = app, serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._misnamed(scope, headers) or self._forged(scope, headers)
        answer = answer or self._admit(scope, headers)
        await (answer or self._app)(scope, receive, send)

    def _misnamed(self, scope: Scope, headers: Headers) -> Response | None:
        name = host_name(headers.get("host", ""))
        if name and self._serving.answers_to(name):
            return None
        return problem(
            421,
            "wrong-host",
            f"this server does not answer to {name or 'no name at all'}. Ask it as "
            f"{', '.join(self._serving.hosts)}, or start it with --name.",
            scope["path"],
        )

    def _forged(self, scope: Scope, headers: Headers) -> Response | None:
        site = headers.get("sec-fetch-site", "none")
        if scope["method"] in _SAFE:
            entering = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
            foreign = site not in _OURS and not entering
        else:
            origin = headers.get("origin")
            # the scheme is left out: something in front of this server may speak TLS for it
            other = origin is not None and origin.partition("://")[2] != headers.get("host")
            foreign = site not in _OURS or other
        if not foreign:
            return None
        detail = "requests from the pages of other sites are refused"
        return problem(403, "foreign-site", detail, scope["path"])

    def _admit(self, scope: Scope, headers: Headers) -> Response | None:
        token = self._serving.token
        if token is None:
            return None
        cookie = f"needlepoint-{(scope.get('server') or ('', 0))[1]}"
        asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(asked).get("token", "")
        if scope["path"] == "/" and scope["method"] == "GET" and _same(given, token):
            rest = urlencode([pair for pair in asked if pair[0] != "token"])
            entry = RedirectResponse(f"/?{rest}" if rest else "/", 303)
            entry.set_cookie(
                cookie,
                _proof(token),
                max_age=COOKIE_SECONDS,
                httponly=True,
                samesite="strict",
                secure=scope["scheme"] == "https",
            )
            return entry
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(shown.strip(), token):
            return None
        if _same(_cookie(headers, cookie), _proof(token)):
            return None
        answer = problem(
            401,
            "no-token",
            "this server wants its token: send it as Authorization: Bearer TOKEN, or open "
            "/?token=TOKEN in a browser",
            scope["path"],
        )
        answer.headers["www-authenticate"] = 'Bearer realm="needlepoint"'
        return answer


def host_name(host: str) -> str:
    """The name in a ``Host`` header without its port, in lower case; empty when malformed.

    Example:
        >>> host_name("LocalHost:8417"), host_name("[::1]:80"), host_name("a b")
        ('localhost', '::1', '')
    """
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    plain = parts.netloc == host and "@" not in host and not any(map(str.isspace, host))
    return (parts.hostname or "").rstrip(".") if plain else ""


def _same(shown: str, secret: str) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "replace"), secret.encode())


def _proof(token: str) -> str:
    """What the cookie holds: other servers on this machine get it too, so never the token."""
    return hmac.new(token.encode(), b"needlepoint cookie", hashlib.sha256).hexdigest()


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""
