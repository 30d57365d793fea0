"""Conversations made of attributes: what is wanted is told one attribute at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.train.memory import Conversations, Ids

FloatArray = npt.NDArray[np.float64]


def attribute_edits(
    count: int,
    *,
    pictures: int = 400,
    attributes: int = 6,
    values: int = 5,
    dim: int = 48,
    turns: tuple[int, int] = (2, 4),
    differ: int = 3,
    noise: float = 0.05,
    seed: int = 0,
) -> Conversations:
    """Conversations in which every turn shows another picture and says one thing to change.

    A picture is the sum of a vector for each of its attributes. A turn shows one that differs from
    the target in ``differ`` attributes and says the target's value of one of them, another
    attribute in every turn. No turn alone tells the target, and their order tells nothing.

    Args:
        count: conversations.
        pictures: pictures of the gallery, all different.
        attributes: of a picture; ``values`` each can have.
        dim: numbers of a picture's and of a text's vector.
        turns: least and most turns, evenly drawn.
        differ: attributes in which a shown picture is unlike the target.
        noise: standard deviation added to the numbers of each vector of unit length.
        seed: of everything.

    Raises:
        UsageError: more turns or differences than attributes, or more pictures than there can be.
    """
    least, most = turns
    if not 1 <= least <= most <= attributes or not 1 <= differ <= attributes:
        raise UsageError(
            f"turns={turns} and differ={differ} need 1 <= least <= most <= {attributes} attributes"
        )
    if pictures > values**attributes:
        raise UsageError(f"pictures={pictures} is more than {values}^{attributes}")
    rng = np.random.default_rng(seed)
    looks = rng.standard_normal((attributes, values, dim))
    names = rng.standard_normal((attributes, values, dim))
    chosen = rng.choice(values**attributes, pictures, replace=False)
    codes = np.stack([chosen // values**a % values for a in range(attributes)], axis=1)

    def vectors(sums: FloatArray) -> Floats:
        units = sums / np.linalg.norm(sums, axis=-1, keepdims=True)
        units = units + noise * rng.standard_normal(units.shape) / np.sqrt(dim)
        units = units / np.linalg.norm(units, axis=-1, keepdims=True)
        found: Floats = units.astype(np.float32)
        return found

    def seen(rows: Ids) -> Floats:
        return vectors(np.sum([looks[a, rows[..., a]] for a in range(attributes)], axis=0))

    targets = rng.integers(pictures, size=count)
    lengths = rng.integers(least, most + 1, size=count)
    shown = np.repeat(codes[targets][:, None], most, axis=1)
    told = np.stack([rng.permutation(attributes)[:most] for _ in range(count)])
    for row in range(count):
        for turn in range(most):
            others = rng.permutation(np.setdiff1d(np.arange(attributes), told[row, turn]))
            for a in (told[row, turn], *others[: differ - 1]):
                shown[row, turn, a] = (shown[row, turn, a] + rng.integers(1, values)) % values
    said = vectors(names[told, np.take_along_axis(codes[targets], told, axis=1)])
    features = np.zeros((count, most, 2, 2 * dim), np.float32)
    features[..., dim:] = said[:, :, None]
    features[:, :, 0, :dim] = seen(shown)
    features[np.arange(most)[None] >= lengths[:, None]] = 0
    return Conversations(features, lengths, targets, seen(codes), "attribute edits")
