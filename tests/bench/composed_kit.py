"""A world of plain colours in which every ranking of a composed question is known by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image
from toy_encoder import toy_card

from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.parts import ImageFeatures, SpaceCard, TextFeatures

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "magenta": (255, 0, 255),
    "cyan": (0, 255, 255),
    "yellow": (255, 255, 0),
}


class ColourEncoder:
    """A picture is its mean colour, a word the colour it names; unit length."""

    def __init__(self) -> None:
        spaces = (SpaceCard("joint", 3, "i8", ("image", "text")),)
        self.card = toy_card(address="colours", dim=3, spaces=spaces)
        self.calls: list[str] = []

    def image_features(self, pictures, *, want=frozenset(), block=-1) -> ImageFeatures:
        self.calls.append("image")
        return ImageFeatures(_unit([p.reshape(-1, 3).mean(0) for p in pictures]))

    def text_features(self, texts, *, want=frozenset()) -> TextFeatures:
        self.calls.append("text")
        return TextFeatures(_unit([COLOURS[text] for text in texts]))


def _unit(rows):
    raw = np.asarray(rows, np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def palette(folder, **changes) -> Protocol:
    """Six plain pictures in the order of ``COLOURS``, and four questions.

    ``mix`` needs both halves; ``words`` is solved by its words, ``seen`` by its picture (which is
    from elsewhere); ``both ways`` is said in two wordings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in COLOURS.items():
        Image.new("RGB", (24, 16), colour).save(folder / f"{name}.png")
    Image.new("RGB", (24, 16), (250, 5, 5)).save(folder / "reddish.png")

    def asks(name, reference, change, relevant, **more):
        ids = frozenset(f"{one}.png" for one in relevant)
        said = (change,) if isinstance(change, str) else change
        return Question(name, ids, file=f"{reference}.png", changes=said, **more)

    questions = (
        asks("mix", "red", "green", ["yellow"], junk=frozenset({"red.png"}), aspects=("recolour",)),
        asks("words", "red", "green", ["green"], junk=frozenset({"red.png"}), aspects=("move",)),
        asks("seen", "reddish", "green", ["red"], aspects=("move",)),
        asks("both ways", "red", ("green", "blue"), ["yellow", "blue"], aspects=("recolour",)),
    )
    gallery = tuple(Item(f"{name}.png", f"{name}.png") for name in COLOURS)
    return replace(Protocol("palette/edit", "dev", str(folder), gallery, questions), **changes)
