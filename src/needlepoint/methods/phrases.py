"""Names of things, and sentences about them: what SEARLE's second loss is made of.

The authors let a language model go on from "a photo of {name} that". Here the sentences come from
a file of such phrases, or from a short list that fits any name.

Shapes: N pictures, K names, T names of a picture, D joint dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.store.base import Ids

TEMPLATES = (
    "a photo of {}",
    "a picture of {}",
    "an image of {}",
    "a close-up of {}",
    "a small photo of {}",
    "a bright photo of {}",
    "a dark picture of {}",
    "there is {} here",
)
"""Sentences that say nothing but what is shown."""

PHRASES = (
    "a photo of {} that is red",
    "a photo of {} that is blue",
    "a photo of {} that is larger",
    "a photo of {} that stands on the left",
    "a photo of {} that is in a crowd of small things",
    "a photo of {} that has something beside it",
    "a photo of {} that is seen from above",
    "a photo of {} that is drawn with a pencil",
    "a photo of {} in front of another background",
    "a photo of {} and nothing else",
)
"""Ways to go on from a name, where no file of phrases is given."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """K names, and for each some sentences with ``{}`` where it stood.

    ``rejected`` counts those in which it did not.
    """

    names: tuple[str, ...]
    sentences: tuple[tuple[str, ...], ...]
    rejected: int = 0

    def draw(self, name: int, drawn: np.random.Generator) -> tuple[str, str]:
        """A sentence and the name it is about."""
        some = self.sentences[name]
        return some[int(drawn.integers(len(some)))], self.names[name]

    def of(self, names: Sequence[int]) -> list[tuple[str, str]]:
        """All sentences about some names."""
        return [(text, self.names[one]) for one in names for text in self.sentences[one]]


def fixed_phrases(names: Sequence[str]) -> Phrases:
    """Every name with ``PHRASES``."""
    return Phrases(tuple(names), (PHRASES,) * len(names))


def read_phrases(path: Path) -> Phrases:
    """Phrases of a file, a line each: the name, a tab, a sentence in which it occurs.

    Sentences without their name are left out and counted: they would teach nothing of it.

    Raises:
        UsageError: no such file, a line without tab, or no sentence left.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"phrases: {path} cannot be read: {error.strerror}") from error
    held: dict[str, dict[str, None]] = {}
    rejected = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, tab, text = line.partition("\t")
        if not tab:
            raise UsageError(f"phrases: {path}:{number} must be NAME, a tab and a sentence")
        name, text = name.strip(), text.strip()
        slotted = with_slot(text, name)
        if slotted is None:
            rejected += 1
        else:
            held.setdefault(name, {})[slotted] = None
    if not held:
        raise UsageError(f"phrases: {path} holds no sentence in which its name occurs")
    return Phrases(tuple(held), tuple(tuple(texts) for texts in held.values()), rejected)


def with_slot(text: str, name: str) -> str | None:
    """The sentence with ``{}`` in place of the name, None where it does not occur as words.

    Example:
        >>> with_slot("A photo of a red ball that rolls", "red ball")
        'A photo of a {} that rolls'
        >>> with_slot("a photo of balls", "ball") is None
        True
    """
    low, name = text.lower(), name.lower().strip()
    place = low.find(name) if name else -1
    while place >= 0:
        end = place + len(name)
        inside = (place and low[place - 1].isalnum()) or (end < len(low) and low[end].isalnum())
        if not inside:
            return f"{text[:place]}{{}}{text[end:]}"
        place = low.find(name, place + 1)
    return None


def nearest_names(encoder: Any, vectors: Floats, names: Sequence[str], count: int) -> Ids:
    """The ``count`` names nearest to each picture, best first, int64 ``[N, min(count, K)]``.

    A name's vector is the mean over ``TEMPLATES``, each of unit length.
    """
    if not names:
        raise UsageError(
            "concepts: none; give --concepts FILE with a name a line, or data with captions"
        )
    means = np.stack(
        [
            encoder.text_features([text.replace("{}", name) for text in TEMPLATES]).vector.mean(0)
            for name in names
        ]
    )
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    order: Ids = np.argsort(-(vectors @ means.T), axis=1, kind="stable")[:, :count]
    return order
