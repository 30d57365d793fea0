"""A picture, or a piece of one, as the vector it asks with."""

from __future__ import annotations

import numpy as np

from needlepoint.parts import DenseEncoder, Encoder, Floats, QueryEncoder
from needlepoint.picture import Box, Picture, Pixels
from needlepoint.regions.dense import box_mean
from needlepoint.regions.describe import dense_map
from needlepoint.regions.focus import cut, focus
from needlepoint.regions.recipe import Recipe

QUESTION_SIDE = 1024
"""Long side in pixels at which a picture to ask with is decoded."""

IN_PLACE = 0.6
"""Weight of a piece seen in its place beside the piece cut out; chosen on the dev scenes."""


def picture_vector(
    encoder: Encoder,
    picture: Picture,
    box: Box | None,
    *,
    recipe: str,
    space: str,
    focused: bool = True,
) -> Floats:
    """What a picture asks with: its piece, else the thing on its plain background.

    A piece is looked at twice: cut out and enlarged, and in its place, as the pictures of a
    dense library were. The second makes a piece of an indexed picture find that picture.

    Args:
        encoder: the encoder of the library.
        picture: decoded; for a piece at its full size.
        box: the piece in original pixels, or None.
        recipe: what the pictures of the library were described with.
        space: name of the space asked in.
        focused: whether a plain background is left out; where it counts as well, as in a picture
            that is to be changed, it is kept.

    Returns:
        float32 ``[D]``, unit length.

    Raises:
        UsageError: the piece lies outside the picture.
    """
    if box is None:
        thing = focus(picture) if focused else picture.pixels
        return _encode(encoder, thing, alone=thing is not picture.pixels)
    alone = _encode(encoder, cut(picture, box), alone=True)
    if not recipe.startswith("dense:") or not isinstance(encoder, DenseEncoder):
        return alone
    features = dense_map(encoder, picture, Recipe.parse(recipe))
    if features.lead is None:
        placed = encoder.project(box_mean(features.cells, features, box), space)
    else:
        placed = box_mean(features.lead, features, box)
        placed /= max(float(np.linalg.norm(placed)), 1e-12)
    both = alone + IN_PLACE * placed
    unit: Floats = both / np.linalg.norm(both)
    return unit


def _encode(encoder: Encoder, pixels: Pixels, *, alone: bool) -> Floats:
    if isinstance(encoder, QueryEncoder):
        vectors = encoder.query_features([pixels], alone=alone)
    else:
        vectors = encoder.image_features([pixels]).vector
    first: Floats = vectors[0]
    return first
