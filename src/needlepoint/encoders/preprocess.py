"""Pixels to the tensor a network was trained on, with Pillow and numpy only.

Resizing a uint8 picture with Pillow and an antialiasing filter is what the released CLIP, SigLIP
and DINO weights saw in training; resizing tensors differs by about one grey level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.picture import Pixels

Rule = Literal["shortest-crop", "squash", "longest-pad"]
Triple = tuple[float, float, float]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Resize rule, crop and normalisation of one model.

    ``size`` is the side of the square the network sees, or its height where ``width`` is given
    (``squash`` only); ``shortest`` the length in pixels the
    short side is resized to before the centre crop (``shortest-crop`` only); ``rounding`` says
    how a crop of odd margin is placed (``half-even`` as torchvision, ``floor`` as transformers).
    ``pad_ratio``, where it is not 0, is the longest shape let in: longer pictures are first padded
    with black to it (CLIP4Cir's target padding, 1.25 there).
    Values become ``(pixel / 255 - mean) / std`` in float32.
    """

    size: int
    rule: Rule
    interpolation: str
    mean: Triple
    std: Triple
    shortest: int = 0
    rounding: Literal["half-even", "floor"] = "half-even"
    width: int = 0
    pad_ratio: float = 0.0

    def __post_init__(self) -> None:
        if self.interpolation not in _FILTERS:
            raise UsageError(
                f"interpolation '{self.interpolation}' is not known; allowed: {', '.join(_FILTERS)}"
            )
        if self.pad_ratio and self.pad_ratio < 1:
            raise UsageError(f"pad_ratio: must be 0 or at least 1, received {self.pad_ratio}")

    def batch(self, pictures: Sequence[Pixels]) -> Floats:
        """N pictures uint8 ``[H, W, 3]`` to float32 ``[N, 3, size, width or size]``."""
        return np.stack([self._normalise(self._square(pixels)) for pixels in pictures])

    def grid(self, pixels: Pixels, long_side: int, patch: int) -> Floats:
        """One picture resized whole to about ``long_side``, to float32 ``[1, 3, h, w]``.

        Both sides are rounded to the nearest multiple of ``patch`` (at least one patch), so the
        shape of the picture changes by less than one patch.
        """
        height, width = pixels.shape[:2]
        scale = long_side / max(height, width)
        rows, cols = (max(1, round(side * scale / patch)) for side in (height, width))
        image = self._resize(Image.fromarray(pixels), (cols * patch, rows * patch))
        return self._normalise(np.asarray(image))[None]

    def _square(self, pixels: Pixels) -> Pixels:
        image = target_pad(Image.fromarray(pixels), self.pad_ratio)
        width, height = image.size
        if self.rule == "squash":
            return np.asarray(self._resize(image, (self.width or self.size, self.size)))
        if self.rule == "longest-pad":
            scale = self.size / max(width, height)
            image = self._resize(image, (round(width * scale), round(height * scale)))
        else:
            short = self.shortest or self.size
            if width <= height:
                image = self._resize(image, (short, int(short * height / width)))
            else:
                image = self._resize(image, (int(short * width / height), short))
        return np.asarray(self._centre(image))

    def _centre(self, image: Image.Image) -> Image.Image:
        left, top = (self._margin(side - self.size) for side in image.size)
        # Pillow fills with black what a negative margin asks for beyond the edge
        return image.crop((left, top, left + self.size, top + self.size))

    def _margin(self, spare: int) -> int:
        return round(spare / 2) if self.rounding == "half-even" else spare // 2

    def _resize(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        if image.size == size:
            return image
        return image.resize(size, _FILTERS[self.interpolation])

    def _normalise(self, pixels: Pixels) -> Floats:
        scaled = pixels.astype(np.float32) / np.float32(255)
        normal = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1))


def target_pad(image: Image.Image, ratio: float) -> Image.Image:
    """A picture with its short side padded with black to a shape of ``ratio`` (CLIP4Cir).

    Args:
        image: a picture; the long side is never padded.
        ratio: long side over short side that is let in; 0 for any.

    Example:
        >>> target_pad(Image.new("RGB", (500, 100)), 1.25).size
        (500, 400)
    """
    width, height = image.size
    if not ratio or max(width, height) < ratio * min(width, height):
        return image
    least = max(width, height) / ratio
    across, down = (max(int((least - side) / 2), 0) for side in (width, height))
    return image.crop((-across, -down, width + across, height + down))
