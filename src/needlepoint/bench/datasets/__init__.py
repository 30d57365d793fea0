"""Loaders for the official annotation files of public datasets. Pictures stay with their owners."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from needlepoint.bench.datasets.cards import CARDS, DatasetCard
from needlepoint.bench.datasets.composed_cards import COMPOSED
from needlepoint.bench.datasets.reading import check_options, check_split, missing_pictures
from needlepoint.bench.dialogues import Dialogues
from needlepoint.bench.protocol import Protocol
from needlepoint.errors import UsageError, nearest

__all__ = [
    "DatasetCard",
    "find_dataset",
    "list_datasets",
    "missing_pictures",
    "open_dataset",
    "open_dialogues",
]


def list_datasets() -> list[DatasetCard]:
    """The cards of all datasets, by name."""
    return sorted(CARDS + COMPOSED, key=lambda card: card.name)


def find_dataset(name: str) -> DatasetCard:
    """The card of a dataset.

    Raises:
        UsageError: no dataset of that name; the message lists them.

    Example:
        >>> find_dataset("rstpreid").file
        'data_captions.json'
    """
    cards = {card.name: card for card in CARDS + COMPOSED}
    if name not in cards:
        raise UsageError(
            f"dataset {name!r} is not known{nearest(name, cards)}. Known: "
            f"{', '.join(sorted(cards))}."
        )
    return cards[name]


def open_dataset(
    name: str,
    folder: str | os.PathLike[str],
    split: str | None = None,
    options: Mapping[str, str] | None = None,
) -> list[Protocol]:
    """Read the annotations of a dataset.

    Args:
        name: one of ``list_datasets()``.
        folder: holds the annotation file and, in it or beside it, the pictures. Pictures are not
            opened; ``missing_pictures`` says which are not there.
        split: one of the card's splits; the first when ``None``.
        options: conventions by name, where papers differ: ``options`` of the card. One that is not
            named has its first value. They are part of the name of every protocol.

    Returns:
        One or more protocols: several where a task can be asked in several ways (Dense-Set with
        and without equal captions, the folds of COCO). Their ``notes`` hold counts and
        conventions.

    Raises:
        UsageError: no such dataset, split or option, no such file (the message says where it
            comes from), or a file of another format.
    """
    card, chosen, module = _loader(name, split)
    picked = check_options(card, options or {})
    protocols: list[Protocol] = module.load(card, Path(folder).expanduser(), chosen, **picked)
    return protocols


def open_dialogues(
    name: str, folder: str | os.PathLike[str], split: str | None = None
) -> Dialogues:
    """Read a dataset of conversations whole; ``open_dataset`` gives a protocol for each round.

    Args:
        name: ``chatir``, ``plugir``, ``genir``, ``dialogues``, ``visdial`` or
            ``multiturn-fashioniq``.
        folder: as in ``open_dataset``.
        split: one of the card's splits; the first when ``None``.

    Raises:
        UsageError: as in ``open_dataset``, or a dataset that holds no conversations.
    """
    card, chosen, module = _loader(name, split)
    if not hasattr(module, "load_dialogues"):
        raise UsageError(f"dataset {name} holds single questions, no conversations.")
    told: Dialogues = module.load_dialogues(card, Path(folder).expanduser(), chosen)
    return told


def _loader(name: str, split: str | None) -> tuple[DatasetCard, str, ModuleType]:
    """The card, the split to open, and the module that reads the dataset."""
    card = find_dataset(name)
    chosen = card.split if split is None else split
    check_split(card, chosen)
    return card, chosen, importlib.import_module(f"needlepoint.bench.datasets.{card.module}")
