"""What every control with re-encoded crops can be told, and how its scores are fused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from needlepoint.errors import UsageError
from needlepoint.search.fusion import BEST, Fusion


@dataclass(frozen=True)
class CropOptions:
    """``fusion`` is ``gated`` (LARE, eq. 4, below ``tau``) or ``best`` (the highest score)."""

    fusion: Literal["gated", "best"] = "gated"
    tau: float = 0.25

    def how(self) -> Fusion:
        """The fusion these options name.

        Example:
            >>> CropOptions(tau=0.2).how()
            Fusion(kind='gated', tau=0.2, gain=2.0, cap=0.5)
        """
        return BEST if self.fusion == "best" else Fusion("gated", tau=self.tau)


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse an option outside ``low`` to ``high`` (both allowed).

    Raises:
        UsageError: naming the option, its value and what is allowed.
    """
    if not low <= value <= high:
        raise UsageError(f"{name} is {value:g}. Allowed: {low:g} to {high:g}.")
