"""The server of one library: what it is called and how it is reached."""

from __future__ import annotations

import hmac
import os
import signal
import socket
from collections.abc import Callable
from importlib.resources import files

import anyio
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp_types import ToolAnnotations
from pydantic import AnyHttpUrl

from needlepoint import __version__
from needlepoint.errors import EXIT_INTERRUPTED, UsageError
from needlepoint.library import Library
from needlepoint.mcp.base import Server
from needlepoint.mcp.tools import Tools

PATH = "/mcp"
_READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


def create_server(library: Library, *, roots: bool = True, token: str | None = None) -> Server:
    """A server that answers for one library.

    Args:
        library: opened, best read only.
        roots: show a client that names folders (roots) only the pictures below them.
        token: what every request over HTTP must bring; None for no token.
    """
    tools = Tools(library)
    server = Server(
        "needlepoint",
        title="needlepoint: search in pictures",
        version=__version__,
        instructions=files("needlepoint.mcp").joinpath("instructions.md").read_text("utf-8"),
        auth=None
        if token is None
        else AuthSettings(issuer_url=AnyHttpUrl("http://localhost"), resource_server_url=None),
        token_verifier=None if token is None else _OneToken(token),
        subscriptions=False,
    )
    server.honours_roots = roots
    for title, tool, again in (
        ("Search in the pictures", tools.search_images, True),
        ("Find similar pictures", tools.similar_images, True),
        ("Refine a search by words and marks", tools.refine, False),
        ("Look at a picture", tools.get_image, True),
        ("What the library holds", tools.library_info, True),
    ):
        notes = _READ_ONLY.model_copy(update={"title": title, "idempotent_hint": again})
        server.tool(title=title, annotations=notes)(tool)
    server.resource(
        "needlepoint://item/{number}",
        name="picture",
        title="A picture of the library",
        description="The picture with this id as JPEG, its long side 1568 pixels at most.",
        mime_type="image/jpeg",
    )(tools.item)
    return server


def serve_stdio(server: Server) -> None:
    """Serve the client at stdin and stdout until stdin ends, or until interrupted."""
    # A thread waits for stdin, and nothing but the end of the process ends that. The library is
    # open for reading only: there is nothing to put away.
    signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_INTERRUPTED))
    server.run("stdio")


def serve_http(server: Server, host: str, port: int, told: Callable[[str], None]) -> None:
    """Serve clients over streamable HTTP until interrupted.

    Args:
        server: with a token unless ``host`` is this machine alone.
        host: address to listen on.
        port: 0 for any free one.
        told: called once with the URL, when connections are accepted.

    Raises:
        UsageError: the address cannot be listened on.
    """
    import uvicorn

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {error}. Choose another --port (0: any free one)"
        ) from None
    with listening:
        name = f"[{host}]" if ":" in host else host
        told(f"http://{name}:{listening.getsockname()[1]}{PATH}")
        app = server.streamable_http_app(streamable_http_path=PATH, host=host)
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=2, lifespan="on"
        )
        anyio.run(uvicorn.Server(config).serve, [listening])


class _OneToken:
    """Accepts one token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who holds the token, or None."""
        if not hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token):
            return None
        return AccessToken(token=token, client_id="needlepoint", scopes=[])
