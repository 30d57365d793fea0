"""Slerp: from the picture towards the words along the sphere that unit vectors lie on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.composing import (
    Change,
    Composed,
    Sight,
    change_vectors,
    need_joint,
    query_probe,
    reference_probe,
)
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options
from needlepoint.parts import Floats


@dataclass(frozen=True, slots=True)
class Options:
    """``slerp:alpha=0.5``, the share (0 to 1) of the way to the words."""

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"method slerp: alpha is {self.alpha}. Allowed: 0 to 1.")


class Slerp:
    """``q = (sin((1 - a) t) f + sin(a t) g) / sin t`` with ``t`` the angle of ``f`` and ``g``."""

    def __init__(self, options: Options) -> None:
        self._alpha = options.alpha

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """One query vector a question; the picture itself where nothing is to change."""
        need_joint(view, "slerp")
        texts = change_vectors(changes, view)
        return [self._one(change, texts, view) for change in changes]

    def _one(self, change: Change, texts: dict[str, Floats], view: Sight) -> Composed:
        picture = reference_probe(change, view)
        if not change.text:
            return Composed((picture,), ("the picture",))
        vector, angle = along(picture.vector, texts[change.text], self._alpha)
        told = (("angle of picture and words", f"{np.degrees(angle):.0f} degrees"),)
        return Composed((query_probe(picture, vector),), ("picture and words",), told)


def along(start: Floats, end: Floats, share: float) -> tuple[Floats, float]:
    """The unit vector a share of the way between two, and the angle of those in radians.

    Example:
        >>> vector, angle = along(np.float32([1, 0]), np.float32([0, 1]), 0.5)
        >>> vector.round(3).tolist(), round(angle, 3)
        ([0.7070000171661377, 0.7070000171661377], 1.571)
    """
    angle = float(np.arccos(np.clip(np.dot(start.astype(np.float64), end), -1, 1)))
    if np.sin(angle) < 1e-6:  # the same or opposite: no one way leads along the sphere
        return (start if share <= 0.5 else end), angle
    weights = np.sin([(1 - share) * angle, share * angle]) / np.sin(angle)
    return (weights[0] * start + weights[1] * end).astype(np.float32), angle


def composer(options: str, helpers: Helpers) -> Slerp:
    """The method with its options; no model is needed beside the library's encoder."""
    return Slerp(read_options(Options, options, "slerp"))


CARD = register(
    Method(
        MethodCard(
            name="slerp",
            title="Slerp: spherical interpolation of picture and words",
            paper="Jang et al., Spherical Linear Interpolation and Text-Anchoring for Zero-shot "
            "Composed Image Retrieval, ECCV 2024 (arXiv 2405.00571)",
            year=2024,
            task="composed",
            parts=("composer: a point of the arc from the picture's vector to the words'",),
            recipe="*",
            needs=("text",),
            stores="nothing of its own",
            passes="one of the text tower a question",
            evidence="own reading",
            parameters={"alpha": "share of the way to the words, 0.5 (ours)"},
            disagreements=(
                "Only the interpolation is here; the paper also tunes the image tower towards the "
                "texts (text-anchored tuning), which is not.",
                "At one half it is the weighted sum: the two differ in how fast the way is gone.",
            ),
        ),
        composer=composer,
    )
)
