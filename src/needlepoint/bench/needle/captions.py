"""Saying what a crowd shows: captions of things, of whole pictures and of pieces of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.bench.needle.truth import Part, Placed, ScenePicture
from needlepoint.bench.needle.words import is_word, phrase

LARGE = 0.06
SMALL = 0.04
_SIDES = {"left": "on the left", "middle": "in the middle", "right": "on the right"}
_BUSY = {
    "alone": (" and nothing else", ", with nothing else around", " alone"),
    "few": (
        " with a few small things",
        " and a few small objects around",
        " with few small things",
    ),
    "many": (" among many small things", " surrounded by many small objects", " with many things"),
    "crowd": (" in a crowd of small things", " in a very crowded scene", " among a mass of things"),
}
_SCENES = ("", "", "a photo of ", "a picture of ", "a scene with ", "there is ", "")
_THINGS = (
    "{}",
    "{}",
    "a photo of {}",
    "a picture of {}",
    "a close-up of {}",
    "there is {}",
    "{} here",
)
_ADJECTIVES = ("small", "little", "tiny")
Generator = np.random.Generator
Box = tuple[int, int, int, int]


def thing_caption(word: str, colour: str | None) -> str:
    """What a thing is called: ``a red sofa``; without a colour where it has its own."""
    return phrase(word, colour)


def large_things(picture: ScenePicture, least: float = 0.5) -> list[Placed]:
    """The large things of which at least ``least`` (0 to 1) shows."""
    return [
        row
        for row in picture.objects
        if row.area_fraction >= LARGE and row.visible_fraction >= least
    ]


def side_of(placed: Placed, width: int) -> str:
    """Whether the middle of a thing's box lies ``left``, in the ``middle`` or ``right``."""
    middle = (placed.box[0] + placed.box[2] / 2) / width
    return "left" if middle < 0.4 else "right" if middle > 0.6 else "middle"


def busy_of(picture: ScenePicture) -> str:
    """By its small things: ``alone``, ``few`` (1 to 4), ``many`` (5 to 14) or ``crowd``."""
    small = sum(row.area_fraction <= SMALL for row in picture.objects)
    return "alone" if small == 0 else "few" if small < 5 else "many" if small < 15 else "crowd"


def describe(picture: ScenePicture, rng: Generator) -> tuple[str, tuple[Part, ...], str | None]:
    """A caption of the whole picture: its large things, mostly where they are and how busy it is.

    Returns:
        The caption, what it says of each large thing, and how busy it says the picture is
        (``None`` when it does not); no parts when the picture has no large thing.
    """
    large = large_things(picture)
    busy = busy_of(picture)
    if not large:
        return f"only small things{'' if busy == 'few' else ', a lot of them'}", (), None
    sided, counted = rng.random() < 0.75, rng.random() < 0.75
    parts = tuple(
        Part(row.word, row.colour, side_of(row, picture.width) if sided else None)
        for row in (large[int(place)] for place in rng.permutation(len(large)))
    )
    said = [
        phrase(part.word, part.colour) + (f" {_SIDES[part.side]}" if part.side else "")
        for part in parts
    ]
    text = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    text = _one(_SCENES, rng) + text + (_one(_BUSY[busy], rng) if counted else "")
    return text, parts, busy if counted else None


def write_captions(
    folder: Path, pictures: Sequence[ScenePicture], seed: Sequence[int], min_visible: float
) -> int:
    """Write ``captions.jsonl``: pairs of a picture (or a piece of it) and words, for training.

    Columns are ``file``, ``box`` (``[x, y, w, h]`` in pixels, or null for the whole picture),
    ``text`` and ``kind`` (``whole`` or ``thing``).

    Returns:
        The number of rows.
    """
    count = 0
    with (folder / "captions.jsonl").open("w", encoding="utf-8") as file:
        for number, picture in enumerate(pictures):
            for row in _pairs(picture, np.random.default_rng([*seed, number]), min_visible):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
    return count


def _pairs(picture: ScenePicture, rng: Generator, min_visible: float) -> Iterator[dict[str, Any]]:
    texts = dict.fromkeys(describe(picture, rng)[0] for _ in range(3))
    if large_things(picture):
        for text in texts:
            yield {"file": picture.file, "box": None, "text": text, "kind": "whole"}
    shown = [
        row for row in picture.objects if row.visible_fraction >= min_visible and is_word(row.word)
    ]
    order = [shown[int(place)] for place in rng.permutation(len(shown))]
    for row in order[:12]:
        # Close around the thing, then with context: up to four times as wide as the thing.
        for factor in (float(rng.uniform(1.0, 1.4)), float(rng.uniform(1.6, 4.0))):
            adjective = ""
            if factor > 1.6 and row.area_fraction <= SMALL and rng.random() < 0.3:
                adjective = _one(_ADJECTIVES, rng)
            text = _one(_THINGS, rng).format(phrase(row.word, row.colour, adjective))
            box = _around(row.box, factor, picture, rng)
            yield {"file": picture.file, "box": list(box), "text": text, "kind": "thing"}


def _around(box: Box, factor: float, picture: ScenePicture, rng: Generator) -> Box:
    """A box ``factor`` times as large, nearly square, the thing anywhere in it."""
    x, y, w, h = box
    long = max(w, h)
    wide = min(picture.width, round(factor * (0.6 * w + 0.4 * long)))
    high = min(picture.height, round(factor * (0.6 * h + 0.4 * long)))
    wide, high = max(wide, min(w, picture.width)), max(high, min(h, picture.height))
    left = x - int(rng.integers(0, wide - w + 1))
    top = y - int(rng.integers(0, high - h + 1))
    left = min(max(left, 0), picture.width - wide)
    top = min(max(top, 0), picture.height - high)
    return left, top, wide, high


def _one(choices: Sequence[str], rng: Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
