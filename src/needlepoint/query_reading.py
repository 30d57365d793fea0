"""The question language: from text to parts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from needlepoint.errors import UsageError, pointed
from needlepoint.picture import Box
from needlepoint.query_part import (
    EXPLICIT,
    FRAGMENT,
    PLAIN_PATH,
    PLAIN_WORDS,
    URL,
    Part,
    PartKind,
    box_problem,
    has_ending,
    pictureish,
    weight_problem,
)

Exists = Callable[[str], bool]
"""Whether there is a file at a path, as far as a question may know."""

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


CHANGE = "->"
"""Stands between what a question starts from and what is to be different."""

_CHANGE = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<arrow>(?:^|\s)->(?:\s|$))', re.DOTALL)


def read(text: str, *, files: bool) -> tuple[tuple[Part, ...], str]:
    """Parts of a question, at least one of which pulls, and the change in words (or nothing).

    Args:
        text: not empty.
        files: let a picture's name have spaces where such a file is there.

    Raises:
        UsageError: shows the position of what is wrong.
    """
    exists = _is_file if files else _no_file
    whole = _existing(text.strip(), exists)
    if whole is not None:
        return (whole,), ""
    for found in _CHANGE.finditer(text):
        if found["arrow"]:
            start, change = text[: found.start()], text[found.end() :].strip()
            if not start.strip():
                raise pointed(f"a picture must stand before {CHANGE}", text, 0)
            if not change:
                raise pointed("say here what is to be different", text, len(text.rstrip()))
            return _read(start, exists), change
    return _read(text, exists), ""


def _read(text: str, exists: Exists) -> tuple[Part, ...]:
    simple = _existing(text.strip(), exists) or _plain(text.strip())
    if simple is not None:
        return (simple,)
    parts = _parse(text, exists)
    if all(part.weight < 0 for part in parts):
        raise pointed(
            "a question needs at least one part to look for; all parts push away", text, 0
        )
    return parts


def _unquote(text: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", text[1:-1])


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(os.path.expanduser(path))
    except ValueError:  # an embedded NUL
        return False


def _no_file(path: str) -> bool:
    return False


def _existing(text: str, exists: Exists) -> Part | None:
    """The whole text as one picture file, even with spaces or operators in its name."""
    if (has_ending(text) or EXPLICIT.match(text)) and exists(text):
        return Part("picture", text)
    path, fragment, box = text.rpartition(FRAGMENT)
    if any(map(str.isspace, box)):  # other parts follow the piece
        return None
    if fragment and (has_ending(path) or EXPLICIT.match(path)) and exists(path):
        numbers, percent = _fragment(FRAGMENT + box, text, len(path))
        return Part("picture", path, box=numbers, box_percent=percent)
    return None


def _plain(text: str) -> Part | None:
    """What most questions are, known without waiting for the parser: plain words or a path."""
    if PLAIN_WORDS.fullmatch(text):
        return Part("text", text)
    return Part("picture", text) if PLAIN_PATH.fullmatch(text) and pictureish(text) else None


def _fragment(fragment: str, text: str, position: int) -> tuple[Box, bool]:
    """Box and percent flag of ``#xywh=[pixel:|percent:]x,y,w,h``."""
    unit, colon, numbers = fragment[len(FRAGMENT) :].rpartition(":")
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
    problem = box_problem((x, y, w, h), unit == "percent")
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
        problem = weight_problem(given)
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
        place = token.start_pos + token.find(FRAGMENT)
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
    path, mark, piece = value.rpartition(FRAGMENT)
    path, fragment = (path, mark + piece) if mark else (value, None)
    explicit = escape == "img:" or URL.match(path) or EXPLICIT.match(path)
    one_word = not any(map(str.isspace, path))
    if explicit or (has_ending(path) and (one_word or exists(path))):
        return "picture", path, fragment
    return "text", value, None


def _refuse_mixture(token: Any, escape: str | None, text: str, exists: Exists) -> None:
    """Words and a picture side by side without an operator are a mistake, never words."""
    if escape is not None or not any(map(str.isspace, token)):
        return
    if EXPLICIT.match(token) and exists(token.rpartition(FRAGMENT)[0] or str(token)):
        return
    for match in re.finditer(r"\S+", token):
        word = match.group()
        if word == "/" or not (
            re.fullmatch(r"@[0-9]+(#\S*)?", word)
            or re.match(r"(img|text):\S", word)
            or URL.match(word)
            or (EXPLICIT.match(word) and len(word) > 1)
        ):
            continue
        advice = "put ' + ' between words and a picture, and quotes round a path with spaces"
        raise pointed(advice, text, token.start_pos + match.start())
