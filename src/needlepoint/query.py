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
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np

from needlepoint.errors import UsageError, pointed
from needlepoint.picture import Box, Pixels

PartKind = Literal["text", "picture", "item"]
Exists = Callable[[str], bool]
"""Whether there is a file at a path, as far as a question may know."""

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

_FRAGMENT = "#xywh="
_URL = re.compile(r"https?://\S", re.IGNORECASE)
_EXPLICIT = re.compile(r"\.{0,2}/|~[^/\s]*/|\.{0,2}\\|[A-Za-z]:[\\/]")
_PLAIN_WORDS = re.compile(r"[^\W\d_]\w*(?:[ '’-]\w+)*")
_PLAIN_PATH = re.compile(
    r"(?:(?:\.{0,2}|~)/|[^\W\d])[\w./-]+|https?://[\w./:?&=%~+-]+", re.IGNORECASE
)
_MEMORY = "memory:"

_GRAMMAR = r"""
question: [LEAD] part (OPERATOR part)*
part: [WEIGHT] _thing
_thing: item | quoted | bare
item: ITEM [FRAGMENT]
quoted: [ESCAPE] QUOTED [FRAGMENT]
bare: [ESCAPE] WORDS

LEAD.9: /\s*(?:\+\s+|-\s*)/
OPERATOR.9: /\s+[+-](?:\s+|$)/
WEIGHT.8: (/[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?:(?![0-9]|\/\/)\s*/ | ODD_WEIGHT)
ODD_WEIGHT: /[+-]?(?:[nN]a[nN]|[iI]nf|nan|inf):(?=\S)/
ITEM.7: /@[0-9]+(?=\s|#|$)/
ESCAPE.6: /(?:img|text):/
QUOTED.5: /"(?:[^"\\]|\\.)*"/s
FRAGMENT.5: /#xywh=\S*/
WORDS.1: /(?!"|[+-](?:\s|$))\S+(?:\s+(?![+-](?:\s|$))\S+)*/
%ignore /^\s+|\s+$/
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a question.

    ``value`` is the words, the path or URL, or the decimal id of a library item. ``box`` limits a
    picture or an item to a piece of it; ``box_percent`` says that the box is in percent of the
    picture rather than in pixels. ``weight`` is signed: below zero pushes away. ``pixels`` uint8
    ``[H, W, 3]`` carries a picture that has no file; ``value`` is then a hash of it.

    Raises UsageError for an empty value, a box without area or a weight of zero, NaN or beyond
    1000.
    """

    kind: PartKind
    value: str
    weight: float = 1.0
    box: Box | None = None
    box_percent: bool = False
    pixels: Pixels | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        problem = _weight_problem(self.weight) or self._problem()
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
        return _box_problem(self.box, self.box_percent)

    @property
    def is_url(self) -> bool:
        """Whether the picture is on the web (this version does not fetch)."""
        return self.kind == "picture" and self.pixels is None and bool(_URL.match(self.value))

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
            body = self.value if _PLAIN_WORDS.fullmatch(self.value) else _quote(self.value)
            if body is not self.value and _pictureish(self.value):
                body = f"text:{body}"
        elif _PLAIN_PATH.fullmatch(self.value) and _pictureish(self.value):
            body = self.value
        else:
            body = f"img:{_quote(self.value)}"
        if self.box is None:
            return weight + body
        unit = "percent:" if self.box_percent else ""
        return f"{weight}{body}{_FRAGMENT}{unit}{','.join(map(_number, self.box))}"


