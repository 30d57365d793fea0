"""Pairs of a picture, or a piece of one, and a text: read from ``captions.jsonl`` files.

A row is ``{"file": …, "box": [x, y, w, h] | null, "text": …, "kind": …}``; ``file`` is relative to
the folder of ``captions.jsonl``, the box is in pixels of the picture.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.picture import Box

CAPTIONS = "captions.jsonl"

#: words that say nothing of what a picture shows
_FILLERS = frozenset(
    [
        *("a", "an", "the", "of", "in", "on", "at", "with", "and", "is", "are", "there", "this"),
        *("that", "here", "it", "photo", "picture", "image", "close", "up", "closeup", "scene"),
        *("small", "little", "tiny"),
    ]
)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture or piece of it with its text; ``source`` is the path of the whole picture."""

    source: str
    box: Box | None
    text: str
    kind: str

    @property
    def meaning(self) -> frozenset[str]:
        """``meaning_of`` the text."""
        return meaning_of(self.text)

    @property
    def key(self) -> str:
        """What makes two pairs hard to tell apart: the last word that says something."""
        words = [w for w in _WORD.findall(self.text.lower()) if w not in _FILLERS]
        return words[-1] if words and self.kind == "thing" else self.source

    @property
    def piece(self) -> tuple[str, Box | None]:
        """What of which picture is seen; several texts may be about one piece."""
        return self.source, self.box


def meaning_of(text: str) -> frozenset[str]:
    """The words of a text that say something; all of its words when none does.

    Example:
        >>> sorted(meaning_of("A photo of a small red sofa"))
        ['red', 'sofa']
    """
    words = frozenset(_WORD.findall(text.lower()))
    return words - _FILLERS or words


def read_pairs(folders: Sequence[Path], *, limits: Sequence[int] = (), seed: int = 0) -> list[Pair]:
    """All pairs of the folders, or those of so many pieces of each: whole pictures first.

    Args:
        folders: each with ``captions.jsonl``.
        limits: pieces used at most: one number for every folder, or one for all, or none.
        seed: of the choice.

    Raises:
        UsageError: no ``captions.jsonl``, a row that is none, no rows, or limits that do not fit.
    """
    if len(limits) not in (0, 1, len(folders)):
        raise UsageError(
            f"limit: give one, or one for each of the {len(folders)} data folders, "
            f"not {len(limits)}"
        )
    each = list(limits) * len(folders) if len(limits) == 1 else list(limits) or [0] * len(folders)
    pairs = [
        pair
        for folder, limit in zip(folders, each, strict=True)
        for pair in _limited(_read(folder), limit, seed)
    ]
    if not pairs:
        raise UsageError(f"data: {', '.join(map(str, folders))} hold no pairs")
    return pairs


def _read(folder: Path) -> list[Pair]:
    path = folder / CAPTIONS
    if not path.is_file():
        raise UsageError(
            f"data: {folder} holds no {CAPTIONS}; make some with needlepoint bench build needle, "
            'or write rows {"file", "box", "text", "kind"} yourself'
        )
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    return [_pair(folder, line, f"{path}:{number}") for number, line in lines if line.strip()]


def _limited(pairs: list[Pair], limit: int, seed: int) -> list[Pair]:
    if not limit:
        return pairs
    pieces = list(dict.fromkeys(pair.piece for pair in pairs))
    order = np.random.default_rng([seed, len(pieces)]).permutation(len(pieces))
    ranked = sorted((pieces[i] for i in order), key=lambda piece: piece[1] is not None)
    kept = set(ranked[:limit])
    return [pair for pair in pairs if pair.piece in kept]


def _pair(folder: Path, line: str, where: str) -> Pair:
    try:
        row = json.loads(line)
        box = row.get("box")
        x, y, w, h = box if box is not None else (0, 0, 1, 1)
        if w <= 0 or h <= 0 or not str(row["text"]).strip():
            raise ValueError("an empty box or text")
        piece = None if box is None else (int(x), int(y), int(w), int(h))
        return Pair(str(folder / row["file"]), piece, str(row["text"]), str(row.get("kind", "")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{where}: no row of captions: {error}") from error
