"""Dialogues about a picture in the format of ChatIR (Levy et al. 2023, arXiv 2305.20062).

PlugIR's files have the same format with a rewritten caption in place of each round, GenIR's add a
rendering of each round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.reading import count_notes, field, picture_folder, read_json
from needlepoint.bench.dialogues import Dialogues, Recorded, Round
from needlepoint.bench.protocol import Item, Protocol
from needlepoint.errors import UsageError

SPACES = (
    "ChatIR_Protocol/Search_Space_val_50k.json",
    "Protocol/Search_Space_val_50k.json",
    "search_space.json",
)
"""Where the list of pictures is looked for: as in ChatIR's and PlugIR's repositories, or beside."""

FILES = {
    "visdial": "VisDial_v1.0_queries_val.json",
    "human": "Human_BLIP2.json",
    "chatgpt": "ChatGPT_BLIP2.json",
    "flan-alpaca": "FLAN_ALPACA_XXL_BLIP2.json",
    "unanswered": "Unanswered_ChatGPT_BLIP2.json",
    "plugir": "ours_final_q_n_5_recall_hitting_10_thres_low_500_recon_true_referring_true_"
    "filtering_true_select_true_reconed.json",
    "joined": "joined.json",
    "rewritten": "rewritten.json",
}
WHOLE = ("plugir", "rewritten")
"""Splits whose rounds stand alone."""

RENDERINGS = "generated"


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """One protocol a round; see ``load_dialogues``."""
    return list(load_dialogues(card, folder, split).protocols())


def load_dialogues(card: DatasetCard, folder: Path, split: str) -> Dialogues:
    """``dialogues/FILE``: ``[{"img": path, "dialog": [caption, "question? answer", …]}, …]``.

    The search space is a JSON list of paths, and the path is the id. In ``genir`` the rounds are
    ``generated/STEM_ROUND.jpg``; a target that lacks one is left out of every round.
    """
    names = {name: f"dialogues/{file}" for name, file in FILES.items()}
    path = folder / names.get(split, card.file)
    if not path.is_file():
        raise UsageError(
            f"dataset {card.name} needs {names.get(split, card.file)} in {folder}, which is not "
            f"there. It comes from: {card.source}."
        )
    spaces = [folder / name for name in SPACES if (folder / name).is_file()]
    if not spaces:
        raise UsageError(
            f"dataset {card.name} needs the search space ({' or '.join(SPACES)}) in {folder}; "
            f"none is there. It comes from: {card.source}."
        )
    gallery = _space(read_json(spaces[0], card), card)
    rows = read_json(path, card)
    if not isinstance(rows, list) or not rows:
        raise UsageError(f"dataset {card.name}: {path} holds no list of dialogues.")
    talks = [_talk(row, card, number) for number, row in enumerate(rows)]
    targets = _places([talk.target for talk in talks], gallery, card)
    talks = [replace(talk, target=name) for talk, name in zip(talks, targets, strict=True)]
    told = Dialogues(
        name=card.name,
        split=split,
        folder=str(picture_folder(card, folder)),
        gallery=tuple(Item(name, name) for name in gallery),
        talks=tuple(talks),
        whole=split in WHOLE,
        licence=card.licence,
        notes=_notes(card, split, gallery, talks),
    )
    return told if card.name != "genir" else with_renderings(told, folder / RENDERINGS)


def with_renderings(told: Dialogues, renderings: Path) -> Dialogues:
    """The dialogues as pictures made of them: ``STEM_ROUND.jpg``, STEM that of the target's name.

    A target without a rendering for each of its rounds is left out of all rounds, so that every
    round is asked of the same targets.

    Raises:
        UsageError: no target has all its renderings.
    """
    there = {path.name for path in renderings.glob("*.jpg")} if renderings.is_dir() else set()
    kept = []
    for talk in told.talks:
        stem = PurePosixPath(talk.target).stem
        names = [f"{stem}_{turn}.jpg" for turn in range(len(talk.rounds))]
        if there.issuperset(names):
            rounds = tuple(
                Round(one.text, str(renderings / name))
                for one, name in zip(talk.rounds, names, strict=True)
            )
            kept.append(replace(talk, rounds=rounds))
    if not kept:
        raise UsageError(
            f"dialogues {told.name}: {renderings} holds STEM_ROUND.jpg of all rounds for none of "
            f"the {len(told.talks)} targets"
        )
    left = len(told.talks) - len(kept)
    notes = (*told.notes, f"{len(kept)} targets with all renderings, {left} left out")
    return replace(told, talks=tuple(kept), whole=True, notes=notes)


def _space(paths: Any, card: DatasetCard) -> list[str]:
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise UsageError(f"dataset {card.name}: the search space must be a JSON list of paths.")
    names = [_normal(path) for path in paths]
    if len(set(names)) != len(names):
        raise UsageError(f"dataset {card.name}: the search space names a picture twice.")
    return names


def _normal(path: str) -> str:
    """A path as the search space writes it: slashes, and nothing that stands for itself."""
    return PurePosixPath(path.replace("\\", "/")).as_posix()


def _places(paths: Iterable[str], gallery: Sequence[str], card: DatasetCard) -> list[str]:
    """The pictures of the search space that targets mean; their paths may begin elsewhere.

    Raises:
        UsageError: a target that is not there, or might be several.
    """
    held = set(gallery)
    ends: dict[str, list[str]] = {}
    for name in gallery:
        ends.setdefault(PurePosixPath(name).name, []).append(name)
    found = []
    for path in paths:
        name = _normal(path)
        near = ends.get(PurePosixPath(name).name, [])
        fits = [other for other in near if f"/{name}".endswith(f"/{other}")] or [
            other for other in near if f"/{other}".endswith(f"/{name}")
        ]
        if name not in held and len(fits) != 1:
            raise UsageError(
                f"dataset {card.name}: the target {path!r} is "
                f"{'not' if not fits else 'more than once'} in the search space of {len(held)} "
                "pictures. Use the search space that belongs to these dialogues."
            )
        found.append(name if name in held else fits[0])
    return found


def _talk(row: Any, card: DatasetCard, number: int) -> Recorded:
    place = f"dialogue {number}"
    said = field(row, "dialog", list, card, place)
    if not said or not all(isinstance(text, str) for text in said):
        raise UsageError(f"dataset {card.name}: {place} has a round that is no text, or none.")
    return Recorded(
        f"{number:05d}",
        field(row, "img", str, card, place),
        tuple(Round(text.strip()) for text in said),
    )


def _notes(
    card: DatasetCard, split: str, gallery: Sequence[str], talks: Sequence[Recorded]
) -> tuple[str, ...]:
    rounds = sorted({len(talk.rounds) for talk in talks})
    told = f"{rounds[0]}" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"
    joined = "each round is asked alone" if split in WHOLE else "rounds are joined by ', '"
    return (
        *count_notes(card, split, len(gallery), len(talks)),
        f"{told} rounds a dialogue, the caption counted; {joined}",
    )
