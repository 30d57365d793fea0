"""How a picture's score comes of its whole vector's and its regions' scores.

Shapes: Q questions, G pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.parts import Floats

Kind = Literal["whole", "best", "gated"]


@dataclass(frozen=True, slots=True)
class Fusion:
    """``whole`` leaves regions out, ``best`` takes the highest score of whole and regions.

    ``gated`` (LARE, eq. 4) lets regions speak only where the whole picture scores below ``tau``:
    with ``d = region - whole`` the score becomes ``(1 - a) whole + a region``,
    ``a = min(gain d, cap)``. The boost is ``gain d ** 2`` up to ``d = cap / gain`` and ``cap d``
    beyond, never negative, and jumps at ``tau``.

    Example:
        >>> Fusion("gated", tau=0.25).combine(np.float32([[0.1]]), np.float32([[0.3]])).round(3)
        array([[0.18]], dtype=float32)
    """

    kind: Kind = "best"
    tau: float = 0.25
    gain: float = 2.0
    cap: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in ("whole", "best", "gated"):
            raise UsageError(f"`fusion` is {self.kind!r}. Allowed: whole, best, gated.")

    def combine(self, whole: Floats, region: Floats) -> Floats:
        """Scores of pictures.

        Args:
            whole: float32 ``[Q, G]``, cosine with the whole picture.
            region: float32 ``[Q, G]``, best cosine with a region; minus infinity where a picture
                has none.

        Returns:
            float32 ``[Q, G]``; equal to ``whole``, bit for bit, where there is no region and
            where the gate is shut.
        """
        if self.kind == "whole":
            return whole
        if self.kind == "best":
            return np.maximum(whole, region)
        open_ = (whole < self.tau) & (region > whole)
        if not open_.any():
            return whole
        gap = np.where(open_, region - whole, np.float32(0))
        share = np.minimum(np.float32(self.gain) * gap, np.float32(self.cap))
        raised = (1 - share) * whole + share * np.where(open_, region, whole)
        fused: Floats = np.where(open_, raised, whole)
        return fused

    def at_most(self, whole: Floats, region: Floats | float) -> Floats:
        """The highest score possible when no region scores above ``region``.

        Exact for pruning: a picture whose bound is below the k-th score needs no region product.
        For ``gated``: ``max(whole, (1 - cap) whole + cap region)`` where the gate is open.
        """
        if self.kind == "whole":
            return whole
        if self.kind == "best":
            return np.maximum(whole, region)
        mixed = (1 - np.float32(self.cap)) * whole + np.float32(self.cap) * region
        bound: Floats = np.where(whole < self.tau, np.maximum(whole, mixed), whole)
        return bound


WHOLE = Fusion("whole")
BEST = Fusion("best")
