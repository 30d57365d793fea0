"""Pictures from the web: addresses checked as they are connected to, redirects too, all bounded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest
from anyio.abc import ByteStream

from needlepoint.errors import PictureError, UsageError
from needlepoint.intake.web import Web, is_public

PUBLIC = "93.184.216.34"
Reply = tuple[int, dict[str, str], bytes]


class Site:
    """A real server on this machine; ``pages`` maps paths to status, headers and body."""

    def __init__(self) -> None:
        self.pages: dict[str, Reply] = {"/cat.jpg": (200, {}, b"the cat")}
        self.asked: list[tuple[str, str]] = []
        self.stop = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.headers["Host"], self.path))
                status, headers, body = site.pages.get(self.path, (404, {}, b""))
                self.send_response(status)
                if "Transfer" not in headers:
                    headers = {"Content-Length": str(len(body)), **headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                if "Slow" in headers:
                    site.stop.wait(30)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.stop.set()
    site.server.shutdown()
    site.server.server_close()


Make = Callable[..., Web]


@pytest.fixture
def web(site: Site) -> Make:
    """``web(names={…})`` fetches; public addresses lead to the site, and no others are let by."""

    def make(names: dict[str, list[str]] | None = None, **limits: float) -> Web:
        known = {"example.org": [PUBLIC], **(names or {})}

        def resolve(host: str, port: int) -> list[str]:
            if host not in known:
                raise socket.gaierror("unknown")
            return known[host]

        async def connect(address: str, port: int) -> ByteStream:
            assert is_public(address), "only what was checked is connected to"
            return await anyio.connect_tcp("127.0.0.1", site.server.server_port)

        return Web(resolve=resolve, connect=connect, **limits)  # type: ignore[arg-type]

    return make


def test_a_picture_is_fetched(web: Make, site: Site) -> None:
    assert web().fetch("http://example.org/cat.jpg") == b"the cat"
    assert site.asked == [("example.org", "/cat.jpg")]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1"),
        *("169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "192.0.2.1", "203.0.113.9"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0::1"),
        *("2001:db8::1", "", "localhost"),
    ],
)
def test_private_addresses_are_refused(web: Make, site: Site, address: str) -> None:
    assert not is_public(address)
    with pytest.raises(UsageError, match="no address of the public web"):
        web({"inside.example": [PUBLIC, address]}).fetch("http://inside.example/cat.jpg")
    assert site.asked == []


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:2800:220:1::", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]"])
def test_a_real_server_on_this_machine_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="no address of the public web"):
        Web().fetch(f"http://{host}/cat.jpg")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/cat.jpg",
        "file:///etc/passwd",
        "gopher://example.org/1",
        "http://user:word@example.org/cat.jpg",
        "http://example.org:8080/cat.jpg",
        "http://example.org:22/",
        "https://example.org:80/",
        "http://example.org:99999/",
        "http:///cat.jpg",
        "http://[::1/cat.jpg",
        "http://example.org/a b",
        "http://example.org/\r\nX: y",
        "http://" + "a" * 70 + ".org/",
    ],
)
def test_other_addresses_are_refused(web: Make, site: Site, url: str) -> None:
    with pytest.raises(UsageError):
        web().fetch(url)
    assert site.asked == []


def test_redirects_are_followed_and_checked(web: Make, site: Site) -> None:
    site.pages["/a"] = (302, {"Location": "/cat.jpg"}, b"")
    assert web().fetch("http://example.org/a") == b"the cat"
    site.pages["/in"] = (301, {"Location": "http://inside.example/secret"}, b"")
    with pytest.raises(UsageError, match=r"10\.0\.0\.1"):
        web({"inside.example": ["10.0.0.1"]}).fetch("http://example.org/in")
    site.pages["/port"] = (307, {"Location": "http://example.org:8080/"}, b"")
    with pytest.raises(UsageError, match="port"):
        web().fetch("http://example.org/port")
    site.pages["/file"] = (308, {"Location": "file:///etc/passwd"}, b"")
    with pytest.raises(UsageError):
        web().fetch("http://example.org/file")
    site.pages["/round"] = (302, {"Location": "/round"}, b"")
    with pytest.raises(PictureError, match="more than 3 times"):
        web().fetch("http://example.org/round")


def test_a_name_that_changes_its_meaning_gains_nothing(site: Site) -> None:
    meanings = iter([[PUBLIC], ["127.0.0.1"]])
    connected: list[str] = []

    async def connect(address: str, port: int) -> ByteStream:
        connected.append(address)
        return await anyio.connect_tcp("127.0.0.1", site.server.server_port)

    fetching = Web(resolve=lambda host, port: next(meanings), connect=connect)
    assert fetching.fetch("http://rebind.example/cat.jpg") == b"the cat"
    assert connected == [PUBLIC]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((404, {}, b""), "status 404"),
        ((204, {}, b""), "status 204"),
        ((200, {}, b"x" * 2000), "more than 1000 bytes"),
        ((200, {"Transfer": "close"}, b"x" * 2000), "more than 1000 bytes"),
        ((200, {"Content-Length": "900"}, b"short"), "cannot be fetched"),
        ((200, {"Content-Length": "-1"}, b""), "cannot be fetched"),
        ((200, {"X": "y" * 200_000}, b""), "cannot be fetched"),
        ((302, {}, b""), "status 302"),
    ],
)
def test_what_is_no_picture_says_why(web: Make, site: Site, reply: Reply, said: str) -> None:
    site.pages["/odd"] = reply
    with pytest.raises(PictureError, match=said):
        web(max_bytes=1000).fetch("http://example.org/odd")


def test_a_slow_server_is_left(web: Make, site: Site) -> None:
    site.pages["/slow"] = (200, {"Content-Length": "100", "Slow": "yes"}, b"x")
    with pytest.raises(PictureError, match=r"took longer than 0\.3 s"):
        web(max_seconds=0.3).fetch("http://example.org/slow")


def test_the_next_address_is_tried(site: Site) -> None:
    async def connect(address: str, port: int) -> ByteStream:
        if ":" in address:
            raise OSError("no way there")
        return await anyio.connect_tcp("127.0.0.1", site.server.server_port)

    fetching = Web(resolve=lambda host, port: ["2606:2800:220:1::", PUBLIC], connect=connect)
    assert fetching.fetch("http://example.org/cat.jpg") == b"the cat"


def test_unknown_names_and_tls_that_fails_are_told(web: Make) -> None:
    with pytest.raises(PictureError, match="cannot be fetched"):
        web().fetch("http://unknown.example/cat.jpg")
    with pytest.raises(PictureError, match="cannot be fetched"):
        web().fetch("https://example.org/cat.jpg")
