"""Saying a change, shortly and in several ways, and never the whole picture."""

from __future__ import annotations

from needlepoint.bench.needle.edit_graph import TURNS, Change
from needlepoint.bench.needle.words import PLURAL, phrase

STYLES = {
    "grey": "in black and white",
    "sepia": "like an old brown photograph",
    "sketch": "as a pencil drawing",
    "painted": "as a poster in few colours",
    "pixels": "in big square pixels",
    "negative": "as a photo negative",
    "night": "at night",
    "blurred": "out of focus",
}
VIEWS = {
    "mirrored": "seen in a mirror",
    "upside-down": "upside down",
    "tilted": "tilted to one side",
    "closer": "from closer up",
    "farther": "from further away",
}
SIDES = {
    "left": "on the left",
    "right": "on the right",
    "top": "at the top",
    "bottom": "at the bottom",
}
_TURNED = {"back": "from behind", "above": "from above"}
_OTHER_PLURALS = {
    "knife": "knives",
    "mouse": "mice",
    "leaf": "leaves",
    "shelf": "shelves",
    "sheep": "sheep",
    "fish": "fish",
    "deer": "deer",
    "dice": "dice",
    "man": "men",
    "woman": "women",
}
# The last wording of each kind is kept from training.
_TEMPLATES = {
    "replace": (
        "with {new} in place of {the}",
        "{new} instead of {the}",
        "{the} replaced by {new}",
        "the same, but {new} where {the} {was}",
        "swap {the} for {new}",
    ),
    "add": (
        "with {new} added",
        "the same with {new} as well",
        "add {new}",
        "and {new} too",
        "plus {new}",
    ),
    "remove": (
        "without {the}",
        "the same, but no {noun}",
        "{the} taken away",
        "{the} {is} gone",
        "leave {the} out",
    ),
    "recolour": (
        "the same, but {the} {is} {value}",
        "{the} in {value}",
        "make {the} {value}",
        "with {the} painted {value}",
        "{the} turned {value}",
    ),
    "bigger": (
        "{the} {is} bigger",
        "the same, but {the} much larger",
        "make {the} bigger",
        "with {the} in a larger size",
        "{the} grown to twice the size",
    ),
    "smaller": (
        "{the} {is} smaller",
        "the same, but {the} much smaller",
        "make {the} smaller",
        "with {the} in a smaller size",
        "{the} shrunk to half the size",
    ),
    "three": (
        "with two more {plural}",
        "the same, but three {plural}",
        "three {plural} rather than one",
        "add two more {plural}",
        "two further {plural}",
    ),
    "one": (
        "only one {single}",
        "the same, but just one {single}",
        "one {single} rather than three",
        "with a single {single}",
        "all but one of the {plural} gone",
    ),
    "move": (
        "{the} {side}",
        "the same, but {the} {is} {side}",
        "with {the} {side}",
        "put {the} {side}",
        "{the} moved, now {side}",
    ),
    "background": (
        "the same, but {value}",
        "{value} instead",
        "now {value}",
        "put it all {value}",
        "the same things {value}",
    ),
    "style": (
        "the same, but {value}",
        "{value}",
        "now {value}",
        "the whole picture {value}",
        "show it {value}",
    ),
    "viewpoint": (
        "the same, but {value}",
        "{value}",
        "now {value}",
        "the whole scene {value}",
        "show it {value}",
    ),
    "turned": (
        "{the} seen {value}",
        "the same, but {the} seen {value}",
        "with {the} {value}",
        "show {the} {value}",
        "{the} turned, seen {value}",
    ),
}


def plural_of(word: str) -> str:
    """Several of a thing.

    Example:
        >>> plural_of("box"), plural_of("knife"), plural_of("cherry"), plural_of("boy")
        ('boxes', 'knives', 'cherries', 'boys')
    """
    if word in PLURAL or word in _OTHER_PLURALS:
        return _OTHER_PLURALS.get(word, word)
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh", "tomato", "potato")) else "s")


def wordings(change: Change, before: int = 1, *, learnt: bool = False) -> tuple[str, ...]:
    """Every way a change is said.

    Args:
        change: what becomes different.
        before: how many things of its subject the reference shows.
        learnt: only the wordings of training.

    Example:
        >>> wordings(Change("remove", "dog", ""))[0]
        'without the dog'
        >>> wordings(Change("replace", "dog", "cat"), before=3)[0]
        'with cats in place of the dogs'
    """
    many = before > 1
    subject = plural_of(change.subject) if many else change.subject
    plural = many or change.subject in PLURAL
    name = change.value if change.kind in ("resize", "count") else change.kind
    value = change.value
    if change.kind == "style":
        value = STYLES[value]
    elif change.kind == "viewpoint":
        name = "turned" if value in TURNS else name
        value = _TURNED[value] if value in TURNS else VIEWS[value]
    new = ""
    if change.kind in ("replace", "add"):
        new = plural_of(value) if many and change.kind == "replace" else phrase(value, None)
    said = {
        "the": f"the {subject}",
        "noun": subject,
        "single": change.subject,
        "plural": plural_of(change.subject),
        "is": "are" if plural else "is",
        "was": "were" if plural else "was",
        "side": SIDES.get(value, ""),
        "new": new,
        "value": value,
    }
    rows = _TEMPLATES[name]
    return tuple(row.format(**said) for row in (rows[:-1] if learnt else rows))
