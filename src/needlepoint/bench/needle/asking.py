"""What is asked about a crowd, and which pictures answer, may answer, or do not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from needlepoint.bench.needle.captions import (
    SMALL,
    busy_of,
    describe,
    large_things,
    side_of,
    thing_caption,
)
from needlepoint.bench.needle.truth import Part, Placed, ScenePicture, TextQuestion
from needlepoint.bench.needle.words import held_out, kin

Generator = np.random.Generator
Box = tuple[int, int, int, int]
_FAINT = 0.05


def thing_questions(
    pictures: Sequence[ScenePicture],
    words: frozenset[str],
    count: int,
    min_visible: float,
    rng: Generator,
) -> list[TextQuestion]:
    """Questions for small things by word and colour, or by word alone.

    A picture is relevant when a small thing of the word (and colour) shows at least
    ``min_visible`` of itself and no large one does. Left out of the count are pictures where the
    thing is large, shows too little, has its own colour when a colour is asked for, or where
    something of a kindred word might pass for it.

    Args:
        pictures: the set.
        words: words that may be asked for.
        count: most questions; at most a sixth of them name no colour, at most a third a colour
            that training scenes never show with the word.
        min_visible: share (0 to 1) of a thing that must show.
        rng: where the choice comes from.

    Returns:
        The questions, each (word, colour) once.
    """
    pairs = sorted(
        {
            (row.word, colour or "")
            for picture in pictures
            for row in picture.objects
            if row.word in words and row.area_fraction <= SMALL
            for colour in (row.colour, None)
        }
    )
    most = {"plain": count // 6, "new": count // 3, "known": count}
    rows: dict[str, list[TextQuestion]] = {kind: [] for kind in most}
    for place in rng.permutation(len(pairs)):
        word, colour = pairs[int(place)]
        kind = "plain" if not colour else "new" if held_out(word, colour) else "known"
        if len(rows[kind]) < most[kind]:
            asked = thing_question(pictures, Part(word, colour or None), min_visible)
            rows[kind] += [asked] if asked.relevant else []
    chosen = [*rows["plain"], *rows["new"]]
    chosen += rows["known"][: count - len(chosen)]
    return sorted(chosen, key=lambda row: row.text)


def thing_question(
    pictures: Sequence[ScenePicture], part: Part, min_visible: float
) -> TextQuestion:
    """The question for one word and colour, with what answers it in ``pictures``."""
    relevant: dict[str, tuple[Box, ...]] = {}
    junk = []
    for picture in pictures:
        hits, doubt = _holds(picture, part, min_visible)
        if doubt and not hits:
            junk.append(picture.file)
        elif hits and all(row.area_fraction <= SMALL for row in hits):
            relevant[picture.file] = tuple(row.box for row in hits)
        elif hits:
            junk.append(picture.file)
    return TextQuestion(
        task="thing",
        text=thing_caption(part.word, part.colour),
        parts=(part,),
        relevant=tuple(relevant),
        junk=tuple(junk),
        boxes=relevant,
        held_out=held_out(part.word, part.colour),
    )


def whole_questions(
    pictures: Sequence[ScenePicture], words: frozenset[str], count: int, rng: Generator
) -> list[TextQuestion]:
    """Questions for whole pictures, each asked with a caption of its own.

    Every picture of which the caption is true is relevant; those of which it is true but for how
    busy they are, how large a thing is, or a colour that nobody painted, are left out.
    """
    rows: list[TextQuestion] = []
    for place in rng.permutation(len(pictures)):
        if len(rows) == count:
            break
        picture = pictures[int(place)]
        text, parts, busy = describe(picture, rng)
        if not parts or any(part.word not in words for part in parts):
            continue
        fits = {
            other.file: tuple(row.box for row in large_things(other))
            for other in pictures
            if whole_fits(other, parts, busy)
        }
        near = [
            other.file
            for other in pictures
            if other.file not in fits and whole_fits(other, parts, None, strict=False)
        ]
        rows.append(
            TextQuestion(
                task="whole",
                text=text,
                parts=parts,
                relevant=tuple(fits),
                junk=tuple(near),
                boxes={picture.file: fits[picture.file], **fits},
                busy=busy,
                held_out=any(held_out(part.word, part.colour) for part in parts),
            )
        )
    return rows


def whole_fits(
    picture: ScenePicture, parts: Sequence[Part], busy: str | None, *, strict: bool = True
) -> bool:
    """Whether each part names another thing of the picture, and the picture is as busy as said.

    Strictly only large things count, with the colour that was said; otherwise things of any
    size, kindred words, and things in their own colour.
    """
    if busy is not None and busy_of(picture) != busy:
        return False
    things = large_things(picture) if strict else list(picture.objects)
    able = [
        [
            place
            for place, row in enumerate(things)
            if _named(row, part, strict=strict) and part.side in (None, side_of(row, picture.width))
        ]
        for part in parts
    ]
    return _matched(able, frozenset())


def instance_boxes(
    pictures: Sequence[ScenePicture], object_id: str, colour: str | None, min_visible: float
) -> tuple[dict[str, tuple[Box, ...]], tuple[str, ...]]:
    """Pictures that show an object in a colour, with its boxes, and those in doubt.

    In doubt are pictures that show too little of it, or the same object in another colour.
    """
    shown: dict[str, list[Box]] = defaultdict(list)
    doubt = []
    for picture in pictures:
        for row in picture.objects:
            if row.object_id == object_id:
                if row.colour == colour and row.visible_fraction >= min_visible:
                    shown[picture.file].append(row.box)
                else:
                    doubt.append(picture.file)
    found = {file: tuple(boxes) for file, boxes in shown.items()}
    return found, tuple(file for file in dict.fromkeys(doubt) if file not in found)


def _holds(picture: ScenePicture, part: Part, min_visible: float) -> tuple[list[Placed], bool]:
    """The things that a part names for sure, and whether something else might be meant."""
    hits, doubt = [], False
    for row in picture.objects:
        if _named(row, part, strict=True) and row.visible_fraction >= min_visible:
            hits.append(row)
        elif _named(row, part, strict=False) and row.visible_fraction >= _FAINT:
            doubt = True
    return hits, doubt


def _named(row: Placed, part: Part, *, strict: bool) -> bool:
    if row.word == part.word:
        return part.colour in (None, row.colour) or (not strict and row.colour is None)
    if strict or row.word not in kin().get(part.word, frozenset()):
        return False
    return part.colour is None or row.colour in (None, part.colour)


def _matched(able: Sequence[Sequence[int]], taken: frozenset[int]) -> bool:
    if not able:
        return True
    return any(_matched(able[1:], taken | {place}) for place in able[0] if place not in taken)
