"""INSTRE-XS and INSTRE-XXS: the small objects of INSTRE, in the format of SoIR."""

from __future__ import annotations

from pathlib import Path

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.instances import instance_protocol, local_files, read_annotations
from needlepoint.bench.datasets.reading import need_file
from needlepoint.bench.protocol import Protocol


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``annotations.pt`` or ``anns.pt``: ``{path: {"bbox", "ins", "is_query", "obj_name"}}``.

    The authors state 2 428 queries for 2 065 pictures (XS, objects below 15 % of the picture) and
    106 for 120 (XXS, below 5 %). The lists themselves are not published, so no count was checked.
    """
    annotations = read_annotations(need_file(card, folder, "anns.pt"), card)
    files = local_files(list(annotations), folder)
    return [instance_protocol(card, "instances", split, folder, annotations, files)]
