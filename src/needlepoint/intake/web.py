"""Pictures from the web, never from a private network: for those who allow it."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import anyio
import h11
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from needlepoint.errors import PictureError, UsageError

REDIRECTS = 3
PORTS = {"http": 80, "https": 443}

_CHUNK = 65_536
_TURNS = frozenset({301, 302, 303, 307, 308})
# addresses that carry another within them, which a gateway on the way may take out
_TUNNELS = tuple(
    map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
)
# what Python's own tables do not say of all its versions: carriers' and old site-local networks
_SHARED = tuple(map(ipaddress.ip_network, ("100.64.0.0/10", "192.0.0.0/24", "fec0::/10")))


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def _connect(address: str, port: int) -> ByteStream:
    return await anyio.connect_tcp(address, port)


@dataclass(frozen=True, slots=True)
class Web:
    """How pictures are fetched: what one may cost, and the two ways to the network.

    A host's addresses are looked up once, checked, and connected to as they are: what the name
    means a moment later does not matter. Every redirect is checked anew.

    Args:
        max_bytes: of one picture.
        max_seconds: from the first look-up to the last byte, redirects counted.
        resolve: (host, port) to its addresses.
        connect: (address, port) to a stream.
    """

    max_bytes: int = 64 * 2**20
    max_seconds: float = 20.0
    resolve: Callable[[str, int], Sequence[str]] = _resolve
    connect: Callable[[str, int], Awaitable[ByteStream]] = _connect

    def fetch(self, url: str) -> bytes:
        """The bytes at a URL.

        Raises:
            UsageError: the URL leads to a private network, or is none that is fetched.
            PictureError: it cannot be fetched; says why.
        """
        try:
            return anyio.run(self._fetch, url)
        except TimeoutError:
            raise PictureError(url, f"took longer than {self.max_seconds:g} s") from None
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream, h11.ProtocolError) as error:
            raise PictureError(url, f"cannot be fetched ({type(error).__name__})") from None

    async def _fetch(self, url: str) -> bytes:
        with anyio.fail_after(self.max_seconds):
            at = url
            for _ in range(REDIRECTS + 1):
                found = await self._get(at)
                if isinstance(found, bytes):
                    return found
                at = urljoin(at, found)
            raise PictureError(url, f"leads on more than {REDIRECTS} times")

    async def _get(self, url: str) -> bytes | str:
        """The bytes at a URL, or the URL that it leads to."""
        parts, host, port = _read(url)
        addresses = await anyio.to_thread.run_sync(self.resolve, host, port, abandon_on_cancel=True)
        for address in addresses:
            if not is_public(address):
                raise UsageError(
                    f"{url} leads to {address}, which is no address of the public web; such are "
                    "never fetched"
                )
        if not addresses:
            raise PictureError(url, "has no address")
        stream = await self._reach(addresses, port)
        try:
            if parts.scheme == "https":
                context = ssl.create_default_context()
                stream = await TLSStream.wrap(stream, hostname=host, ssl_context=context)
            return await self._ask(stream, url, parts, host)
        finally:
            await anyio.aclose_forcefully(stream)

    async def _reach(self, addresses: Sequence[str], port: int) -> ByteStream:
        for address in addresses[:-1]:
            try:
                return await self.connect(address, port)
            except OSError:
                continue
        return await self.connect(addresses[-1], port)

    async def _ask(
        self, stream: ByteStream, url: str, parts: SplitResult, host: str
    ) -> bytes | str:
        peer = h11.Connection(h11.CLIENT)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = [
            ("Host", f"[{host}]" if ":" in host else host),
            ("User-Agent", "needlepoint"),
            ("Accept", "image/*"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ]
        asked = h11.Request(method="GET", target=path, headers=headers)
        await stream.send(peer.send(asked) or b"")
        await stream.send(peer.send(h11.EndOfMessage()) or b"")
        body = bytearray()
        while True:
            event = await _next(peer, stream)
            if isinstance(event, h11.Response):
                told = {name.decode("latin-1"): value for name, value in event.headers}
                if event.status_code in _TURNS and b"location" in dict(event.headers):
                    return told["location"].decode("latin-1")
                if event.status_code != 200:
                    raise PictureError(url, f"answered with status {event.status_code}")
                if int(told.get("content-length", b"0")) > self.max_bytes:
                    raise PictureError(url, f"has more than {self.max_bytes} bytes")
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self.max_bytes:
                    raise PictureError(url, f"has more than {self.max_bytes} bytes")
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public web, under any of its disguises.

    Example:
        >>> [is_public(a) for a in ("93.184.216.34", "10.0.0.1", "::ffff:127.0.0.1", "fe80::1%1")]
        [True, False, False, False]
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if any(found in network for network in (*_TUNNELS, *_SHARED)):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_private)


def _read(url: str) -> tuple[SplitResult, str, int]:
    """The parts of a URL, its host as name servers know it, and its port.

    Raises:
        UsageError: it is none that is fetched.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode() if parts.hostname else ""
        plain = url.isascii() and url.isprintable() and " " not in url
    except ValueError:  # UnicodeError is one
        host, port, plain = "", None, False
    if not host or not plain or parts.scheme not in PORTS or "@" in parts.netloc:
        raise UsageError(
            f"{url} is no address that is fetched: http:// or https://, a host, no user, and "
            "only ASCII"
        )
    usual = PORTS[parts.scheme]
    if port not in (None, usual):
        raise UsageError(f"{url} names port {port}; only {usual} is fetched from")
    return parts, host, usual


async def _next(peer: h11.Connection, stream: ByteStream) -> Any:
    while (event := peer.next_event()) is h11.NEED_DATA:
        try:
            peer.receive_data(await stream.receive(_CHUNK))
        except anyio.EndOfStream:
            peer.receive_data(b"")
    return event
