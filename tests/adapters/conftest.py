"""A library of samples for the adapters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from needlepoint import Library

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "pictures"
NAMES = ("photo-cat", "photo-coffee", "photo-rocket", "desk-00", "desk-01", "toys-08", "yard-00")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters") / "pictures"
    folder.mkdir()
    for name in NAMES:
        with Image.open(SAMPLES / f"{name}.jpg") as image:
            image.convert("RGB").resize((480, 360)).save(folder / f"{name}.jpg", quality=92)
    (folder / "photo-cat.jpg.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>pet</rdf:li>'
        "<rdf:li>indoors</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return folder


@pytest.fixture(scope="session")
def library(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with Library.open(tmp_path_factory.mktemp("adapters-library"), create=True) as opened:
        assert opened.index(pictures).added == len(NAMES)
        yield opened
