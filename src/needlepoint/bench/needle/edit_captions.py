"""Saying what a picture of needle edits shows, and pairs and texts for training."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.bench.needle.edit_graph import Content, Thing
from needlepoint.bench.needle.edit_pack import EditPack
from needlepoint.bench.needle.edit_truth import EditPicture
from needlepoint.bench.needle.edit_words import STYLES, VIEWS, plural_of
from needlepoint.bench.needle.words import phrase

Generator = np.random.Generator
CAPTIONS_FILE = "captions.jsonl"
TEXTS_FILE = "captions.txt"
_STARTS = ("", "", "", "a photo of ", "a picture of ", "there is ")
_ADJECTIVES = {"": "", "bigger": "big", "smaller": "small"}
_SMALL = 0.03
_MOST_BOXES = 4


def said(thing: Thing, number: int = 1) -> str:
    """A thing in words: ``a big red dog``, ``three cats``."""
    adjective = _ADJECTIVES[thing.size]
    if number == 1:
        return phrase(thing.word, thing.colour, adjective)
    count = {2: "two", 3: "three"}.get(number, "several")
    parts = (count, adjective, thing.colour, plural_of(thing.word))
    return " ".join(part for part in parts if part)


def caption_of(content: Content, place: str, rng: Generator) -> str:
    """A caption of a whole picture: its large things, small ones in part, ground and look."""
    counted = Counter((thing.word, thing.colour, thing.size) for thing in content.things)
    first = {(thing.word, thing.colour, thing.size): thing for thing in content.things}
    large = [key for key, thing in first.items() if thing.area >= _SMALL or thing.size == "bigger"]
    small = [key for key in first if key not in large]
    shown = [*_shuffled(large, rng), *_shuffled(small, rng)[:2]]
    parts = [said(first[key], counted[key]) for key in shown]
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    if len(small) > 2:
        text += " among small things"
    text = _STARTS[int(rng.integers(len(_STARTS)))] + text
    if place and rng.random() < 0.8:
        text += f" {place}"
    if content.style and rng.random() < 0.8:
        text += f", {STYLES[content.style]}"
    if content.view and rng.random() < 0.8:
        text += f", {VIEWS[content.view]}"
    return text


def write_edit_captions(
    folder: Path, pack: EditPack, pictures: Sequence[EditPicture], seed: Sequence[int], texts: int
) -> None:
    """Write ``captions.jsonl`` (pairs, as crowds have them) and ``captions.txt`` (texts alone).

    Args:
        folder: the set.
        pack: words and grounds for the texts alone.
        pictures: of the set.
        seed: of the set.
        texts: how many lines of texts without a picture.
    """
    with (folder / CAPTIONS_FILE).open("w", encoding="utf-8") as file:
        for number, picture in enumerate(pictures):
            for row in _pairs(picture, np.random.default_rng([*seed, 1, number])):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    rng = np.random.default_rng([*seed, 2])
    lines = dict.fromkeys(picture.caption for picture in pictures)
    lines |= dict.fromkeys(_text(pack, rng) for _ in range(texts))
    (folder / TEXTS_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _pairs(picture: EditPicture, rng: Generator) -> Iterator[dict[str, Any]]:
    yield {"file": picture.file, "box": None, "text": picture.caption, "kind": "whole"}
    shown = [row for row in picture.things if row.visible >= 0.5]
    for place in rng.permutation(len(shown))[:_MOST_BOXES]:
        row = shown[int(place)]
        text = phrase(row.thing.word, row.thing.colour)
        yield {"file": picture.file, "box": list(row.box), "text": text, "kind": "thing"}


def _text(pack: EditPack, rng: Generator) -> str:
    """A caption of a scene that was never made."""
    words = list(pack.words)
    colours = sorted({name.partition("/")[2] for name in pack.grounds if "/" in name})
    things = []
    for place in rng.permutation(len(words))[: int(rng.integers(1, 4))]:
        colour = colours[int(rng.integers(len(colours)))] if rng.random() < 0.5 else None
        things.append(Thing("", words[int(place)], colour))
    grounds = [row.place for row in pack.grounds.values() if row.place]
    place = grounds[int(rng.integers(len(grounds)))] if rng.random() < 0.5 else ""
    styles = list(STYLES) if rng.random() < 0.15 else [""]
    style = styles[int(rng.integers(len(styles)))]
    return caption_of(Content("", tuple(things), style), place, rng)


def _shuffled(rows: list[Any], rng: Generator) -> list[Any]:
    return [rows[int(place)] for place in rng.permutation(len(rows))]
