"""One part of a question: words, a picture, a piece of a picture or a library item."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from typing import Literal

from needlepoint.errors import UsageError
from needlepoint.picture import Box, Picture

PartKind = Literal["text", "picture", "item"]
MAX_WEIGHT = 1000.0
PICTURE_ENDINGS = frozenset(
    re.findall(
        r"\w+",
        """
        jpg jpeg jpe jfif mpo png apng webp gif bmp dib tif tiff heic heif hif avif
        jp2 j2k jpx pnm ppm pgm pbm pfm
        3fr arw cr2 cr3 crw dcr dng erf iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl
        sr2 srf srw x3f
        """,
    )
)
"""Endings (without the dot) that make one word of a question a picture; intake reads these."""

FRAGMENT = "#xywh="
URL = re.compile(r"https?://\S", re.IGNORECASE)
EXPLICIT = re.compile(r"\.{0,2}/|~[^/\s]*/|\.{0,2}\\|[A-Za-z]:[\\/]")
PLAIN_WORDS = re.compile(r"[^\W\d_]\w*(?:[ '’-]\w+)*")
PLAIN_PATH = re.compile(
    r"(?:(?:\.{0,2}|~)/|[^\W\d])[\w./-]+|https?://[\w./:?&=%~+-]+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a question.

    ``value`` is the words, the path or URL, or the decimal id of a library item. ``box`` limits a
    picture or an item to a piece of it; ``box_percent`` says that the box is in percent of the
    picture rather than in pixels. ``weight`` is signed: below zero pushes away. ``picture`` carries
    one that has been decoded already, and so needs no file; ``value`` then only names it.

    Raises UsageError for an empty value, a box without area or a weight of zero, NaN or beyond
    1000.
    """

    kind: PartKind
    value: str
    weight: float = 1.0
    box: Box | None = None
    box_percent: bool = False
    picture: Picture | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        problem = weight_problem(self.weight) or self._problem()
        if problem:
            raise UsageError(problem)

    def _problem(self) -> str:
        if self.kind not in ("text", "picture", "item"):
            return f"`kind` must be text, picture or item. Received: {self.kind!r}"
        if not self.value.strip():
            return f"a part of a question needs words, a path or an id. Received: {self.value!r}"
        if self.kind == "item" and not re.fullmatch(r"0|[1-9][0-9]*", self.value):
            return f"an item is @ and its number, as @123. Received: @{self.value}"
        if self.box is None:
            return "" if not self.box_percent else "`box_percent` needs a `box`"
        if self.kind == "text":
            return "words cannot have a box; only pictures and items can"
        return box_problem(self.box, self.box_percent)

    @property
    def is_url(self) -> bool:
        """Whether the picture is on the web and has not been fetched."""
        return self.kind == "picture" and self.picture is None and bool(URL.match(self.value))

    @property
    def file(self) -> str:
        """The path of a picture part with ``~`` expanded."""
        return os.path.expanduser(self.value)

    def __str__(self) -> str:
        """The part without its sign, in the question language."""
        weight = "" if abs(self.weight) == 1 else f"{_number(abs(self.weight))}:"
        if self.kind == "item":
            body = f"@{self.value}"
        elif self.kind == "text":
            body = self.value if PLAIN_WORDS.fullmatch(self.value) else _quote(self.value)
            if body is not self.value and pictureish(self.value):
                body = f"text:{body}"
        elif PLAIN_PATH.fullmatch(self.value) and pictureish(self.value):
            body = self.value
        else:
            body = f"img:{_quote(self.value)}"
        if self.box is None:
            return weight + body
        unit = "percent:" if self.box_percent else ""
        return f"{weight}{body}{FRAGMENT}{unit}{','.join(map(_number, self.box))}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def weight_problem(weight: float) -> str:
    if math.isfinite(weight) and 0 < abs(weight) <= MAX_WEIGHT:
        return ""
    return f"a weight must be above 0 and at most {MAX_WEIGHT:g}. Received: {weight:g}"


def box_problem(box: Box, percent: bool) -> str:
    x, y, w, h = box
    if not all(map(math.isfinite, box)) or x < 0 or y < 0 or w <= 0 or h <= 0:
        return f"a box is x,y,w,h with x and y from 0 and w and h above 0. Received: {box}"
    if percent and (x + w > 100.0001 or y + h > 100.0001):
        return f"a box in percent must lie within 0 to 100. Received: {box}"
    return ""


def has_ending(path: str) -> bool:
    stem, dot, ending = path.rpartition(".")
    return bool(dot and stem) and ending.casefold() in PICTURE_ENDINGS


def pictureish(text: str) -> bool:
    """Whether quoted text could be read as a picture."""
    return bool(URL.match(text) or EXPLICIT.match(text)) or has_ending(text.partition("#xywh=")[0])
