"""A library made once for reading, and fresh ones with an encoder that costs nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from library_kit import NAMES, Fake, save, tree

from needlepoint.encoders.address import open_encoder
from needlepoint.library import Library


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of thirteen pictures, two of them below ``trips/``."""
    folder = tmp_path_factory.mktemp("world") / "pictures"
    for name in NAMES:
        below = "trips/" if name in ("photo-sunset", "photo-rocket") else ""
        save(folder / f"{below}{name}.jpg", name, (480, 360) if "photo" in name else (640, 480))
    return folder


@pytest.fixture(scope="session")
def indexed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library of ``pictures`` by the built-in encoder; for reading only."""
    before = tree(pictures)
    with Library.open(tmp_path_factory.mktemp("library"), create=True) as library:
        report = library.index(pictures)
        assert (report.added, report.skipped) == (len(NAMES), [])
        yield library
    assert tree(pictures) == before


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fake]:
    """Every ``onnx:`` address opens a quick encoder; those made are listed by address."""
    made: dict[str, Fake] = {}

    def opened(address: str, **options: object) -> object:
        if not address.startswith("onnx:"):
            return open_encoder(address, **options)
        return made.setdefault(address, Fake(address))

    monkeypatch.setattr("needlepoint.library.roster.open_encoder", opened)
    return made


@pytest.fixture
def fake(fakes: dict[str, Fake]) -> Fake:
    """The quick encoder at ``onnx:/fake``."""
    return fakes.setdefault("onnx:/fake", Fake("onnx:/fake"))


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the pictures that indexing decodes."""
    from needlepoint.library import describing

    seen: list[str] = []
    true = describing.decode

    def counted(source: str, **options: int) -> object:
        seen.append(os.fspath(source))
        return true(source, **options)

    monkeypatch.setattr(describing, "decode", counted)
    return seen


@pytest.fixture
def open_library(tmp_path: Path) -> Iterator[Callable[..., Library]]:
    """``open_library()`` → the library of this test; closed at its end."""
    opened: list[Library] = []

    def get(name: str = "library", **options: bool) -> Library:
        opened.append(Library.open(tmp_path / name, **{"create": True, **options}))
        return opened[-1]

    yield get
    for library in opened:
        library.close()
