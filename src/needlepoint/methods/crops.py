"""What every control with re-encoded crops can be told, and how its scores are fused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from needlepoint.errors import UsageError
from needlepoint.methods.fine_grained import lare
from needlepoint.parts import EncoderCard
from needlepoint.search.fusion import BEST, Fusion


@dataclass(frozen=True)
class CropOptions:
    """``fusion`` is ``gated`` (LARE, eq. 4, below ``tau``) or ``best`` (the highest score).

    ``tau`` is a number, or ``auto`` for what LARE takes for the encoder.
    """

    fusion: Literal["gated", "best"] = "gated"
    tau: str = "auto"

    def how(self, card: EncoderCard) -> Fusion:
        """The fusion these options name, for an encoder.

        Raises:
            UsageError: ``tau`` is neither auto nor a number.
        """
        if self.fusion == "best":
            return BEST
        return Fusion("gated", tau=lare.Options(tau=self.tau).threshold(card))


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse an option outside ``low`` to ``high`` (both allowed).

    Raises:
        UsageError: naming the option, its value and what is allowed.
    """
    if not low <= value <= high:
        raise UsageError(f"{name} is {value:g}. Allowed: {low:g} to {high:g}.")
