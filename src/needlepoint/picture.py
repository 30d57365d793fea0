"""A decoded picture and the facts its file states about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""uint8 ``[height, width, 3]``, sRGB, upright."""

Box: TypeAlias = tuple[float, float, float, float]
"""``(x, y, w, h)`` in pixels of the upright original picture."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the file says: size of the upright picture in pixels, format, and its metadata.

    Every field but the size and format may be absent. ``taken`` is ISO 8601 local time as the
    camera wrote it; ``lat`` and ``lon`` are degrees; ``orientation`` is ``landscape``,
    ``portrait`` or ``square`` of the upright picture; ``rating`` is 0 to 5.
    """

    width: int
    height: int
    format: str
    taken: str | None = None
    camera: str | None = None
    lens: str | None = None
    lat: float | None = None
    lon: float | None = None
    keywords: tuple[str, ...] = ()
    rating: int | None = None

    @property
    def orientation(self) -> str:
        """``landscape``, ``portrait`` or ``square``."""
        if self.width == self.height:
            return "square"
        return "landscape" if self.width > self.height else "portrait"


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels at a working scale together with the size of the upright original.

    ``pixels`` may be smaller than the original (DCT-scaled decoding); boxes are always given in
    original pixels, so ``scale_x`` and ``scale_y`` convert: original = working * scale.
    """

    pixels: Pixels
    facts: Facts
    source: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` of the upright original in pixels."""
        return self.facts.width, self.facts.height

    @property
    def scale_x(self) -> float:
        """Original pixels per working pixel, horizontally."""
        return float(self.facts.width / self.pixels.shape[1])

    @property
    def scale_y(self) -> float:
        """Original pixels per working pixel, vertically."""
        return float(self.facts.height / self.pixels.shape[0])

    @classmethod
    def from_pixels(cls, pixels: Pixels, source: str = "") -> Picture:
        """Wrap an array uint8 ``[H, W, 3]`` that is its own original."""
        height, width = pixels.shape[:2]
        return cls(np.ascontiguousarray(pixels), Facts(width, height, "array"), source)
