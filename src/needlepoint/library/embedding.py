"""Words and pictures as vectors, for programs that keep vectors of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.library.roster import BUILTIN, Roster
from needlepoint.parts import Floats, TextEncoder
from needlepoint.picture import Pixels
from needlepoint.store.base import Space


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors float32 ``[N, D]`` of unit length, by which encoder, and in which of its spaces.

    ``tokens`` counts what the encoder has read of the texts, 0 where it does not say.
    """

    vectors: Floats
    model: str
    space: str
    tokens: int = 0


def embedders(spaces: Sequence[Space]) -> list[str]:
    """Addresses that embed: the encoders a library is indexed with, and the built-in one."""
    return list(dict.fromkeys([*(one.encoder for one in spaces), BUILTIN]))


def embed(
    roster: Roster,
    spaces: Sequence[Space],
    things: Sequence[str] | Sequence[Pixels],
    model: str,
    space: str | None,
) -> Embedded:
    """Vectors of texts or of pictures; see ``Library.embed``."""
    allowed = embedders(spaces)
    if model not in allowed:
        raise UsageError(
            f"`model` is {model}, which this library is not indexed with. Allowed: "
            f"{', '.join(allowed)}."
        )
    if not things:
        raise UsageError("nothing to embed: the input is empty")
    encoder = roster.open(model)
    card = encoder.card
    texts = [one for one in things if isinstance(one, str)]
    if not texts:
        pictures = [one for one in things if not isinstance(one, str)]
        features = encoder.image_features(pictures)
        within = {card.spaces[0].name: features.vector, **features.others}
        chosen = space or (card.space_for("image") or card.spaces[0]).name
        if chosen not in within:
            raise _no_space(model, chosen, list(within))
        return Embedded(within[chosen], model, chosen)
    if len(texts) < len(things):
        raise UsageError("the input is texts or pictures, not both; embed them one after the other")
    own = card.space_for("text")
    if own is None or not isinstance(encoder, TextEncoder):
        raise UsageError(f"{model} has no text side; choose another model")
    if space not in (None, own.name):
        raise _no_space(model, str(space), [own.name])
    read = encoder.text_features(texts)
    tokens = 0 if read.words is None else int(np.count_nonzero(read.words))
    return Embedded(read.vector, model, own.name, tokens)


def _no_space(model: str, space: str, allowed: Sequence[str]) -> UsageError:
    return UsageError(
        f"`space` is {space}, and {model} has no such vectors of these. Allowed: "
        f"{', '.join(allowed)}."
    )
