"""What needle edits are drawn from: the pack of the repository, or installed packages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from needlepoint.bench.needle.assets import find_assets
from needlepoint.bench.needle.colours import PAINTS
from needlepoint.bench.needle.materials import KINDS, Material, flat_materials, grounds_of
from needlepoint.bench.needle.words import CROWD_SPLITS, is_word, unit
from needlepoint.errors import UsageError

PACK = Path(__file__).resolve().parents[4] / "materials" / "edits"
"""The committed pack, where this is not an installed copy."""

PATTERNS = {
    "plain": "on a plain {} background",
    "striped": "on a background with {} stripes",
    "chequered": "on a {} chequered background",
    "dotted": "on a background with {} dots",
}
GREYS = ("white", "grey", "black")
_SHARES = (("train", 0.6), ("dev", 0.2), ("test", 0.2))


@dataclass(frozen=True)
class Cut:
    """One cut-out: a picture with transparency, or a letter of the emoji font."""

    path: Path
    glyph: str = ""


@dataclass(frozen=True)
class EditThing:
    """One thing that scenes are made of; ``cuts`` by how it is turned (``""`` from the front)."""

    object_id: str
    word: str
    kind: str
    licence: str
    cuts: Mapping[str, Cut]


@dataclass(frozen=True)
class Ground:
    """What scenes lie on: a photograph, or (without ``path``) a pattern in a colour.

    ``place`` says it in words; empty where nothing short and true can be said.
    """

    name: str
    place: str
    licence: str = "CC0-1.0"
    path: Path | None = None


@dataclass(frozen=True)
class EditPack:
    """The things of one split by word, and its grounds by name."""

    split: str
    words: Mapping[str, tuple[EditThing, ...]]
    grounds: Mapping[str, Ground]
    things: Mapping[str, EditThing] = field(init=False)

    def __post_init__(self) -> None:
        every = {row.object_id: row for rows in self.words.values() for row in rows}
        object.__setattr__(self, "things", every)


def edit_pack(split: str, roots: Sequence[str | Path] = (), folder: Path = PACK) -> EditPack:
    """Read the things and grounds of a split.

    Args:
        split: ``train``, ``dev`` or ``test``; none shares a thing, a photograph or a pattern in a
            colour with another.
        roots: folders that hold a ``usr/share`` with the packages; none takes the pack.
        folder: the pack.

    Returns:
        What scenes of the split are drawn from, words in order.

    Raises:
        UsageError: unknown split, no pack there, or packages that are missing.
    """
    if split not in CROWD_SPLITS:
        raise UsageError(f"split={split!r} is not known (allowed: {', '.join(CROWD_SPLITS)})")
    things, photographs = _packages(split, roots) if roots else _pack(split, folder)
    words: dict[str, list[EditThing]] = {}
    for thing in sorted(things, key=lambda row: row.object_id):
        words.setdefault(thing.word, []).append(thing)
    grounds = [*photographs, *(row for row in _patterns() if deal_edit(row.name) == split)]
    return EditPack(
        split,
        {word: tuple(rows) for word, rows in sorted(words.items())},
        {row.name: row for row in grounds},
    )


def deal_edit(combination: str) -> str:
    """The split that a combination (a word and a colour, a pattern and a colour …) belongs to.

    Example:
        >>> deal_edit("recolour/cup/red") in ("train", "dev", "test")
        True
    """
    position = unit(f"edit/{combination}")
    for split, share in _SHARES:
        position -= share
        if position < 0:
            return split
    return _SHARES[-1][0]


def _patterns() -> list[Ground]:
    return [
        Ground(f"{pattern}/{colour}", place.format(colour))
        for pattern, place in PATTERNS.items()
        for colour in (*PAINTS, *GREYS)
    ]


def _pack(split: str, folder: Path) -> tuple[list[EditThing], list[Ground]]:
    if not (folder / "index.json").is_file():
        raise UsageError(
            f"folder={str(folder)!r} holds no index.json of materials; run from a checkout of the "
            "repository, or give roots (--root) with the packages"
        )
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    things = [
        EditThing(
            row["id"],
            row["word"],
            row["kind"],
            row["licence"],
            {name: Cut(folder / file) for name, file in row["files"].items()},
        )
        for row in index["things"]
        if row["split"] == split
    ]
    grounds = [
        Ground(row["name"], row["place"], row["licence"], folder / row["file"])
        for row in index["grounds"]
        if row["split"] == split
    ]
    return things, grounds


def _packages(split: str, roots: Sequence[str | Path]) -> tuple[list[EditThing], list[Ground]]:
    assets = find_assets(roots, need=("stamps", "backgrounds"))
    flat = [row for row in flat_materials(assets, roots, KINDS) if row.split == split]
    things = [_thing(row) for row in flat if is_word(row.word)]
    grounds = [
        Ground(row.name, "", row.licence, row.path) for row in grounds_of(assets.backgrounds, split)
    ]
    return things, grounds


def _thing(row: Material) -> EditThing:
    assert row.path is not None
    cuts = {"": Cut(row.path, row.glyph)}
    return EditThing(row.object_id, row.word, row.kind, row.licence, cuts)
