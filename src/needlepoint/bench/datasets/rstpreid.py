"""RSTPReid (Zhu et al. 2021, arXiv 2109.05534)."""

from __future__ import annotations

from pathlib import Path

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.people import load_people
from needlepoint.bench.datasets.reading import need_file
from needlepoint.bench.protocol import Protocol


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``data_captions.json``: ``[{"id", "img_path", "captions", "split"}, …]``.

    Five pictures a person, two captions a picture. Test: 200 persons, 1 000 pictures, 2 000
    captions.
    """
    return load_people(card, need_file(card, folder), folder, split, file_field="img_path")
