"""A small indexed library for all tests of the server, and a client that asks it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from server_kit import NAMES, SAMPLES, Ask

from needlepoint.library import Library
from needlepoint.server.app import create_app
from needlepoint.server.settings import Serving


@pytest.fixture(scope="session")
def served_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve sample pictures."""
    folder = tmp_path_factory.mktemp("served") / "pictures"
    folder.mkdir()
    for name in NAMES:
        shutil.copy(SAMPLES / f"{name}.jpg", folder)
    return folder


@pytest.fixture(scope="session")
def served_folder(served_pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a library of ``served_pictures``; copy it before writing."""
    folder = tmp_path_factory.mktemp("library") / "library"
    with Library.open(folder, create=True) as library:
        library.index(served_pictures)
    return folder


@pytest.fixture(scope="session")
def served(served_folder: Path) -> Iterator[Library]:
    """The library, open; for reading only."""
    with Library.open(served_folder) as library:
        yield library


@pytest.fixture
def library(served_folder: Path, tmp_path: Path) -> Iterator[Library]:
    """A copy of the library that a test may write to, open."""
    shutil.copytree(served_folder, tmp_path / "library")
    with Library.open(tmp_path / "library") as opened:
        yield opened


@pytest.fixture
def ask(served: Library) -> Iterator[Ask]:
    """``ask(token="…", …)`` → a client of a server with these settings, closed at the end."""
    opened: list[TestClient] = []

    def start(library: Library = served, **settings: object) -> TestClient:
        app = create_app(library, Serving(**settings))  # type: ignore[arg-type]
        client = TestClient(app, base_url="http://127.0.0.1:8417", follow_redirects=False)
        opened.append(client.__enter__())
        return opened[-1]

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(ask: Ask) -> TestClient:
    """A client of a server with the usual settings."""
    return ask()
