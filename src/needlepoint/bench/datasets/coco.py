"""COCO captions in Karpathy's split (``dataset_coco.json``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.karpathy import caption_protocol, read_karpathy
from needlepoint.bench.datasets.reading import field, need_file
from needlepoint.bench.protocol import Protocol

_FOLD = 1000


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``test`` (5 000 pictures, all their captions: 25 010, of which some papers keep the first
    five a picture), ``val``, or ``test-1k``: the folds of 1 000 pictures in the order of the file.

    Pictures are looked for as ``val2014/COCO_val2014_….jpg`` in the folder.
    """

    def file_of(row: Any, place: str) -> str:
        subfolder = field(row, "filepath", str, card, place)
        return f"{subfolder}/{field(row, 'filename', str, card, place)}"

    path = need_file(card, folder)
    pictures = read_karpathy(path, card, split.partition("-")[0], file_of)
    if split != "test-1k":
        return [caption_protocol(card, "coco/captions", split, folder, pictures)]
    folds = [pictures[start : start + _FOLD] for start in range(0, len(pictures), _FOLD)]
    return [
        caption_protocol(card, f"coco/captions-fold-{number}", split, folder, fold)
        for number, fold in enumerate(folds, start=1)
    ]
