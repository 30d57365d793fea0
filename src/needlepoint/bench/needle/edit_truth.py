"""What a set of needle edits says about itself: pictures, questions, half-truths, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from needlepoint.bench.needle.edit_graph import Change, Content, Thing, middle_of
from needlepoint.errors import UsageError

EDITS_FILE = "edits.json"
EDITS_VERSION = 1


@dataclass(frozen=True)
class Laid:
    """A thing and where it lies.

    ``box`` is ``(x, y, w, h)`` in pixels of the finished picture, ``area`` its mask's share of the
    picture before a view turned it, ``visible`` the share of the mask that nothing hides.
    """

    thing: Thing
    box: tuple[int, int, int, int]
    area: float
    visible: float


@dataclass(frozen=True)
class EditPicture:
    """One picture: the family of scenes it belongs to, its ground, look and things."""

    file: str
    family: int
    ground: str
    style: str
    view: str
    things: tuple[Laid, ...]
    caption: str

    @property
    def content(self) -> Content:
        """What a change may speak of."""
        return Content(self.ground, tuple(row.thing for row in self.things), self.style, self.view)

    def middles(self, size: tuple[int, int]) -> tuple[tuple[float, float], ...]:
        """The middle of each thing, as shares of width and height."""
        return tuple(middle_of(row.box, size) for row in self.things)


@dataclass(frozen=True)
class EditQuestion:
    """A reference, a change, and every answer in the set.

    ``texts`` are wordings of the change, the first is asked; ``relevant`` the labelled answers,
    ``target`` one of them; ``near`` answers that nobody labelled; ``halves`` the pictures of the
    family that are right by half: ``reference``, ``unchanged`` (the reference's scene as it was),
    ``other change`` (its scene, changed otherwise), ``other scene`` (what was said is true there).
    """

    id: str
    family: int
    tier: str
    reference: str
    change: Change
    texts: tuple[str, ...]
    target: str
    relevant: tuple[str, ...]
    near: tuple[str, ...]
    halves: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EditTruth:
    """Everything known about a set of needle edits; ``places`` says grounds in words."""

    split: str
    seed: int
    licence: str
    size: tuple[int, int]
    places: dict[str, str]
    pictures: tuple[EditPicture, ...]
    questions: tuple[EditQuestion, ...]

    def save(self, folder: Path) -> Path:
        """Write ``edits.json`` into ``folder`` and return its path."""
        path = folder / EDITS_FILE
        text = json.dumps({"version": EDITS_VERSION, **asdict(self)}, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        return path


def load_edits(folder: str | Path) -> EditTruth:
    """Read the ``edits.json`` of a set of needle edits.

    Raises:
        UsageError: no such file, or one of another version.
    """
    path = Path(folder) / EDITS_FILE
    if not path.is_file():
        raise UsageError(
            f"folder={str(folder)!r} holds no {EDITS_FILE}; make one with "
            "`needlepoint bench build edits FOLDER`"
        )
    raw = json.loads(path.read_text(encoding="utf-8"))
    if raw.pop("version", None) != EDITS_VERSION:
        raise UsageError(
            f"{path}: this version of the facts is not known (allowed: {EDITS_VERSION}); "
            "build the set again"
        )
    width, height = raw["size"]
    return EditTruth(
        **{
            **raw,
            "size": (width, height),
            "pictures": tuple(_picture(row) for row in raw["pictures"]),
            "questions": tuple(_question(row) for row in raw["questions"]),
        }
    )


def _picture(row: dict[str, Any]) -> EditPicture:
    return EditPicture(**{**row, "things": tuple(_laid(laid) for laid in row["things"])})


def _laid(row: dict[str, Any]) -> Laid:
    x, y, w, h = row["box"]
    return Laid(Thing(**row["thing"]), (x, y, w, h), row["area"], row["visible"])


def _question(row: dict[str, Any]) -> EditQuestion:
    lists = {name: tuple(row[name]) for name in ("texts", "relevant", "near")}
    return EditQuestion(**{**row, **lists, "change": Change(**row["change"])})
