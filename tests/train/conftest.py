"""A few coloured shapes with captions, and the smallest model that can learn from them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1] / "encoders"))

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220)}
SHAPES = ("ball", "box")


def write_shapes(folder: Path, count: int = 24) -> Path:
    """Pictures of one shape each, with a caption of the whole and one of the thing."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        colour = list(COLOURS)[number % 3]
        shape = SHAPES[number // 3 % 2]
        image = Image.fromarray(rng.integers(90, 160, (72, 96, 3), dtype=np.uint8))
        x, y, side = int(rng.integers(2, 50)), int(rng.integers(2, 30)), int(rng.integers(24, 40))
        draw = ImageDraw.Draw(image)
        paint = draw.ellipse if shape == "ball" else draw.rectangle
        paint((x, y, x + side, y + side), fill=COLOURS[colour])
        image.save(folder / f"{number:02}.png")
        name = f"a {colour} {shape}"
        rows.append({"file": f"{number:02}.png", "box": None, "text": f"{name} in noise",
                     "kind": "whole"})  # fmt: skip
        rows.append({"file": f"{number:02}.png", "box": [x, y, side, side], "text": name,
                     "kind": "thing"})  # fmt: skip
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torchvision_stub

    torchvision_stub.declare()
    import torch

    torch.set_num_threads(1)
    return write_shapes(tmp_path_factory.mktemp("shapes") / "data")


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all tests keep the stem's cells of the shapes: they are computed once."""
    return tmp_path_factory.mktemp("cells")


@pytest.fixture(scope="session")
def recipe(shapes: Path) -> Callable[..., object]:
    """``recipe(steps=4, keep=1.0)``: a tiny one on the shapes; fields of ``Shape`` too."""
    from dataclasses import fields

    from needlepoint.train.dual import Shape
    from needlepoint.train.lesson import Recipe
    from needlepoint.train.loop import Plan

    def made(*, steps: int = 4, rate: float = 1e-3, seed: int = 0, **changes: object) -> Recipe:
        small: dict[str, object] = {
            "size": 64, "width": 32, "layers": 2, "heads": 2, "text_width": 32, "text_layers": 1,
            "text_heads": 2, "context": 12, "dim": 24,
        }  # fmt: skip
        names = {field.name for field in fields(Shape)}
        small |= {k: changes.pop(k) for k in list(changes) if k in names}
        plan = Plan(steps=steps, rate=rate, warm_up=1, seed=seed, save_every=2, report_every=2)
        settings = {"batch": 8, "run": 2, "words": 50, "anchors": 0.0, "held_out": 0.2, "keep": 0.5}
        return Recipe(
            data=(str(shapes),), shape=Shape(**small), plan=plan, **{**settings, **changes}
        )

    return made
