"""A tiny BLIP-2 and composed questions about coloured shapes that it can learn."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.qformer import QFormerEncoder

sys.path.insert(0, str(Path(__file__).parents[1] / "parity"))

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220)}
SHAPES = ("ball", "box", "bar")


def blip2(folder: Path) -> Path:
    import tiny

    torch.set_num_threads(1)
    return tiny.hf_blip2(folder)


def opened(folder: Path) -> QFormerEncoder:
    encoder = open_encoder(f"hf:{folder}")
    assert isinstance(encoder, QFormerEncoder)
    return encoder


def coloured(folder: Path) -> Protocol:
    """Nine pictures; from each, a question for each other colour of the same shape."""
    folder.mkdir(parents=True, exist_ok=True)
    for shape in SHAPES:
        for colour, fill in COLOURS.items():
            image = Image.new("RGB", (48, 48), (128, 128, 128))
            draw = ImageDraw.Draw(image)
            if shape == "ball":
                draw.ellipse((8, 8, 40, 40), fill=fill)
            else:
                draw.rectangle((8, 8, 40, 40 if shape == "box" else 16), fill=fill)
            image.save(folder / f"{colour}-{shape}.png")
    names = [f"{colour}-{shape}.png" for shape in SHAPES for colour in COLOURS]
    questions = [
        Question(
            id=f"{other}-{name}",
            relevant=frozenset([f"{other}-{shape}"]),
            file=name,
            group=shape,
            changes=(f"in {other}", f"a {other} one"),
        )
        for name in names
        for shape in [name.partition("-")[2]]
        for other in COLOURS
        if not name.startswith(other)
    ]
    return Protocol(
        name="coloured",
        split="train",
        folder=str(folder),
        gallery=tuple(Item(name, name) for name in names),
        questions=tuple(questions),
    )
