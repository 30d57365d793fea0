"""How a picture's score comes of its whole vector's and its regions' scores.

Shapes: Q questions, G pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats

Kind = Literal["whole", "best", "regions", "gated"]


@dataclass(frozen=True, slots=True)
class Fusion:
    """``whole`` leaves regions out, ``best`` takes the highest score of whole and regions.

    ``regions`` leaves the whole out, save for pictures without regions: for encoders that keep a
    picture as several vectors none of which is the picture's own (BLIP-2's queries).

    ``gated`` (LARE, eq. 4) lets regions speak only where the whole picture scores below ``tau``:
    with ``d = region - whole`` the score becomes ``(1 - a) whole + a region``,
    ``a = min(gain d, cap)``. The boost ``a d`` is ``gain d ** 2`` up to
    ``d = cap / gain`` and ``cap d`` beyond, never negative, and jumps at ``tau``.

    Example:
        >>> Fusion("gated", tau=0.25).combine(np.float32([[0.1]]), np.float32([[0.3]])).round(3)
        array([[0.18]], dtype=float32)
    """

    kind: Kind = "best"
    tau: float = 0.25
    gain: float = 2.0
    cap: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UsageError(f"`fusion` is {self.kind!r}. Allowed: {', '.join(get_args(Kind))}.")
        if not (0 <= self.gain < np.inf and 0 <= self.cap <= 1) or np.isnan(self.tau):
            raise UsageError(
                f"`fusion` has tau {self.tau}, gain {self.gain} and cap {self.cap}. Allowed: any "
                "tau, a finite gain of at least 0, a cap from 0 to 1."
            )

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
        if self.kind == "regions":
            return np.where(np.isneginf(region), whole, region)
        open_ = (whole < np.float32(self.tau)) & (region > whole)
        if not open_.any():
            return whole
        gap = np.where(open_, region, whole) - whole
        # written as a sum of what is never negative, so that no rounding lowers a score
        fused: Floats = whole + np.minimum(np.float32(self.gain) * gap, np.float32(self.cap)) * gap
        return fused

    def at_most(self, whole: Floats, region: Floats | float) -> Floats:
        """The highest score possible when no region scores above ``region``.

        Exact for pruning: a picture whose bound is below the k-th score needs no region product.
        For ``gated``: ``max(whole, (1 - cap) whole + cap region)`` where the gate is open.
        """
        if self.kind == "whole":
            return whole
        if self.kind in ("best", "regions"):
            return np.maximum(whole, region)
        gap = np.maximum(region, whole) - whole
        bound: Floats = np.where(
            whole < np.float32(self.tau), whole + np.float32(self.cap) * gap, whole
        )
        return bound

    def settled(self, whole: Floats) -> npt.NDArray[np.bool_]:
        """Of which pictures no region can make the score another than ``whole``, bool ``[...]``."""
        if self.kind == "regions":
            return np.zeros(whole.shape, np.bool_)
        found: npt.NDArray[np.bool_] = self.at_most(whole, 1.0) <= whole
        return found

    def span(self, whole: Floats, region: Floats, error: float) -> tuple[Floats, Floats]:
        """Lowest and highest score possible when ``whole`` and ``region`` are off by ``error``.

        Near ``tau`` a gate may be open or shut, and the two are far apart.

        Returns:
            two arrays float32 ``[Q, G]``; the true score lies between them, ends included.
        """
        if self.kind != "gated":
            score = self.combine(whole, region)
            return score - np.float32(error), score + np.float32(error)
        # Of the slopes in whole and region, 1 - 2 gain d and 2 gain d, the magnitudes add up to
        # 1, or to 4 cap - 1 where the cap lets 2 gain d exceed 1.
        reach = np.float32(error * max(1.0, 4 * self.cap - 1))
        ends = [self.combine(whole + np.float32(x), region) for x in (-error, error)]
        # the ends were taken at another ``whole``: that is at most one more reach
        return np.minimum(*ends) - 2 * reach, np.maximum(*ends) + 2 * reach


WHOLE = Fusion("whole")
BEST = Fusion("best")
