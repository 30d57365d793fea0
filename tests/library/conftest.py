"""Small real pictures, a library of them made once, and a quick encoder that counts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from needlepoint.encoders.address import open_encoder
from needlepoint.library import Library
from needlepoint.parts import EncoderCard, ImageFeatures, SpaceCard, TextFeatures

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
NAMES = (
    *("photo-cat", "photo-coffee", "photo-rocket", "photo-astronaut", "photo-dogs", "photo-wine"),
    *("photo-sunset", "desk-00", "desk-01", "kitchen-04", "toys-08", "yard-00", "yard-01"),
)


def save(target: Path, name: str, size: tuple[int, int] = (320, 240)) -> Path:
    """A sample picture, made small, at ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(SAMPLES / "pictures" / f"{name}.jpg") as image:
        image.convert("RGB").resize(size).save(target, quality=92)
    return target


def flat(target: Path, seed: int, size: tuple[int, int] = (40, 30)) -> Path:
    """A tiny picture unlike that of any other seed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(target)
    return target


def tree(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Every file below a folder: its content's hash, mode and mtime in ns."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mode,
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


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


class Fake:
    """Mean colours of a 4 x 4 grid; words are hashed. Counts what it sees."""

    def __init__(self, address: str, weights: str = "1", words: bool = True) -> None:
        answers = ("image", "text") if words else ("image",)
        self.card = EncoderCard(
            address=address, title="fake", family="fake", dim=48,
            spaces=(SpaceCard("joint", 48, "f16", answers),), input_size=32, resize="squash",
            mean=(0, 0, 0), std=(1, 1, 1), interpolation="box", weights_hash=weights,
            licence="none", abilities=("text",) if words else (),
        )  # fmt: skip
        self.seen = 0

    def image_features(self, pictures, *, want=frozenset(), block=-1):
        rows = []
        for pixels in pictures:
            self.seen += 1
            small = Image.fromarray(pixels).resize((4, 4), Image.Resampling.BOX)
            row = np.asarray(small, np.float32).ravel() - 127.5
            rows.append(row / max(float(np.linalg.norm(row)), 1e-6))
        return ImageFeatures(np.stack(rows))

    def text_features(self, texts, *, want=frozenset()):
        rows = [np.random.default_rng(len(t)).normal(size=48).astype(np.float32) for t in texts]
        return TextFeatures(np.stack([r / np.linalg.norm(r) for r in rows]))


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


__all__ = ["NAMES", "SAMPLES", "Fake", "flat", "replace", "save", "tree"]
