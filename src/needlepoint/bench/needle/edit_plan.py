"""Planning needle edits: families of scenes, what is asked of them, and every picture of them.

A family has scenes that share the thing which changes (its word) and nothing else. Two of them are
asked about; all go through the same changes, so that the words alone fit every scene of a family,
and the reference alone fits every change of its scene.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from needlepoint.bench.needle.colours import PAINTS
from needlepoint.bench.needle.edit_graph import KINDS, TURNS, Change, Content, Thing, apply
from needlepoint.bench.needle.edit_pack import EditPack, EditThing, deal_edit
from needlepoint.bench.needle.edit_words import SIDES, STYLES, VIEWS
from needlepoint.bench.needle.words import held_out, kin
from needlepoint.errors import UsageError

Generator = np.random.Generator
PLAIN, CROWD = "plain", "crowd"
_EACH = 5  # changes of a family: half of the kinds
_PAINTED = 0.6
_OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


@dataclass(frozen=True)
class Amounts:
    """How much is made for a split.

    ``families`` of scenes, ``copies`` of each reference left unchanged; of each change ``right``
    pictures (least and greatest number), one more that is right but never labelled in ``near`` of
    all cases, ``wrong`` ones that change otherwise; ``third``: whether a third scene goes through
    the same changes without being asked about.
    """

    families: int
    copies: int
    right: tuple[int, int]
    near: float
    wrong: int
    third: bool


AMOUNTS = {
    "train": Amounts(300, 1, (1, 1), 0.5, 0, False),
    "dev": Amounts(15, 4, (2, 3), 1.0, 1, True),
    "test": Amounts(24, 4, (2, 3), 1.0, 1, True),
}


@dataclass(frozen=True)
class Shot:
    """One picture to make, of one scene of a family.

    ``layout`` decides where things lie, ``sides`` where some must.
    """

    family: int
    scene: int
    number: int
    content: Content
    layout: int
    sides: Mapping[str, str]

    @property
    def file(self) -> str:
        """Where it is saved, relative to the set's folder."""
        return f"pictures/{self.family:04d}-{self.number:02d}.jpg"


@dataclass(frozen=True)
class Asked:
    """One question to come: numbers of shots."""

    change: Change
    tier: str
    reference: int
    labelled: tuple[int, ...]
    near: tuple[int, ...]


@dataclass(frozen=True)
class Family:
    """All shots of a family and what is asked about them; shot ``i`` has number ``i``."""

    shots: tuple[Shot, ...]
    asked: tuple[Asked, ...]


@dataclass(frozen=True)
class _Scene:
    content: Content
    subject: Thing


