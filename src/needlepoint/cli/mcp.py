"""The verb that opens the library to assistants: mcp."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common, reader
from needlepoint.cli.talk import say
from needlepoint.errors import EXIT_HITS, UsageError
from needlepoint.server.settings import LOOPBACK

PORT = 8418


@click.command("mcp")
@click.option("--http", is_flag=True, help="Streamable HTTP instead of stdin and stdout.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="Port; 0 for any free one.",
)
@click.option(
    "--token",
    callback=reader("token"),
    help="What every request must bring; needed on any other host. Better: NEEDLEPOINT_TOKEN.",
)
@click.option(
    "--roots/--no-roots",
    default=True,
    help="Show a client that names folders only the pictures below them (the default), or all.",
)
@click.option("--print-config", is_flag=True, help="Print what an assistant's settings need.")
@common
def mcp(
    door: Door,
    http: bool,
    host: str,
    port: int,
    token: str | None,
    roots: bool,
    print_config: bool,
) -> int:
    """Let assistants search the library (Model Context Protocol), read only.

    An assistant starts this command and talks to it over stdin and stdout; with --http it runs
    by itself. It ends when stdin ends, or with Ctrl-C.

    \b
    Examples:
      needlepoint mcp --print-config
      needlepoint mcp
      needlepoint mcp --http --port 8418
    """
    token = door.settings.choose("token", token)
    if http and host not in LOOPBACK and token is None:
        raise UsageError(
            f"`--host` is {host}, which others can reach, and there is no token. Set "
            "NEEDLEPOINT_TOKEN (16 characters or more, such as `openssl rand -hex 16` makes), or "
            "listen on 127.0.0.1"
        )
    if print_config:
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{port}/mcp" if http else None
        output.write_json(_config(door, url, roots, token is not None))
        return EXIT_HITS
    level = logging.INFO if door.talk.verbose else logging.ERROR
    logging.basicConfig(level=level, stream=sys.stderr, format="needlepoint: %(message)s")
    with door.open(read_only=True) as library:
        from needlepoint.mcp.server import create_server, serve_http, serve_stdio

        if http:
            server = create_server(library, roots=roots, token=token)
            serve_http(server, host, port, lambda url: say(f"MCP at {url}"))
        else:
            serve_stdio(create_server(library, roots=roots))
    return EXIT_HITS


def _config(door: Door, url: str | None, roots: bool, token: bool) -> dict[str, Any]:
    """The entry that settings of assistants have for a server, under the name most of them use."""
    entry: dict[str, Any]
    if url is not None:
        entry = {"type": "http", "url": url}
        if token:  # its value stays where it is
            entry["headers"] = {"Authorization": "Bearer ${NEEDLEPOINT_TOKEN}"}
    else:
        command = shutil.which(sys.argv[0]) or shutil.which("needlepoint")
        arguments = ["mcp", "--library", str(door.library_path.absolute())]
        arguments += [] if roots else ["--no-roots"]
        here = "needlepoint" if command is None else os.path.abspath(command)
        entry = {"command": here, "args": arguments}
    return {"mcpServers": {"needlepoint": entry}}
