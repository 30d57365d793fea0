"""Truth crops: the annotated boxes through the encoder, as a ceiling for all that find boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.crops import CropOptions
from needlepoint.methods.objects import open_objects
from needlepoint.methods.options import read_options, recipe_text
from needlepoint.parts import Encoder, Floats
from needlepoint.picture import Picture
from needlepoint.regions.cropped import CropDescriber

NAME = "truth-crops"


@dataclass(frozen=True)
class Options(CropOptions):
    """``file``: COCO annotations or the truth.json of a needle set."""

    file: str = ""


def read(text: str) -> Options:
    """The options of a recipe."""
    return read_options(Options, text, NAME)


def describer(text: str) -> CropDescriber:
    """What is kept of a picture under the options of a recipe.

    A true box is encoded however small it is: dropping it would lower the ceiling.
    """
    options = read(text)
    source = open_objects(f"annotations:{options.file}") if options.file else None

    def propose(encoder: Encoder, pictures: Sequence[Picture]) -> list[Floats]:
        if source is None:
            raise UsageError(
                f"method {NAME}: file is not given. Give annotations: {NAME}:file=truth.json "
                "(COCO, or the truth of a needle set)."
            )
        return [one.boxes for one in source.find(encoder, pictures)]

    return CropDescriber(recipe_text(NAME, options), propose, min_side=1.0, squeeze=False)


CARD = register(
    Method(
        MethodCard(
            name=NAME,
            title="Ground-truth crops",
            paper="the ceiling of region search: boxes are given, not found",
            year=2014,
            task="control",
            parts=("RegionProposer: annotations", "Scorer: gated or best"),
            recipe="truth-crops*",
            needs=(),
            stores="1 whole vector and a region vector with a box for each annotated object",
            passes="1 + the number of annotated objects",
            evidence="own",
            parameters={
                "file": "annotations; without them the method cannot be used",
                "fusion": "gated as LARE's, or best",
                "tau": "as LARE's",
            },
        ),
        describer=describer,
        fusion=lambda options, card: read(options).how(card),
        when_asked=("fusion", "tau"),
    )
)
