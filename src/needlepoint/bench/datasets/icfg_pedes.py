"""ICFG-PEDES (Ding et al. 2021, arXiv 2107.12666)."""

from __future__ import annotations

from pathlib import Path

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.people import load_people
from needlepoint.bench.datasets.reading import need_file
from needlepoint.bench.protocol import Protocol


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``ICFG-PEDES.json``: ``[{"split", "captions", "file_path", "processed_tokens", "id"}, …]``.

    One caption a picture; there is no validation split. Some copies are named ``ICFG_PEDES.json``.
    Test: 1 000 persons, 19 848 pictures and captions.
    """
    path = need_file(card, folder, "ICFG_PEDES.json")
    return load_people(card, path, folder, split, file_field="file_path")
