"""The verb that opens the library to browsers and programs: serve."""

from __future__ import annotations

import click

from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8417, show_default=True, help="Port; 0 for any free one.")
@common
def serve(door: Door, host: str, port: int) -> int:
    """Serve the library on this machine: a page for people, an API for programs.

    \b
    Example:
      needlepoint serve
    """
    import uvicorn

    from needlepoint.server.app import create_app
    from needlepoint.server.settings import Serving

    with door.open() as library:
        uvicorn.run(create_app(library, Serving(host=host, port=port)), host=host, port=port)
    return EXIT_HITS
