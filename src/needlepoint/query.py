"""A question: weighted parts that are words, pictures, pieces of pictures or library items.

One language for the shell, Python, the URL and other doors::

    red bicycle                       words
    ./duck.jpg   ~/x.png   a.webp     a picture (a path with a picture's ending, or ./ / ~/)
    https://example.org/duck.jpg      a picture on the web
    scene.jpg#xywh=610,40,70,70       a piece of it in pixels; xywh=percent:10,20,30,40 in percent
    @123   @123#xywh=10,20,30,40      a picture of the library, or a piece of it
    "red bicycle"   "./my duck.jpg"   quotes keep operators and spaces together
    text:duck.jpg   img:noending      escapes: these words, this picture file
    2:beach + ./photo.jpg - people    weights, and parts that pull (+) or push away (-)
    ./bag.jpg -> in green             a picture and what is to be different in it, to the end
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.picture import Picture, Pixels
from needlepoint.query_part import PICTURE_ENDINGS, Part
from needlepoint.query_reading import CHANGE, read

__all__ = ["PICTURE_ENDINGS", "Part", "Query"]

_MEMORY = "memory:"


@dataclass(frozen=True, slots=True)
class Query:
    """A question: at least one part of positive weight, as ``Query.parse`` or a caller makes it.

    ``text`` is what the user wrote; it takes no part in comparison. ``change`` says in words what
    is to be different in the pictures and pieces that pull, which then are references.
    """

    parts: tuple[Part, ...]
    text: str = field(default="", compare=False)
    change: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "change", self.change.strip())
        if not self.parts:
            raise UsageError("the question is empty; give words, a picture or @id")
        if all(part.weight < 0 for part in self.parts):
            raise UsageError(
                "a question needs at least one part to look for; all parts push away. "
                f"Received: {self}"
            )
        if self.change and not self.references:
            raise UsageError(
                "a change needs a picture, a piece of one or @id that it starts from, as in "
                f"'./bag.jpg {CHANGE} in green'. Received: {self}. For words with an arrow in them "
                'write text:"…".'
            )

    @property
    def references(self) -> tuple[Part, ...]:
        """The pictures, items and pieces that pull."""
        return tuple(part for part in self.parts if part.kind != "text" and part.weight > 0)

    def changed(self, change: str) -> Query:
        """The same question with a change in words.

        Raises:
            UsageError: it has one already, or nothing that it could start from.

        Example:
            >>> str(Query.parse("./bag.jpg").changed("in green"))
            './bag.jpg -> in green'
        """
        if self.change and change.strip():
            raise UsageError(
                f"the change is given twice: {self.change!r} in the question, and {change!r}"
            )
        return replace(self, change=change or self.change)

    def __str__(self) -> str:
        """The question in its own language: ``Query.parse(str(q)) == q``."""
        first = "- " if self.parts[0].weight < 0 else ""
        rest = "".join(f" {'-' if p.weight < 0 else '+'} {p}" for p in self.parts[1:])
        change = f" {CHANGE} {self.change}" if self.change else ""
        return f"{first}{self.parts[0]}{rest}{change}"

    @classmethod
    def parse(cls, text: str, *, files: bool = True) -> Query:
        """Read a question. Raises UsageError that shows the position of what is wrong.

        ``files`` lets a picture's name have spaces where such a file is there; False reads the
        text alone, as a server must for people who may not know what files it has.

        >>> [(p.kind, p.value, p.weight) for p in Query.parse("2:beach - t-shirt").parts]
        [('text', 'beach', 2.0), ('text', 't-shirt', -1.0)]
        """
        if not text.strip():
            raise UsageError("the question is empty; give words, a picture (./photo.jpg) or @id")
        parts, change = read(text, files=files)
        return cls(parts, text, change)

    @classmethod
    def coerce(cls, question: Any) -> Query:
        """A question from text, a path, a ``PIL.Image``, an array, a part or a question.

        Arrays are uint8 ``[H, W]``, ``[H, W, 3]`` or ``[H, W, 4]`` (sRGB; alpha goes over
        neutral grey). Raises UsageError for anything else.
        """
        if isinstance(question, Query):
            return question
        if isinstance(question, str):
            return cls.parse(question)
        if isinstance(question, Part):
            return cls((question,))
        if isinstance(question, os.PathLike):
            return cls((Part("picture", os.fsdecode(question)),))
        pixels = _pixels(question)
        digest = hashlib.blake2b(pixels.tobytes(), digest_size=8, salt=b"needlepoint")
        digest.update(repr(pixels.shape).encode())
        name = _MEMORY + digest.hexdigest()
        return cls((Part("picture", name, picture=Picture.from_pixels(pixels, name)),))


def _pixels(question: Any) -> Pixels:
    """Upright RGB uint8 ``[H, W, 3]`` of an in-memory picture."""
    image_module = sys.modules.get("PIL.Image")
    if image_module is not None and isinstance(question, image_module.Image):
        from PIL import ImageOps

        upright = ImageOps.exif_transpose(question)
        has_alpha = "A" in upright.getbands() or "transparency" in upright.info
        question = np.asarray(upright.convert("RGBA" if has_alpha else "RGB"))
    if not isinstance(question, np.ndarray):
        raise UsageError(
            "a question is text, a path, a PIL image, an array uint8 [H, W, 3] or a Query. "
            f"Received: {type(question).__name__}"
        )
    shape_ok = question.ndim == 2 or (question.ndim == 3 and question.shape[2] in (1, 3, 4))
    if question.dtype != np.uint8 or not shape_ok or 0 in question.shape:
        raise UsageError(
            "an array must be uint8 [H, W], [H, W, 3] or [H, W, 4]. "
            f"Received: {question.dtype} {list(question.shape)}"
        )
    if question.ndim == 2:
        question = question[:, :, None]
    if question.shape[2] == 4:
        alpha = question[:, :, 3:].astype(np.float32) / 255
        over = question[:, :, :3] * alpha + 128 * (1 - alpha)
        question = np.rint(over).astype(np.uint8)
    wide = np.broadcast_to(question, (*question.shape[:2], 3))
    return np.ascontiguousarray(wide)