def plan_family(pack: EditPack, amounts: Amounts, seed: Sequence[int], number: int) -> Family:
    """Draw family ``number``; it depends on no other.

    Args:
        pack: things and grounds of the split.
        amounts: how many pictures of what.
        seed: of the set.
        number: from 0; two families in a row go through all kinds of change together.

    Raises:
        UsageError: the pack holds too little for it.
    """
    order = np.random.default_rng([*seed, 1, number // 2]).permutation(len(KINDS))
    half = order[:_EACH] if number % 2 == 0 else order[_EACH:]
    kinds = [KINDS[int(place)] for place in half]
    rng = np.random.default_rng([*seed, 2, number])
    tier = CROWD if number % 10 in (2, 5, 9) else PLAIN
    for _ in range(400):
        drawn = _changes(pack, kinds, tier, rng)
        if drawn is not None:
            return _Writer(pack, amounts, tier, number, rng).family(*drawn)
    raise UsageError(
        f"pack={pack.split!r}: {len(pack.words)} words and {len(pack.grounds)} grounds are too few "
        f"for a family of the changes {', '.join(kinds)}"
    )


def _changes(
    pack: EditPack, kinds: Sequence[str], tier: str, rng: Generator
) -> tuple[list[_Scene], list[Change]] | None:
    """Three scenes around a thing of one word, and changes that all of them can go through."""
    words = list(pack.words)
    word = words[int(rng.integers(len(words)))]
    one = "count" in kinds and "move" not in kinds and bool(rng.random() < 0.5)
    models = [row for row in pack.words[word] if "back" in row.cuts]
    turned = "viewpoint" in kinds and bool(models) and bool(rng.random() < 0.7)
    free = _apart(pack, word, rng)
    grounds = list(pack.grounds)
    order = [grounds[int(place)] for place in rng.permutation(len(grounds))]
    picked: list[str] = []
    for name in order:
        places = {pack.grounds[other].place for other in picked}
        if len(picked) < 3 and pack.grounds[name].place not in places - {""}:
            picked.append(name)
    values: Mapping[str, Callable[[], str | None]] = {
        "replace": lambda: _deal(pack, "replace", word, free[:12]),
        "add": lambda: _deal(pack, "add", word, free[12:24]),
        "remove": lambda: "",
        "recolour": lambda: _deal(
            pack,
            "recolour",
            word,
            [
                name
                for name in _shuffled(list(PAINTS), rng)
                if name != word and not (pack.split == "train" and held_out(word, name))
            ],
        ),
        "resize": lambda: (
            "bigger" if tier == CROWD or (not one and rng.random() < 0.5) else "smaller"
        ),
        "count": lambda: "one" if one else "three",
        "move": lambda: _deal(pack, "move", word, _shuffled(list(SIDES), rng)),
        "background": lambda: _place(pack, word, picked, order),
        "style": lambda: _deal(pack, "style", word, _shuffled(list(STYLES), rng)),
        "viewpoint": lambda: _deal(
            pack, "viewpoint", word, _shuffled(list(TURNS if turned else VIEWS), rng)
        ),
    }
    changes = []
    for kind in kinds:
        value = values[kind]()
        if value is None:
            return None
        subject = "" if kind in ("add", "background", "style") else word
        if kind == "viewpoint" and value in VIEWS:
            subject = ""
        changes.append(Change(kind, subject, value))
    away = {change.value for change in changes}
    others = [name for name in free if name not in away]
    if len(picked) < 3 or len(others) < 12:
        return None
    paint = next((change.value for change in changes if change.kind == "recolour"), None)
    own = models if turned else list(pack.words[word])
    scenes = []
    for number in range(3):
        row = own[int(rng.integers(len(own)))]
        colour = _colour(pack, word, rng, other_than=paint)
        area = rng.uniform(0.12, 0.17) if tier == PLAIN else rng.uniform(0.014, 0.02)
        subject_thing = Thing(row.object_id, word, colour, area=round(float(area), 4))
        beside = _companions(pack, others[number::3], tier, rng)
        things = (*beside, *((subject_thing,) * (3 if one else 1)))
        scenes.append(_Scene(Content(picked[number], things), subject_thing))
    return scenes, changes


def _apart(pack: EditPack, word: str, rng: Generator) -> list[str]:
    """The other words in random order, without those whose things might pass for it."""
    near = kin().get(word, frozenset())
    return [
        other
        for other in _shuffled(list(pack.words), rng)
        if other != word and other not in near and word not in kin().get(other, frozenset())
    ]


def _shuffled(rows: Sequence[str], rng: Generator) -> list[str]:
    return [rows[int(place)] for place in rng.permutation(len(rows))]


def _deal(pack: EditPack, kind: str, word: str, values: Sequence[str]) -> str | None:
    """The first value whose combination belongs to the split."""
    return next((v for v in values if deal_edit(f"{kind}/{word}/{v}") == pack.split), None)


def _place(pack: EditPack, word: str, used: Sequence[str], order: Sequence[str]) -> str | None:
    known = {pack.grounds[name].place for name in used} | {""}
    free = [pack.grounds[name].place for name in order if pack.grounds[name].place not in known]
    return _deal(pack, "background", word, free)


def _colour(
    pack: EditPack, word: str, rng: Generator, *, other_than: str | None = None
) -> str | None:
    """A paint for a thing, or its own colours; always a paint where it is to be painted anew."""
    if other_than is None and rng.random() >= _PAINTED:
        return None
    away = pack.split == "train"
    names = [
        name
        for name in PAINTS
        if name not in (word, other_than) and not (away and held_out(word, name))
    ]
    return names[int(rng.integers(len(names)))] if names else None


def _companions(
    pack: EditPack, words: Sequence[str], tier: str, rng: Generator
) -> tuple[Thing, ...]:
    """The other things of a scene: one or two large ones, in a crowd also small ones."""
    large = int(rng.integers(1, 3))
    small = int(rng.integers(4, 9)) if tier == CROWD else 0
    rows = []
    for number, word in enumerate(words[: large + small]):
        low, high = (0.07, 0.10) if number < large else (0.006, 0.013)
        rows.append(_drawn(pack, word, round(float(rng.uniform(low, high)), 4), rng))
    return tuple(rows)


def _drawn(pack: EditPack, word: str, area: float, rng: Generator) -> Thing:
    rows: Sequence[EditThing] = pack.words[word]
    row = rows[int(rng.integers(len(rows)))]
    return Thing(row.object_id, word, _colour(pack, word, rng), area=area)


class _Writer:
    """Turns scenes and changes into shots and questions."""

    def __init__(
        self, pack: EditPack, amounts: Amounts, tier: str, number: int, rng: Generator
    ) -> None:
        self._pack, self._amounts, self._tier = pack, amounts, tier
        self._number, self._rng = number, rng
        self._shots: list[Shot] = []
        self._scene = 0

    def family(self, scenes: Sequence[_Scene], changes: Sequence[Change]) -> Family:
        """All shots and questions of the family."""
        word = scenes[0].subject.word
        held = {word: "middle"} if any(change.kind == "move" for change in changes) else {}
        asked: list[Asked] = []
        for self._scene, scene in enumerate(scenes[:2]):
            asked += self._asked(scene, changes, held)
        if self._amounts.third:
            self._scene = 2
            self._shot(scenes[2].content, held)
            for change in changes:
                self._shot(self._maker(scenes[2], change)(), self._sides(change, held))
        return Family(tuple(self._shots), tuple(asked))

    def _asked(
        self, scene: _Scene, changes: Sequence[Change], held: Mapping[str, str]
    ) -> list[Asked]:
        amounts, rng = self._amounts, self._rng
        layout = int(rng.integers(2**31))
        same = [
            self._shot(scene.content, held, layout if place < 2 else None)
            for place in range(1 + amounts.copies)
        ]
        rows = []
        for place, change in enumerate(changes):
            make, sides = self._maker(scene, change), self._sides(change, held)
            target = make()
            count = int(rng.integers(amounts.right[0], amounts.right[1] + 1))
            reference = same[place % len(same)]
            lies = self._shots[reference].layout
            keep = lies if change.value in VIEWS else None  # the same scene, seen otherwise
            right = tuple(self._shot(target, sides, keep) for _ in range(count))
            near = tuple(
                self._shot(make(), sides, keep) for _ in range(int(rng.random() < amounts.near))
            )
            for _ in range(amounts.wrong):
                self._wrong(scene, change, held, lies)
            rows.append(Asked(change, self._tier, reference, right, near))
        return rows

    def _shot(self, content: Content, sides: Mapping[str, str], layout: int | None = None) -> int:
        if layout is None:
            layout = int(self._rng.integers(2**31))
        number = len(self._shots)
        self._shots.append(Shot(self._number, self._scene, number, content, layout, sides))
        return number

    def _sides(self, change: Change, held: Mapping[str, str]) -> Mapping[str, str]:
        return {**held, change.subject: change.value} if change.kind == "move" else held

    def _maker(self, scene: _Scene, change: Change) -> Callable[[], Content]:
        """Draws right contents: what the change leaves open differs from draw to draw."""
        pack, rng = self._pack, self._rng

        def make() -> Content:
            new, ground = None, ""
            if change.kind in ("replace", "add"):
                new = _drawn(pack, change.value, scene.subject.area, rng)
            elif change.kind == "background":
                fit = [row.name for row in pack.grounds.values() if row.place == change.value]
                ground = fit[int(rng.integers(len(fit)))]
            return apply(scene.content, change, new, ground)

        return make

    def _wrong(self, scene: _Scene, change: Change, held: Mapping[str, str], layout: int) -> None:
        """A picture that changes in the same way, but to something else, or another thing."""
        pack, rng = self._pack, self._rng
        beside = [thing for thing in scene.content.things if thing.word != scene.subject.word]
        other = beside[int(rng.integers(len(beside)))]
        value, subject = change.value, change.subject
        astray = bool(rng.random() < 0.5)
        match change.kind:
            case "replace" | "recolour" | "resize" if astray:
                subject = other.word
            case "remove":
                subject = other.word
            case "replace" | "add":
                present = {thing.word for thing in scene.content.things} | {value}
                fit = [word for word in pack.words if word not in present]
                value = fit[int(rng.integers(len(fit)))]
            case "recolour":
                value = _colour(pack, subject, rng, other_than=value) or value
            case "resize":
                value = "smaller" if value == "bigger" else "bigger"
            case "count":
                value = "two"
            case "move":
                value = _OPPOSITE[value]
            case "background":
                fit = [row.place for row in pack.grounds.values() if row.place not in ("", value)]
                value = fit[int(rng.integers(len(fit)))]
            case "style" | "viewpoint":
                names = [*STYLES] if change.kind == "style" else [*VIEWS]
                if value in TURNS:
                    names = [*TURNS]
                fit = [name for name in names if name != value]
                value = fit[int(rng.integers(len(fit)))]
        wrong = replace(change, subject=subject, value=value)
        content = self._maker(scene, wrong)()
        if content != scene.content or change.kind == "move":
            self._shot(content, self._sides(wrong, held), layout)
