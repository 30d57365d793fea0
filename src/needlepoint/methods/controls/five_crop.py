"""Five crops: the four corners and the middle, each through the encoder by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.crops import CropOptions, check_range
from needlepoint.methods.options import read_options, recipe_text
from needlepoint.parts import Encoder, Floats
from needlepoint.picture import Picture
from needlepoint.regions.cropped import CropDescriber, boxes_array

NAME = "five-crop"


@dataclass(frozen=True)
class Options(CropOptions):
    """``share``: side of a crop as a share of the picture's, 0.1 to 0.95."""

    share: float = 0.5

    def __post_init__(self) -> None:
        check_range(f"method {NAME}: share", self.share, 0.1, 0.95)


def read(text: str) -> Options:
    """The options of a recipe."""
    return read_options(Options, text, NAME)


def five_boxes(width: int, height: int, share: float) -> Floats:
    """Corners and middle, float32 ``[5, 4]`` in pixels.

    Example:
        >>> five_boxes(100, 60, 0.5)[4].tolist()
        [25.0, 15.0, 50.0, 30.0]
    """
    w, h = round(width * share), round(height * share)
    right, bottom = width - w, height - h
    corners = [(0, 0), (right, 0), (0, bottom), (right, bottom), (right / 2, bottom / 2)]
    return boxes_array([(x, y, w, h) for x, y in corners])


def describer(text: str) -> CropDescriber:
    """What is kept of a picture under the options of a recipe."""
    options = read(text)

    def propose(encoder: Encoder, pictures: Sequence[Picture]) -> list[Floats]:
        return [five_boxes(*picture.size, options.share) for picture in pictures]

    return CropDescriber(recipe_text(NAME, options), propose)


CARD = register(
    Method(
        MethodCard(
            name=NAME,
            title="Five crops",
            paper="ten-crop testing of Krizhevsky et al. 2012, without the mirror images",
            year=2012,
            task="control",
            parts=("RegionProposer: four corners and the middle", "Scorer: gated or best"),
            recipe="five-crop*",
            needs=(),
            stores="1 whole vector and 5 region vectors with boxes",
            passes="1 + 5",
            evidence="own reading",
            parameters={
                "share": "0.5 of each side (ours: the corners then cover the picture)",
                "fusion": "gated as LARE's, or best",
                "tau": "as LARE's",
            },
            disagreements=(
                "The source averages class scores over crops; here the best crop may answer.",
            ),
        ),
        describer=describer,
        fusion=lambda options, card: read(options).how(card),
        when_asked=("fusion", "tau"),
    )
)
