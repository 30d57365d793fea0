"""The verb that opens the library to assistants: mcp."""

from __future__ import annotations

import logging
import sys

import click

from needlepoint.cli.door import Door, common
from needlepoint.cli.talk import say
from needlepoint.errors import EXIT_HITS, UsageError
from needlepoint.server.settings import LOOPBACK


@click.command("mcp")
@click.option("--http", is_flag=True, help="Streamable HTTP instead of stdin and stdout.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8418, show_default=True, help="Port; 0 for any free one.")
@click.option(
    "--token",
    envvar="NEEDLEPOINT_MCP_TOKEN",
    show_envvar=True,
    help="Bearer token that every request must bring; needed on any other host.",
)
@click.option(
    "--roots/--no-roots",
    default=True,
    help="Show a client that names folders only the pictures below them (the default), or all.",
)
@common
def mcp(door: Door, http: bool, host: str, port: int, token: str | None, roots: bool) -> int:
    """Let assistants search the library (Model Context Protocol), read only.

    An assistant starts this command and talks to it over stdin and stdout; with --http it runs
    by itself. It ends when stdin ends, or with Ctrl-C.

    \b
    Examples:
      needlepoint mcp
      needlepoint mcp --http --port 8418
    """
    if token is not None and len(token) < 16:
        raise UsageError(
            "`--token` must have 16 characters or more. Make one: openssl rand -hex 16"
        )
    if http and host not in LOOPBACK and token is None:
        raise UsageError(
            f"`--host` is {host}, which others can reach, and there is no --token. "
            "Give one, or listen on 127.0.0.1"
        )
    level = logging.INFO if door.talk.verbose else logging.ERROR
    logging.basicConfig(level=level, stream=sys.stderr, format="needlepoint: %(message)s")
    with door.open(read_only=True) as library:
        from needlepoint.mcp.server import create_server, serve_http, serve_stdio

        server = create_server(library, roots=roots, token=token)
        if http:
            serve_http(server, host, port, lambda url: say(f"MCP at {url}"))
        else:
            serve_stdio(server)
    return EXIT_HITS
