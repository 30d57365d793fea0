"""Flickr30k captions in Karpathy's split (``dataset_flickr30k.json``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.karpathy import caption_protocol, read_karpathy
from needlepoint.bench.datasets.reading import field, need_file, picture_folder
from needlepoint.bench.protocol import Protocol


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``test`` (1 000 pictures, 5 000 captions) or ``val``.

    The file of the repository AbdulmalikDS/LARE, ``flickr30k.json``, holds the test split in the
    same format and is read as well.
    """

    def file_of(row: Any, place: str) -> str:
        name: str = field(row, "filename", str, card, place)
        return name

    path = need_file(card, folder, "flickr30k.json")
    pictures = read_karpathy(path, card, split, file_of)
    where = picture_folder(card, folder)
    return [caption_protocol(card, "flickr30k/captions", split, where, pictures)]
