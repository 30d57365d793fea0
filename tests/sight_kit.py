"""A gallery of word bags in a joint space, and encoders that read words, for composers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.bench.array_view import ArrayView
from needlepoint.bench.gallery import Album, Described, Vectors
from needlepoint.methods.card import find_method
from needlepoint.methods.composing import Change, Composed, Composer
from needlepoint.methods.dialogue import Helpers
from needlepoint.parts import EncoderCard, Floats, SpaceCard, TextFeatures
from needlepoint.query import Part

DIM = 48
JOINT = (SpaceCard("joint", DIM, "f16", ("image", "text")),)
APART = (SpaceCard("look", DIM, "f16", ("image",)), SpaceCard("words", DIM, "f16", ("text",)))
PICTURES = (
    *("duck red", "duck blue", "duck green", "car red", "car blue", "car green"),
    *("tree red", "tree blue", "duck red beach", "car red beach", "boat blue", "boat green"),
)


def unit(rows: Any) -> Floats:
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def bag(text: str) -> Floats:
    """The sum of a text's words at unit length; each word has a direction of its own."""
    total = np.zeros(DIM)
    for word in text.lower().replace(",", " ").split() or [""]:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        total += np.random.default_rng(seed).standard_normal(DIM)
    return unit(total)


class Reader:
    """Reads texts as bags of words; ``read`` keeps what it was given."""

    def __init__(self, spaces: tuple[SpaceCard, ...] = JOINT, name: str = "bags") -> None:
        self.card = EncoderCard(
            address=name,
            title=name,
            family="toy",
            dim=DIM,
            spaces=spaces,
            input_size=32,
            resize="squash",
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            interpolation="bicubic",
            weights_hash=name,
            licence="CC0-1.0",
            abilities=("text",),
        )
        self.read: list[str] = []

    def image_features(self, pictures: Any, *, want: Any = frozenset(), block: int = -1) -> Any:
        raise AssertionError("no composer here may look at a picture again")

    def text_features(self, texts: Sequence[str], *, want: Any = frozenset()) -> TextFeatures:
        self.read.extend(texts)
        return TextFeatures(np.stack([bag(text) for text in texts]))


def sight(
    pictures: Sequence[str] | Floats = PICTURES,
    *,
    reader: Reader | None = None,
    captions: Sequence[str] = (),
    noise: float = 0.0,
) -> ArrayView:
    """A view of pictures: word bags, or vectors ``[G, D]``; in every space of the encoder."""
    reader = reader or Reader()
    if isinstance(pictures, np.ndarray):
        rows = pictures
    else:
        shake = np.random.default_rng(0).standard_normal((len(pictures), DIM)) * noise
        rows = unit(np.stack([bag(text) for text in pictures]) + shake)
    none = np.zeros((0, DIM), np.float32)
    held = Vectors(rows, none, np.zeros((0, 4), np.float32), np.zeros(len(rows) + 1, np.int64))
    spaces = {space.name: held for space in reader.card.spaces}
    files = [Path(f"/gallery/part/{number}.jpg") for number in range(len(rows))]
    described = Described("none", spaces, 0.0, 0.0, 0.0)
    return ArrayView(reader, described, files, Album(), captions=captions)


def change(text: str, *references: int | tuple[int, float]) -> Change:
    """A question about pictures of the gallery, each by its place or place and weight."""
    pairs = [one if isinstance(one, tuple) else (one, 1.0) for one in references]
    return Change(tuple(Part("item", str(place), weight) for place, weight in pairs), text)


def composer(method: str, helpers: Helpers | None = None) -> Composer:
    """A composer by name and options."""
    name, _, options = method.partition(":")
    make = find_method(name).composer
    assert make is not None
    return make(options, helpers or Helpers())


def answer(method: str, asked: Change, view: ArrayView) -> Composed:
    (composed,) = composer(method).compose([asked], view)
    return composed


def scores(composed: Composed, view: ArrayView) -> Floats:
    """The score of every picture; those behind a shortlist keep what they were found with."""
    found = view.scores(composed.probes)
    if composed.again is not None:
        count = composed.again.shortlist or len(found)
        ids, first = view.search(composed.probes, count)
        found = found.copy()
        found[ids] = composed.again.scores(ids, first)
    return found


def ranking(method: str, asked: Change, view: ArrayView) -> list[int]:
    """All pictures, best first, ties by place."""
    return np.argsort(-scores(answer(method, asked, view), view), kind="stable").tolist()


def renamed(reader: Reader, **changes: Any) -> Reader:
    """The same encoder under a card that differs."""
    reader.card = replace(reader.card, **changes)
    return reader