@dataclass(frozen=True, slots=True)
class Query:
    """A question: at least one part of positive weight, as ``Query.parse`` or a caller makes it.

    ``text`` is what the user wrote; it takes no part in comparison.
    """

    parts: tuple[Part, ...]
    text: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.parts:
            raise UsageError("the question is empty; give words, a picture or @id")
        if all(part.weight < 0 for part in self.parts):
            raise UsageError(
                "a question needs at least one part to look for; all parts push away. "
                f"Received: {self}"
            )

    def __str__(self) -> str:
        """The question in its own language: ``Query.parse(str(q)) == q``."""
        first = "- " if self.parts[0].weight < 0 else ""
        rest = "".join(f" {'-' if p.weight < 0 else '+'} {p}" for p in self.parts[1:])
        return f"{first}{self.parts[0]}{rest}"

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
        exists = _is_file if files else _no_file
        simple = _existing(text.strip(), exists) or _plain(text.strip())
        if simple is not None:
            return cls((simple,), text)
        parts = _parse(text, exists)
        if all(part.weight < 0 for part in parts):
            raise pointed(
                "a question needs at least one part to look for; all parts push away", text, 0
            )
        return cls(parts, text)

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
        return cls((Part("picture", _MEMORY + digest.hexdigest(), pixels=pixels),))


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquote(text: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", text[1:-1])


def _weight_problem(weight: float) -> str:
    if math.isfinite(weight) and 0 < abs(weight) <= MAX_WEIGHT:
        return ""
    return f"a weight must be above 0 and at most {MAX_WEIGHT:g}. Received: {weight:g}"


def _box_problem(box: Box, percent: bool) -> str:
    x, y, w, h = box
    if not all(map(math.isfinite, box)) or x < 0 or y < 0 or w <= 0 or h <= 0:
        return f"a box is x,y,w,h with x and y from 0 and w and h above 0. Received: {box}"
    if percent and (x + w > 100.0001 or y + h > 100.0001):
        return f"a box in percent must lie within 0 to 100. Received: {box}"
    return ""


def _has_ending(path: str) -> bool:
    stem, dot, ending = path.rpartition(".")
    return bool(dot and stem) and ending.casefold() in PICTURE_ENDINGS


def _pictureish(text: str) -> bool:
    """Whether quoted text could be read as a picture."""
    return bool(_URL.match(text) or _EXPLICIT.match(text)) or _has_ending(
        text.partition("#xywh=")[0]
    )


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(os.path.expanduser(path))
    except ValueError:  # an embedded NUL
        return False


def _no_file(path: str) -> bool:
    return False


def _existing(text: str, exists: Exists) -> Part | None:
    """The whole text as one picture file, even with spaces or operators in its name."""
    if (_has_ending(text) or _EXPLICIT.match(text)) and exists(text):
        return Part("picture", text)
    path, fragment, box = text.rpartition(_FRAGMENT)
    if fragment and (_has_ending(path) or _EXPLICIT.match(path)) and exists(path):
        numbers, percent = _fragment(_FRAGMENT + box, text, len(path))
        return Part("picture", path, box=numbers, box_percent=percent)
    return None


def _plain(text: str) -> Part | None:
    """What most questions are, known without waiting for the parser: plain words or a path."""
    if _PLAIN_WORDS.fullmatch(text):
        return Part("text", text)
    return Part("picture", text) if _PLAIN_PATH.fullmatch(text) and _pictureish(text) else None


def _fragment(fragment: str, text: str, position: int) -> tuple[Box, bool]:
    """Box and percent flag of ``#xywh=[pixel:|percent:]x,y,w,h``."""
    unit, colon, numbers = fragment[len(_FRAGMENT) :].rpartition(":")
    fields = numbers.split(",")
    number = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
    shape_ok = len(fields) == 4 and all(re.fullmatch(number, f) for f in fields)
    if not shape_ok or (unit if colon else "pixel") not in ("pixel", "percent"):
        raise pointed(
            f"a piece is #xywh=x,y,w,h in pixels or #xywh=percent:x,y,w,h. Received: {fragment}",
            text,
            position,
        )
    x, y, w, h = (float(f) for f in fields)
    problem = _box_problem((x, y, w, h), unit == "percent")
    if problem:
        raise pointed(problem, text, position)
    return (x, y, w, h), unit == "percent"


@cache
def _parser() -> Any:
    from lark import Lark

    return Lark(_GRAMMAR, start="question", parser="lalr", maybe_placeholders=True)


def _parse(text: str, exists: Exists) -> tuple[Part, ...]:
    from lark.exceptions import UnexpectedInput

    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _explain(text, error) from None
    lead, first, *rest = tree.children
    signs = [-1.0 if lead is not None and "-" in lead else 1.0]
    signs += [-1.0 if "-" in operator else 1.0 for operator in rest[::2]]
    return tuple(
        _part(node, sign, text, exists)
        for node, sign in zip([first, *rest[1::2]], signs, strict=True)
    )


def _explain(text: str, error: Any) -> UsageError:
    position: int | None = getattr(error, "pos_in_stream", None)
    kind = getattr(getattr(error, "token", None), "type", "")
    if position is None or position >= len(text.rstrip()) or kind == "$END":
        return pointed("something must follow here: words, a picture or @id", text, len(text))
    if text[position] == '"' and kind != "QUOTED":
        return pointed('the quote is not closed; end it with "', text, position)
    if text[position] in "+-":
        return pointed("an operator needs a part on both sides", text, position)
    return pointed("put ' + ' or ' - ' between two parts of a question", text, position)


def _part(node: Any, sign: float, text: str, exists: Exists) -> Part:
    weight_token, thing = node.children
    weight = sign
    if weight_token is not None:
        given = float(weight_token.rstrip().rstrip(":"))
        problem = _weight_problem(given)
        if problem or given < 0:
            raise pointed(
                problem or f"write ' - {-given:g}:…' for a part that pushes away",
                text,
                weight_token.start_pos,
            )
        weight = sign * given
    value: str
    kind: PartKind
    fragment: str | None = None
    place = 0
    if thing.data == "item":
        token, piece = thing.children
        kind, value = "item", str(int(token[1:]))
    elif thing.data == "quoted":
        escape, token, piece = thing.children
        kind, value, fragment = _kind(_unquote(token), escape, exists, quoted=True)
        if piece is not None and kind == "text":
            raise pointed("words cannot have a piece; only pictures can", text, piece.start_pos)
    else:
        escape, token = thing.children
        piece = None
        _refuse_mixture(token, escape, text, exists)
        kind, value, fragment = _kind(str(token), escape, exists, quoted=False)
    if not value.strip():
        raise pointed("the words between the quotes are missing", text, token.start_pos)
    if piece is not None:
        fragment, place = str(piece), piece.start_pos
    elif fragment is not None:
        place = token.start_pos + token.find(_FRAGMENT)
    box, percent = (None, False) if fragment is None else _fragment(fragment, text, place)
    return Part(kind, value, weight, box, percent)


def _kind(
    value: str, escape: str | None, exists: Exists, *, quoted: bool
) -> tuple[PartKind, str, str | None]:
    """What a chunk of text is: its kind, its value and the fragment cut from it."""
    if escape == "text:":
        return "text", value, None
    if escape == "img:" and quoted:  # literal: a fragment stands behind the quotes
        return "picture", value, None
    path, mark, piece = value.rpartition(_FRAGMENT)
    path, fragment = (path, mark + piece) if mark else (value, None)
    explicit = escape == "img:" or _URL.match(path) or _EXPLICIT.match(path)
    one_word = not any(map(str.isspace, path))
    if explicit or (_has_ending(path) and (one_word or exists(path))):
        return "picture", path, fragment
    return "text", value, None


def _refuse_mixture(token: Any, escape: str | None, text: str, exists: Exists) -> None:
    """Words and a picture side by side without an operator are a mistake, never words."""
    if escape is not None or not any(map(str.isspace, token)):
        return
    if _EXPLICIT.match(token) and exists(token.rpartition(_FRAGMENT)[0] or str(token)):
        return
    for match in re.finditer(r"\S+", token):
        word = match.group()
        if word == "/" or not (
            re.fullmatch(r"@[0-9]+(#\S*)?", word)
            or re.match(r"(img|text):\S", word)
            or _URL.match(word)
            or (_EXPLICIT.match(word) and len(word) > 1)
        ):
            continue
        advice = "put ' + ' between words and a picture, and quotes round a path with spaces"
        raise pointed(advice, text, token.start_pos + match.start())


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
