"""What a picture of needle edits holds, what a change asks for, and whether one answers it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

KINDS = (
    "replace",
    "add",
    "remove",
    "recolour",
    "resize",
    "count",
    "move",
    "background",
    "style",
    "viewpoint",
)
TURNS = ("back", "above")
_NEAR_EDGE = 0.35
_NUMBERS = {"one": 1, "two": 2, "three": 3}


@dataclass(frozen=True)
class Thing:
    """A thing of a scene, wherever it lies.

    ``colour`` is the paint it got (``None``: its own), ``size`` ``""``, ``bigger`` or ``smaller``
    than in the scene it comes from, ``turned`` how a model was turned, ``area`` the share of the
    picture its mask shall take before ``size`` changes it.
    """

    object_id: str
    word: str
    colour: str | None = None
    size: str = ""
    turned: str = ""
    area: float = 0.08


@dataclass(frozen=True)
class Content:
    """All of a picture that a change may speak of, but for places: ground, look, things."""

    ground: str
    things: tuple[Thing, ...]
    style: str = ""
    view: str = ""


@dataclass(frozen=True)
class Change:
    """What is to be different.

    ``subject`` is the word of the thing meant (empty where all of the picture is), ``value`` what
    it becomes: a word, a colour, ``bigger``, ``three``, ``left``, a place, a style, a view.
    """

    kind: str
    subject: str
    value: str


def middle_of(box: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[float, float]:
    """The middle of a box, as shares of width and height."""
    return (box[0] + box[2] / 2) / size[0], (box[1] + box[3] / 2) / size[1]


def stands(middle: tuple[float, float], side: str) -> bool:
    """Whether a thing whose middle is there stands at the ``left``, ``right``, ``top``, ``bottom``.

    Example:
        >>> stands((0.2, 0.5), "left"), stands((0.5, 0.5), "top")
        (True, False)
    """
    x, y = middle
    reach = {"left": x, "right": 1 - x, "top": y, "bottom": 1 - y}
    return reach[side] < _NEAR_EDGE


def apply(before: Content, change: Change, new: Thing | None = None, ground: str = "") -> Content:
    """The scene after a change; a move leaves it as it is, since contents know no places.

    Args:
        before: the scene.
        change: what becomes different.
        new: the thing that comes in (``replace``, ``add``).
        ground: the name of the new ground (``background``).
    """
    meant = [thing for thing in before.things if thing.word == change.subject]
    others = tuple(thing for thing in before.things if thing.word != change.subject)
    match change.kind:
        case "replace":
            assert new is not None
            come = tuple(replace(new, area=thing.area) for thing in meant)
            return replace(before, things=(*others, *come))
        case "add":
            assert new is not None
            return replace(before, things=(*before.things, new))
        case "remove":
            return replace(before, things=others)
        case "recolour":
            made = tuple(replace(thing, colour=change.value) for thing in meant)
            return replace(before, things=(*others, *made))
        case "resize":
            made = tuple(replace(thing, size=change.value) for thing in meant)
            return replace(before, things=(*others, *made))
        case "count":
            return replace(before, things=(*others, *(meant[:1] * _NUMBERS[change.value])))
        case "background":
            return replace(before, ground=ground)
        case "style":
            return replace(before, style=change.value)
        case "viewpoint" if change.value in TURNS:
            made = tuple(replace(thing, turned=change.value) for thing in meant)
            return replace(before, things=(*others, *made))
        case "viewpoint":
            return replace(before, view=change.value)
    return before


def told(
    change: Change,
    after: Content,
    places: dict[str, str],
    middles: tuple[tuple[float, float], ...],
) -> bool:
    """Whether the words of a change are true of a picture, whatever the reference.

    Args:
        change: what was said.
        after: the picture.
        places: what each ground's name is in words.
        middles: the middle of each thing of ``after``, as shares of width and height.
    """
    words = Counter(thing.word for thing in after.things)
    meant = [thing for thing in after.things if thing.word == change.subject]
    value = change.value
    match change.kind:
        case "replace" | "add" | "remove":
            return not meant and (change.kind == "remove" or words[value] > 0)
        case "recolour":
            return bool(meant) and all(thing.colour == value for thing in meant)
        case "resize":
            return bool(meant) and all(thing.size == value for thing in meant)
        case "count":
            return len(meant) == _NUMBERS[value]
        case "move":
            there = [
                stands(middle, value)
                for thing, middle in zip(after.things, middles, strict=True)
                if thing.word == change.subject
            ]
            return bool(there) and all(there)
        case "background":
            return places.get(after.ground) == value
        case "style":
            return after.style == value
    if value in TURNS:
        return bool(meant) and all(thing.turned == value for thing in meant)
    return after.view == value


def answers(
    before: Content,
    change: Change,
    after: Content,
    places: dict[str, str],
    middles: tuple[tuple[float, float], ...],
) -> bool:
    """Whether a picture differs from the reference by what was said and by nothing else.

    What the change leaves open is free: which cat comes in, its colour, which picture of a place.

    Args:
        before: the reference.
        change: what was said.
        after: the picture.
        places: what each ground's name is in words.
        middles: the middle of each thing of ``after``, as shares of width and height.
    """
    if not told(change, after, places, middles):
        return False
    if change.kind == "background":
        return _same(replace(before, ground=after.ground), after)
    if change.kind in ("replace", "add"):
        gone = change.subject if change.kind == "replace" else None
        kept = tuple(thing for thing in before.things if thing.word != gone)
        new = tuple(thing for thing in after.things if thing.word == change.value)
        old = tuple(thing for thing in after.things if thing.word != change.value)
        wanted = len(before.things) - len(kept) if gone else 1
        plain = all((thing.size, thing.turned) == ("", "") for thing in new)
        whole = _same(replace(before, things=kept), replace(after, things=old))
        return whole and len(new) == wanted and plain
    return _same(apply(before, change), after)


def _same(one: Content, two: Content) -> bool:
    return replace(one, things=()) == replace(two, things=()) and Counter(one.things) == Counter(
        two.things
    )
