"""The region policy of a library: which places of a picture get vectors of their own."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from needlepoint.errors import UsageError

Detail = Literal["1x", "2x"]

DEFAULT_COUNT = 32
LONG_SIDE: dict[str, int] = {"1x": 1024, "2x": 2048}
"""Long side in pixels of the dense pass of each detail."""


def is_policy(recipe: str) -> bool:
    """Whether a recipe names a region policy, not a method.

    Example:
        >>> is_policy("dense:32@1x"), is_policy("dense-text:n=9")
        (True, False)
    """
    return re.match(r"(none|dense|windows)(?![\w-])", recipe) is not None


@dataclass(frozen=True, slots=True)
class Recipe:
    """``kind`` ``none``, ``dense`` or ``windows``; ``count`` regions; ``detail`` ``1x`` or ``2x``.

    ``keep_map`` keeps the compressed map of a dense pass beside its regions: a bit a number, for
    heat maps without the picture file.

    Example:
        >>> str(Recipe.parse("dense", "2x"))
        'dense:32@2x'
    """

    kind: Literal["none", "dense", "windows"]
    count: int
    detail: Detail = "1x"
    keep_map: bool = False

    @classmethod
    def parse(cls, regions: str, detail: str | None = None, *, keep_map: bool = False) -> Recipe:
        """Read ``none``, ``dense``, ``dense:R``, ``windows:N`` and a detail, or a stored recipe.

        Raises:
            UsageError: unknown policy, R not in 1..256, N not a square number of at least 4.
        """
        match = re.fullmatch(
            r"(none|dense|windows)(?::(\d{1,4}))?(?:@(\w+))?(\+map)?", regions.strip()
        )
        if match is None:
            raise UsageError(
                f"`regions` is {regions!r}. Allowed: none, dense, dense:R (R regions, 1 to 256), "
                "windows:N (N = 4, 9, 16, 25 … re-encoded windows)."
            )
        kind, number, stored, mapped = match.groups()
        keep_map = keep_map or mapped is not None
        chosen = detail or stored or "1x"
        if chosen not in LONG_SIDE:
            raise UsageError(f"`detail` is {chosen!r}. Allowed: {', '.join(LONG_SIDE)}.")
        if keep_map and kind != "dense":
            raise UsageError(f"`keep_map` needs dense regions. Received: {regions!r}.")
        if kind == "none":
            return cls("none", 0)
        if kind == "windows":
            count = int(number or 9)
            if count < 4 or math.isqrt(count) ** 2 != count or count > 256:
                raise UsageError(
                    f"`regions` is {regions!r}: windows:N needs a square number from 4 to 256."
                )
            return cls("windows", count)
        count = int(number or DEFAULT_COUNT)
        if not 1 <= count <= 256:
            raise UsageError(f"`regions` is {regions!r}: dense:R needs R from 1 to 256.")
        return cls("dense", count, "2x" if chosen == "2x" else "1x", keep_map)

    @property
    def long_side(self) -> int:
        """Long side in pixels of the pass this recipe asks for."""
        return LONG_SIDE[self.detail]

    def __str__(self) -> str:
        if self.kind == "none":
            return "none"
        if self.kind == "windows":
            return f"windows:{self.count}"
        return f"dense:{self.count}@{self.detail}" + ("+map" if self.keep_map else "")
