"""A small stand-in for the library, so that the command is tested without models."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from needlepoint.errors import PictureError, UsageError
from needlepoint.query import Query
from needlepoint.results import Hit, Results

BOX = (1.0, 2.0, 30.0, 40.0)
SOURCE = {
    "library": "/lib",
    "model": "builtin",
    "space": "look",
    "method": "dense",
    "exact": True,
    "mode": "exact",
}


@dataclass
class Report:
    """What a pretended indexing did."""

    skipped: list[tuple[str, str]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "added": 3,
            "skipped": self.skipped,
            "seconds": 0.5,
            "resumed_from": 0,
            "planned": 3,
        }


@dataclass
class Step:
    stage: str
    done: int
    total: int
    resumed: int = 0


class FakeLibrary:
    """Answers from fixed hits and remembers how it was asked."""

    def __init__(self) -> None:
        self.paths = ["/pics/a.jpg", "/pics/b.jpg", "/pics/c.jpg"]
        self.matches: list[bool | None] = [True, True, False]
        self.notes: list[str] = []
        self.asked: list[tuple[Query, dict[str, Any]]] = []
        self.indexed: list[tuple[list[str], dict[str, Any]]] = []
        self.used: list[tuple[str, str]] = []
        self.skips: list[tuple[str, str]] = []
        self.opened: dict[str, Any] = {}
        self.fails: BaseException | None = None
        self.missing = False

    def __enter__(self) -> FakeLibrary:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def search(self, query: Any, **options: Any) -> Results:
        query = Query.coerce(query)
        self.asked.append((query, options))
        if self.fails is not None:
            raise self.fails
        if query.parts[0].value == "broken.jpg":
            raise PictureError("broken.jpg", "not a picture")
        floor = options.get("min_score")
        hits = [
            Hit(n + 1, n + 1, path, 0.9 - n / 10, "cosine", BOX, match, 0.5, 100, 80, SOURCE)
            for n, (path, match) in enumerate(zip(self.paths, self.matches, strict=True))
            if n < options["k"]
            and not (floor == "auto" and match is False)
            and not (isinstance(floor, float) and 0.9 - n / 10 < floor)
        ]
        return Results(query, hits, cutoff=0.75, notes=self.notes, timings={"total": 1.0})

    def similar(self, number: int, **options: Any) -> Results:
        if number == 404:
            raise UsageError("@404 is not a picture of this library.")
        return self.search(f"@{number}", **options)

    def picture(self, number: int) -> dict[str, Any]:
        return {"id": number, "path": "/pics/a.jpg", "width": 200, "height": 100}

    def index(self, sources: list[str], **options: Any) -> Report:
        self.indexed.append((sources, options))
        if self.fails is not None:
            raise self.fails
        progress = options["progress"]
        if progress is not None:
            for done in (1, 2, 3):
                progress(Step("indexing", done, 3))
        for path, reason in self.skips:
            options["warn"](f"{path}: {reason}")
        return Report(self.skips)

    def info(self) -> dict[str, Any]:
        return {
            "library": "/lib",
            "pictures": 12345,
            "bytes": 2_500_000,
            "roots": [{"path": "/pics", "online": True}],
            "models": [{"address": "builtin", "pictures": 12345}],
            "skipped": 1,
            "unfinished": None,
        }

    def skipped(self) -> list[dict[str, Any]]:
        return [{"path": os.fsdecode(b"/pics/\xff.jpg"), "reason": "truncated", "size": 3}]

    def models(self) -> list[dict[str, Any]]:
        both = ["words", "pictures"]
        return [
            {"address": "builtin", "recipe": recipe, "pictures": pictures, "used_for": used}
            for recipe, pictures, used in (("dense:32@1x", 7, both), ("lare", 3, []))
        ]

    def use(self, address: str, for_: str = "both") -> None:
        self.used.append((address, for_))

    def gc(self, *, dry_run: bool = False) -> dict[str, int]:
        return {"pictures": 2, "freed_bytes": 10, "dry": int(dry_run)}

    def snapshot(self, dest: str) -> Path:
        return Path(dest)


@dataclass
class Ran:
    """What a run of the command gave."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape")
