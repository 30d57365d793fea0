"""One small library, and servers of it that last for all tests of the door for assistants."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp_kit import HIDDEN, OPEN, Caller, World, connected, serving, stdio
from PIL import Image

from needlepoint import Library

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "pictures"


def _contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))  # of SQLite's readers
    }


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    base = tmp_path_factory.mktemp("mcp")
    made = World(
        base / "library", base / "pictures/open", base / "pictures/hidden", base / "outside.jpg"
    )
    for folder, names in ((made.open, OPEN), (made.hidden, HIDDEN), (base, ("photo-wine",))):
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            with Image.open(SAMPLES / f"{name}.jpg") as image:
                target = made.outside if folder == base else folder / f"{name}.jpg"
                image.convert("RGB").resize((480, 360)).save(target, quality=92)
    with Library.open(made.library, create=True) as library:
        assert library.index(base / "pictures").added == len(OPEN) + len(HIDDEN)
    before = _contents(made.library)
    yield made
    assert _contents(made.library) == before, "the door writes nothing"


@pytest.fixture(scope="session")
def url(world: World) -> Iterator[str]:
    with serving(world.library) as address:
        yield address


@pytest.fixture(scope="session")
def plain(world: World) -> Iterator[Caller]:
    """A client over stdio that offers no folders."""
    with connected(stdio(world.library)) as caller:
        yield caller


@pytest.fixture(scope="session", params=["stdio", "http", "http-legacy"])
def client(request: pytest.FixtureRequest, plain: Caller, url: str) -> Iterator[Caller]:
    """A client that offers no folders, over both transports and of both ages of the protocol."""
    if request.param == "stdio":
        yield plain
        return
    with connected(url, "legacy" if "legacy" in request.param else "auto") as caller:
        yield caller


@pytest.fixture(scope="session", params=["stdio-legacy", "http"])
def rooted(request: pytest.FixtureRequest, world: World, url: str) -> Iterator[Caller]:
    """A client that offers the folder of open pictures."""
    old = request.param == "stdio-legacy"
    to = stdio(world.library) if old else url
    with connected(to, "legacy" if old else "auto", [world.open]) as caller:
        yield caller
