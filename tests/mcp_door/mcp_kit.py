"""The installed command as a server in its own process, and a client of the SDK to drive it."""

from __future__ import annotations

import asyncio
import base64
import functools
import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ListRootsResult, Root
from PIL import Image

COMMAND = str(Path(sys.executable).parent / "needlepoint")
SECONDS = 120  # a generous limit on a loaded machine
OPEN = ("photo-cat", "photo-coffee", "desk-00", "desk-01", "kitchen-04", "toys-08", "yard-00")
HIDDEN = ("photo-dogs", "photo-rocket", "desk-02", "desk-12", "yard-01")


@dataclass(frozen=True)
class World:
    """Folders of pictures, and a library of them but for ``outside``."""

    library: Path
    open: Path
    hidden: Path
    outside: Path
    """A picture that is in no library."""


class Caller:
    """A connected client, called as plain functions; ``roots`` is what it answers when asked."""

    def __init__(self, portal: BlockingPortal, client: Client, roots: list[Path | str]) -> None:
        self._portal, self.client, self.roots = portal, client, roots

    def do(self, name: str, *args: Any, **options: Any) -> Any:
        """A method of the client."""
        return self._portal.call(functools.partial(getattr(self.client, name), *args, **options))

    def tool(self, name: str, **arguments: Any) -> Any:
        """Call a tool that must succeed; its result."""
        result = self.do("call_tool", name, arguments)
        assert not result.is_error, result.content
        return result

    def told(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must succeed; its structured output."""
        return self.tool(name, **arguments).structured_content

    def refused(self, name: str, **arguments: Any) -> str:
        """Call a tool that must fail; the sentence."""
        result = self.do("call_tool", name, arguments)
        assert result.is_error, result.structured_content
        assert [block.type for block in result.content] == ["text"]
        assert "Traceback" not in result.content[0].text
        assert len(result.content[0].text) < 2000
        return result.content[0].text


@contextmanager
def connected(
    to: StdioServerParameters | str, mode: str = "auto", roots: Sequence[Path | str] | None = None
) -> Iterator[Caller]:
    """A client of a command or a URL; with ``roots`` it offers folders, which may be changed."""
    offered = list(roots or ())

    async def told(_: Any) -> ListRootsResult:
        uris = (one if isinstance(one, str) else one.as_uri() for one in offered)
        return ListRootsResult(roots=[Root(uri=uri) for uri in uris])

    client = Client(to, mode=mode, list_roots_callback=None if roots is None else told, cache=None)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(client) as entered:
        yield Caller(portal, entered, offered)


def stdio(library: Path, *options: str) -> StdioServerParameters:
    """The command that serves a library over stdin and stdout."""
    return StdioServerParameters(command=COMMAND, args=["mcp", "--library", str(library), *options])


@contextmanager
def serving(library: Path, *options: str) -> Iterator[str]:
    """A server over HTTP on a free port; gives its URL."""
    process = subprocess.Popen(
        [COMMAND, "mcp", "--http", "--port", "0", "--library", str(library), *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "MCP at http://" in line, line + process.stderr.read()
        yield line.split()[-1]
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=SECONDS)
    assert out == "", "stdout is for data"


def with_token(url: str, token: str) -> Any:
    """A transport that brings a token."""
    client = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS)
    return streamable_http_client(url, http_client=client)


def jpeg(block: Any) -> Image.Image:
    """The picture of an image block, decoded whole."""
    assert (block.type, block.mime_type) == ("image", "image/jpeg")
    image = Image.open(io.BytesIO(base64.b64decode(block.data)))
    image.load()
    assert image.format == "JPEG"
    return image


def images(result: Any) -> list[Any]:
    """The image blocks of a result."""
    return [block for block in result.content if block.type == "image"]


def text(result: Any) -> str:
    """All text of a result."""
    return "\n".join(block.text for block in result.content if block.type == "text")


def run(coroutine: Any) -> Any:
    """Run to the end within the limit."""
    return asyncio.run(asyncio.wait_for(coroutine, SECONDS))
