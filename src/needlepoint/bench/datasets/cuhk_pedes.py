"""CUHK-PEDES (Li et al. 2017, arXiv 1702.05729)."""

from __future__ import annotations

from pathlib import Path

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.people import load_people
from needlepoint.bench.datasets.reading import need_file, read_json
from needlepoint.bench.protocol import Protocol
from needlepoint.errors import UsageError


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``reid_raw.json``: ``[{"split", "captions", "file_path", "processed_tokens", "id"}, …]``.

    ``caption_all.json`` is taken where its entries name their split; the first edition of that
    file names none and is refused. Test: 1 000 persons, 3 074 pictures, 6 156 captions.
    """
    path = need_file(card, folder, "caption_all.json")
    if path.name == "caption_all.json":
        rows = read_json(path, card)
        if not (isinstance(rows, list) and rows and isinstance(rows[0], dict)) or (
            "split" not in rows[0]
        ):
            raise UsageError(
                f"dataset {card.name}: {path} names no split. reid_raw.json of the same release "
                f"does; put it into {folder}. It comes from: {card.source}."
            )
    return load_people(card, path, folder, split, file_field="file_path")
