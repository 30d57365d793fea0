"""The verb that opens the library to browsers and programs: serve."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from needlepoint.cli.config import read_token
from needlepoint.cli.door import Door, common, reader
from needlepoint.cli.models_outside import open_outside, outside_models
from needlepoint.cli.talk import say
from needlepoint.errors import EXIT_HITS, UsageError


@click.command("serve")
@click.argument("folders", nargs=-1, type=click.Path())
@click.option("--host", metavar="ADDR", help="Address to listen on.  [127.0.0.1]")
@click.option(
    "--port", metavar="N", callback=reader("port"), help="Port; 0 for any free one.  [8417]"
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--token",
    metavar="TOKEN",
    callback=reader("token"),
    help="What every request must show; needed on any other host. Better: NEEDLEPOINT_TOKEN.",
)
@click.option("--token-file", metavar="FILE", help="Read the token from a file.")
@click.option("--name", "names", multiple=True, metavar="NAME", help="Another name of this host.")
@click.option("--tls-cert", metavar="FILE", help="Certificate chain (PEM), for https.")
@click.option("--tls-key", metavar="FILE", help="Its private key (PEM).")
@click.option("--read-only", is_flag=True, help="Change nothing, not even caches.")
@click.option("--allow-index", multiple=True, metavar="DIR", help="A folder the page may index.")
@click.option("--allow-fetch", is_flag=True, help="Let questions name pictures on the web.")
@click.option(
    "--waiting",
    type=click.IntRange(1, 10_000),
    default=64,
    show_default=True,
    help="Questions that may wait; more are turned away.",
)
@click.option(
    "--idle-minutes",
    type=click.FloatRange(0.01, 10_000),
    default=10.0,
    show_default=True,
    help="Let models go after so long without a question.",
)
@outside_models
@common
def serve(
    door: Door,
    folders: tuple[str, ...],
    host: str | None,
    port: int | None,
    open_page: bool,
    token: str | None,
    token_file: str | None,
    names: tuple[str, ...],
    tls_cert: str | None,
    tls_key: str | None,
    read_only: bool,
    allow_index: tuple[str, ...],
    allow_fetch: bool,
    waiting: int,
    idle_minutes: float,
    models: dict[str, Any],
) -> int:
    """Serve the library on this machine: a page for people, an API for programs.

    With FOLDERS, these are indexed in the background while the page is up; without a library, one
    is made. The address is said on stderr as soon as it answers. Ctrl-C ends.

    \b
    Examples:
      needlepoint serve --open
      needlepoint serve ~/Pictures --open
      NEEDLEPOINT_TOKEN=$(openssl rand -hex 16) needlepoint serve --host 0.0.0.0

    \b
    Exit codes: 0 ended by SIGTERM, 2 usage, 3 library missing or cannot be used,
    130 interrupted.
    """
    from needlepoint.server.settings import LOOPBACK, Serving

    settings = door.settings
    if token_file is not None:
        token = _read_token(token_file)
    sources = [_folder(given) for given in folders]
    if read_only and (sources or allow_index):
        raise UsageError("`--read-only` is given, and folders to index: choose one of the two")
    serving = Serving(
        host=settings.choose("host", host),
        port=settings.choose("port", port),
        token=settings.choose("token", token),
        hosts=(*LOOPBACK, socket.gethostname().lower(), *map(str.lower, names)),
        read_only=read_only,
        index_below=(*sources, *map(_folder, allow_index)),
        allow_fetch=allow_fetch,
        waiting=waiting,
        idle_seconds=60 * idle_minutes,
        helpers=open_outside(settings, models),
    )
    if not serving.local and serving.token is None:
        raise UsageError(
            f"`--host` is {serving.host}, which others can reach, and there is no token. Set "
            "NEEDLEPOINT_TOKEN or give --token-file (16 characters or more, such as `openssl rand "
            "-hex 16` makes), or listen on 127.0.0.1"
        )
    tls = _tls(tls_cert, tls_key)
    with door.open(create=bool(sources), read_only=read_only) as library, _listen(serving) as bound:
        _run(door, library, serving, bound, sources, tls, open_page)
    return EXIT_HITS


def _run(
    door: Door,
    library: Any,
    serving: Any,
    bound: socket.socket,
    sources: list[str],
    tls: dict[str, Any],
    open_page: bool,
) -> None:
    import uvicorn

    from needlepoint.server.app import create_app

    level = logging.INFO if door.talk.verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="needlepoint: %(message)s")
    app = create_app(library, serving)
    if sources:
        app.state.shared.jobs.start(sources)
    address = _address(serving.host, bound.getsockname()[1], secure=bool(tls))

    def ready() -> None:
        say(address)
        if open_page:
            proof = f"?token={quote(serving.token)}" if serving.token is not None else ""
            threading.Thread(target=_browse, args=(address + proof,), daemon=True).start()

    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=bool(door.talk.verbose),
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        **tls,
    )
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn ends, and hands it on to this
    _server(config, ready, lambda: app.state.shared.jobs.close(0)).run(sockets=[bound])


def _server(config: Any, ready: Callable[[], None], leave: Callable[[], object]) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        """Says when it listens, and before it ends; who follows a job is let go by that."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            leave()
            await super().shutdown(sockets)

    return Server(config)


def _listen(serving: Any) -> socket.socket:
    """A socket that listens, or a plain word about why there is none."""
    family = socket.AF_INET6 if ":" in serving.host else socket.AF_INET
    try:
        return socket.create_server((serving.host, serving.port), family=family, backlog=512)
    except OSError as error:
        told = (error.strerror or str(error)).lower()
        raise UsageError(
            f"`--host` {serving.host} `--port` {serving.port} cannot be listened on: {told}. "
            "Choose another --port (0 for any free one), or end what uses it"
        ) from None
    except (OverflowError, UnicodeError):
        raise UsageError(
            f"`--host` must be an address or a name. Received: {serving.host!r}"
        ) from (None)


def _address(host: str, port: int, *, secure: bool) -> str:
    """What to open in a browser on this machine."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    name = f"[{here}]" if ":" in here else here
    return f"{'https' if secure else 'http'}://{name}:{port}/"


def _browse(address: str) -> None:
    """Open the page; without a browser nothing is lost."""
    try:
        opened = webbrowser.open(address)
    except Exception:  # whatever a desktop's helper programs do
        opened = False
    if not opened:
        say("no browser could be opened; open the address yourself")


def _folder(given: str) -> str:
    path = os.path.abspath(os.path.expanduser(given))
    if not os.path.exists(path):
        raise UsageError(f"folder {given!r} does not exist")
    return path


def _read_token(file: str) -> str:
    try:
        return read_token(Path(file).expanduser().read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`--token-file` {file!r} cannot be read: {error}") from None
    except ValueError as error:
        raise UsageError(f"`--token-file` {file!r} must hold {error}") from None


def _tls(cert: str | None, key: str | None) -> dict[str, Any]:
    """Options of uvicorn for https; none without a certificate."""
    if cert is None and key is None:
        return {}
    import ssl

    if cert is None:
        raise UsageError("`--tls-key` is given without `--tls-cert`")
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"`--tls-cert` {cert!r} cannot be used: {error}") from None
    return {"ssl_certfile": cert, "ssl_keyfile": key}
