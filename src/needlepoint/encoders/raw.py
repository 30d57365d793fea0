"""Vectors with the lengths the encoder gave them, before they were normalised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from needlepoint.parts import Encoder, Floats, TextEncoder
from needlepoint.picture import Pixels


def image_lengths(encoder: Encoder, pictures: Sequence[Pixels]) -> tuple[Floats, Floats]:
    """Unit vectors float32 ``[N, D]`` of pictures and their lengths ``[N]``; 1 if none is told."""
    features = encoder.image_features(pictures, want=_want(encoder))
    return features.vector, _told(features.length, len(pictures))


def text_lengths(encoder: TextEncoder, texts: Sequence[str]) -> tuple[Floats, Floats]:
    """As ``image_lengths``, of texts."""
    features = encoder.text_features(texts, want=_want(encoder))
    return features.vector, _told(features.length, len(texts))


def _want(encoder: Encoder | TextEncoder) -> frozenset[str]:
    return frozenset({"length"}) if "tokens" in encoder.card.abilities else frozenset()


def _told(lengths: Floats | None, count: int) -> Floats:
    return np.ones(count, np.float32) if lengths is None else lengths.astype(np.float32)
