"""What a generated set says about itself: pictures, objects, boxes and questions, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from needlepoint.errors import UsageError

TRUTH_VERSION = 1


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
    ``visible_fraction`` the share of the mask that nothing hides.
    """

    name: str
    object_id: str
    box: tuple[int, int, int, int]
    area_fraction: float
    visible_fraction: float
    view: View | None = None


@dataclass(frozen=True)
class ScenePicture:
    """One picture of a set, by its path relative to the set's folder."""

    file: str
    width: int
    height: int
    background: str
    objects: tuple[Placed, ...]


@dataclass(frozen=True)
class SceneQuery:
    """A question by picture, and the pictures that hold its object."""

    file: str
    object_id: str
    name: str
    positives: tuple[str, ...]
    cutout: str | None = None
    background: str | None = None
    view: View | None = None


@dataclass(frozen=True)
class SceneObject:
    """One object of a set: its words, the family it was split by, and its licence."""

    object_id: str
    name: str
    caption: str
    family: str
    split: str
    licence: str


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
    version: int = TRUTH_VERSION

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
    if raw.get("version") != TRUTH_VERSION:
        raise UsageError(
            f"{path}: version {raw.get('version')!r} of the truth file is not known "
            f"(allowed: {TRUTH_VERSION}); build the set again"
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
            SceneQuery(**{**row, "positives": tuple(row["positives"]), "view": _view(row["view"])})
            for row in raw["queries"]
        ),
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


def _view(row: dict[str, float] | None) -> View | None:
    return None if row is None else View(**row)


def _placed(row: dict[str, Any]) -> Placed:
    x, y, w, h = row["box"]
    return Placed(**{**row, "box": (x, y, w, h), "view": _view(row["view"])})
