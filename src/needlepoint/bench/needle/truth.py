"""What a generated set says about itself: pictures, objects, boxes and questions, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from needlepoint.errors import UsageError

TRUTH_VERSION = 2
_PLAIN_VERSION = 1


@dataclass(frozen=True)
class View:
    """From where a 3-D object was seen, in degrees (azimuth 0 is its front)."""

    azimuth: float
    elevation: float


@dataclass(frozen=True)
class Placed:
    """One object in one picture.

    ``box`` is ``(x, y, w, h)`` in pixels around the object's whole mask, also where something
    stands in front of it; ``area_fraction`` is the mask's share of the picture and
    ``visible_fraction`` the share of the mask that nothing hides. In crowds ``caption`` says the
    thing in words, ``word`` and ``colour`` (``None`` for its own) are what it says, and ``mask`` is
    the whole mask as COCO's compressed run lengths; later things of a picture lie in front.
    """

    name: str
    object_id: str
    box: tuple[int, int, int, int]
    area_fraction: float
    visible_fraction: float
    view: View | None = None
    caption: str = ""
    word: str = ""
    colour: str | None = None
    mask: str = ""


@dataclass(frozen=True)
class ScenePicture:
    """One picture of a set, by its path relative to the set's folder; ``caption`` in crowds."""

    file: str
    width: int
    height: int
    background: str
    objects: tuple[Placed, ...]
    caption: str = ""


@dataclass(frozen=True)
class SceneQuery:
    """A question by picture, and the pictures that hold its object.

    ``junk`` pictures show it too little, or in another ``colour``; they count neither way.
    """

    file: str
    object_id: str
    name: str
    positives: tuple[str, ...]
    cutout: str | None = None
    background: str | None = None
    view: View | None = None
    colour: str | None = None
    junk: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """What a caption says of one large thing: its word, colour and side, where it says them."""

    word: str
    colour: str | None = None
    side: str | None = None


@dataclass(frozen=True)
class TextQuestion:
    """A question by words.

    ``task`` is ``thing`` (a small thing, said by one part) or ``whole`` (the picture: its large
    things, and ``busy`` how many small ones, where said). ``boxes`` holds for each relevant
    picture where the things are, first for the picture that a caption was written for; ``junk``
    pictures might be right as well. ``held_out``: a part's word and colour never occur together
    in training scenes.
    """

    task: str
    text: str
    parts: tuple[Part, ...]
    relevant: tuple[str, ...]
    junk: tuple[str, ...] = ()
    boxes: dict[str, tuple[tuple[int, int, int, int], ...]] = field(default_factory=dict)
    busy: str | None = None
    held_out: bool = False


@dataclass(frozen=True)
class SceneObject:
    """One object of a set: its words, the family it was split by, and its licence.

    In crowds also the ``word`` it is asked for by, its ``kind`` (photograph, drawing, model …)
    and its ``names`` by language.
    """

    object_id: str
    name: str
    caption: str
    family: str
    split: str
    licence: str
    word: str = ""
    kind: str = ""
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Truth:
    """Everything known about a generated set.

    Example:
        >>> truth = Truth(recipe="stamps", split="dev", seed=1, licence="CC0-1.0")
        >>> truth.mean_positives
        0.0
    """

    recipe: str
    split: str
    seed: int
    licence: str
    options: dict[str, Any] = field(default_factory=dict)
    objects: tuple[SceneObject, ...] = ()
    pictures: tuple[ScenePicture, ...] = ()
    queries: tuple[SceneQuery, ...] = ()
    version: int = _PLAIN_VERSION
    questions: tuple[TextQuestion, ...] = ()

    @property
    def mean_positives(self) -> float:
        """Mean number of positive pictures of a question."""
        if not self.queries:
            return 0.0
        return sum(len(query.positives) for query in self.queries) / len(self.queries)

    def save(self, folder: Path) -> Path:
        """Write ``truth.json`` into ``folder`` and return its path."""
        path = folder / "truth.json"
        rows = asdict(self)
        if self.version == _PLAIN_VERSION:
            _drop_words(rows)
        text = json.dumps({"version": rows.pop("version"), **rows}, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        return path


def load_truth(folder: str | Path) -> Truth:
    """Read the ``truth.json`` of a generated set.

    Args:
        folder: the set's folder.

    Returns:
        The same ``Truth`` that ``save`` wrote.

    Raises:
        UsageError: no such file, or one written by a newer version.
    """
    path = Path(folder) / "truth.json"
    if not path.is_file():
        raise UsageError(
            f"folder={str(folder)!r} holds no truth.json; give the folder of a generated set"
        )
    raw = json.loads(path.read_text(encoding="utf-8"))
    if raw.get("version") not in (_PLAIN_VERSION, TRUTH_VERSION):
        raise UsageError(
            f"{path}: version {raw.get('version')!r} of the truth file is not known "
            f"(allowed: {_PLAIN_VERSION}, {TRUTH_VERSION}); build the set again"
        )
    return Truth(
        recipe=raw["recipe"],
        split=raw["split"],
        seed=raw["seed"],
        licence=raw["licence"],
        options=raw["options"],
        objects=tuple(SceneObject(**row) for row in raw["objects"]),
        pictures=tuple(
            ScenePicture(**{**row, "objects": tuple(_placed(item) for item in row["objects"])})
            for row in raw["pictures"]
        ),
        queries=tuple(
            SceneQuery(
                **{
                    **row,
                    "positives": tuple(row["positives"]),
                    "view": _view(row["view"]),
                    "junk": tuple(row.get("junk", ())),
                }
            )
            for row in raw["queries"]
        ),
        version=raw["version"],
        questions=tuple(_question(row) for row in raw.get("questions", ())),
    )


def positives_of(
    pictures: Sequence[ScenePicture], object_id: str, min_visible: float
) -> tuple[str, ...]:
    """Files of the pictures that show at least ``min_visible`` (0 to 1) of an object."""
    return tuple(
        picture.file
        for picture in pictures
        if any(
            placed.object_id == object_id and placed.visible_fraction >= min_visible
            for placed in picture.objects
        )
    )


def _question(row: dict[str, Any]) -> TextQuestion:
    return TextQuestion(
        **{
            **row,
            "parts": tuple(Part(**part) for part in row["parts"]),
            "relevant": tuple(row["relevant"]),
            "junk": tuple(row["junk"]),
            "boxes": {
                file: tuple((x, y, w, h) for x, y, w, h in boxes)
                for file, boxes in row["boxes"].items()
            },
        }
    )


def _drop_words(rows: dict[str, Any]) -> None:
    """Leave out of the JSON rows what only crowds have, as files without it always looked."""
    del rows["questions"]
    for row in rows["objects"]:
        del row["word"], row["kind"], row["names"]
    for row in rows["queries"]:
        del row["colour"], row["junk"]
    for row in rows["pictures"]:
        del row["caption"]
        for placed in row["objects"]:
            del placed["caption"], placed["word"], placed["colour"], placed["mask"]


def _view(row: dict[str, float] | None) -> View | None:
    return None if row is None else View(**row)


def _placed(row: dict[str, Any]) -> Placed:
    x, y, w, h = row["box"]
    return Placed(**{**row, "box": (x, y, w, h), "view": _view(row["view"])})
