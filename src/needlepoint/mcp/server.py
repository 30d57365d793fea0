"""The server of one library: what it is called, how its errors read, how it is reached."""

from __future__ import annotations

import hmac
import os
import signal
import socket
from collections.abc import Callable, Mapping
from importlib.resources import files
from reprlib import Repr
from typing import Any

import anyio
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import AnyHttpUrl, ValidationError

from needlepoint import __version__
from needlepoint.errors import EXIT_INTERRUPTED, NeedlepointError, UsageError, nearest
from needlepoint.library import Library
from needlepoint.mcp.tools import Tools

PATH = "/mcp"
_READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_LONGEST = 1_000
"""Characters of an error, which may repeat what a client has sent."""
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class Server(MCPServer[dict[str, Any]]):
    """The SDK's server, with errors told as everywhere in this house."""

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        context: Context[dict[str, Any], Any] | None = None,
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; what a caller can mend is one sentence that says how.

        Raises:
            ToolError: with that sentence.
        """
        known = self._tool_input_schema(name)
        if known is None:
            names = [tool.name for tool in await self.list_tools()]
            close = nearest(name[:80], names) or "."
            raise ToolError(
                f"no tool is called {_SHORT.repr(name)}{close} Tools: {', '.join(names)}."
            )
        _check_names(arguments, known["properties"])
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                raise ToolError(_sentence(cause)[:_LONGEST]) from None
            if isinstance(cause, NeedlepointError):
                raise ToolError(str(cause)[:_LONGEST]) from cause
            raise


def create_server(library: Library, *, roots: bool = True, token: str | None = None) -> Server:
    """A server that answers for one library.

    Args:
        library: opened, best read only.
        roots: show a client that names folders (roots) only the pictures below them.
        token: what every request over HTTP must bring; None for no token.
    """
    tools = Tools(library, roots=roots)
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


def _check_names(arguments: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in arguments:
        if name not in known:
            close = nearest(name[:80], known) or "."
            raise ToolError(
                f"no argument is called {_SHORT.repr(name)}{close} "
                f"Arguments: {', '.join(known) or 'none'}."
            )


def _sentence(error: ValidationError) -> str:
    """What pydantic found, as sentences that name argument, problem and value."""
    found = {}
    for one in error.errors(include_url=False):
        place = [str(part) for part in one["loc"] if isinstance(part, int) or part.islower()]
        problem = one["msg"][:1].lower() + one["msg"][1:]
        found[".".join(place)] = f"{problem}. Received: {_SHORT.repr(one['input'])}"
    return "; ".join(f"`{place}`: {told}" for place, told in found.items())
