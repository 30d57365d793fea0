"""VoxDet-SoIR (arXiv 2503.07038), built on VoxDet (arXiv 2305.17220): ``anns.pt``."""

from __future__ import annotations

from pathlib import Path

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.instances import instance_protocol, local_files, read_annotations
from needlepoint.bench.datasets.reading import need_file
from needlepoint.bench.protocol import Protocol
from needlepoint.errors import UsageError

_SETS = {"test": "RoboTools", "owid": "OWID"}


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``test``: frames of the videos of RoboTools ask for its scenes; ``owid``: the training set.

    Entries are ``{path: {"bbox", "mask", "is_query", "ins", "set", "num_ins"}}``, where ``set`` is
    ``RoboTools`` or ``OWID``; a scene has lists of boxes and ids, a query one of each. Paths are
    absolute where the file was made; what follows ``RoboTools/`` or ``OWID/`` is looked for in
    the folder. The box of a query ends at its last pixel, as the published program writes it, so
    it is one pixel short on two sides. The authors state 24 test scenes, 20 objects, 9 109 boxes.
    """
    path = need_file(card, folder, "annotations.pt")
    everything = read_annotations(path, card)
    chosen = {file: row for file, row in everything.items() if row.get("set") == _SETS[split]}
    if not chosen:
        raise UsageError(f"dataset {card.name}: {path} holds no entry of the set {_SETS[split]}.")
    mark = f"/{_SETS[split]}/"
    if all(mark in f"/{file}" for file in chosen):
        files = {file: mark[1:] + f"/{file}".rsplit(mark, 1)[1] for file in chosen}
    else:
        files = local_files(list(chosen), folder)
    return [instance_protocol(card, _SETS[split].lower(), split, folder, chosen, files)]
