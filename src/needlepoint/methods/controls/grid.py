"""Grid: n x n cells that do not overlap, each through the encoder by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.crops import CropOptions, check_range
from needlepoint.methods.options import read_options, recipe_text
from needlepoint.parts import Encoder, Floats
from needlepoint.picture import Picture
from needlepoint.regions.cropped import CropDescriber, boxes_array

NAME = "grid"


@dataclass(frozen=True)
class Options(CropOptions):
    """``n``: rows and columns of the grid, 2 to 16."""

    n: int = 3

    def __post_init__(self) -> None:
        check_range(f"method {NAME}: n", self.n, 2, 16)


def read(text: str) -> Options:
    """The options of a recipe."""
    return read_options(Options, text, NAME)


def grid_cells(width: int, height: int, n: int) -> Floats:
    """The n x n cells row by row, float32 ``[n * n, 4]`` in whole pixels; together the picture.

    Example:
        >>> grid_cells(100, 50, 2).tolist()[3]
        [50.0, 25.0, 50.0, 25.0]
    """
    x, y = (np.linspace(0, length, n + 1).round().tolist() for length in (width, height))
    return boxes_array(
        [
            (x[col], y[row], x[col + 1] - x[col], y[row + 1] - y[row])
            for row in range(n)
            for col in range(n)
        ]
    )


def describer(text: str) -> CropDescriber:
    """What is kept of a picture under the options of a recipe."""
    options = read(text)

    def propose(encoder: Encoder, pictures: Sequence[Picture]) -> list[Floats]:
        return [grid_cells(*picture.size, options.n) for picture in pictures]

    return CropDescriber(recipe_text(NAME, options), propose)


CARD = register(
    Method(
        MethodCard(
            name=NAME,
            title="Grid of crops",
            paper="spatial search of Razavian et al. 2014, one level, no overlap",
            year=2014,
            task="control",
            parts=("RegionProposer: n x n cells", "Scorer: gated or best"),
            recipe="grid*",
            needs=(),
            stores="1 whole vector and n x n region vectors with boxes",
            passes="1 + n x n",
            evidence="own reading",
            parameters={
                "n": "3 (ours)",
                "fusion": "gated as LARE's, or best",
                "tau": "as LARE's",
            },
        ),
        describer=describer,
        fusion=lambda options, card: read(options).how(card),
        when_asked=("fusion", "tau"),
    )
)
