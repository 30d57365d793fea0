"""Named colours: painting a cut-out so that a person would name it so, its shading kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Paint:
    """A colour in Oklab's polar form: lightness 0 to 1, chroma, hue in degrees."""

    lightness: float
    chroma: float
    hue: float


PAINTS = {
    "red": Paint(0.55, 0.20, 27.0),
    "orange": Paint(0.70, 0.17, 58.0),
    "yellow": Paint(0.84, 0.16, 100.0),
    "green": Paint(0.58, 0.16, 143.0),
    "blue": Paint(0.52, 0.17, 258.0),
    "purple": Paint(0.48, 0.18, 303.0),
    "pink": Paint(0.77, 0.13, 355.0),
    "brown": Paint(0.42, 0.075, 55.0),
}
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=np.float32,
)
_FROM_LAB = np.linalg.inv(_TO_LAB)
_FROM_LMS = np.linalg.inv(_TO_LMS)


def to_oklab(rgb: FloatArray) -> FloatArray:
    """sRGB [..., 3] in 0 to 1 to Oklab [..., 3] (Ottosson 2020)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lab: FloatArray = np.cbrt(linear.astype(np.float32) @ _TO_LMS.T) @ _TO_LAB.T
    return lab


def from_oklab(lab: FloatArray) -> FloatArray:
    """Oklab [..., 3] to sRGB [..., 3], clipped to 0 to 1."""
    linear = np.clip(((lab @ _FROM_LAB.T) ** 3) @ _FROM_LMS.T, 0, 1)
    rgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    coded: FloatArray = rgb.astype(np.float32)
    return coded


def recolour(image: Image.Image, colour: str, rng: np.random.Generator) -> Image.Image:
    """Paint an RGBA cut-out in a named colour.

    Lightness keeps its variation around the paint's own (so folds, edges and texture stay), hue
    becomes the paint's within a few degrees, chroma fades towards black and white as it does on
    real surfaces, and a fifth of the thing's own colour differences remains.

    Args:
        image: RGBA.
        colour: one of ``PAINTS``.
        rng: where the small deviations come from.

    Returns:
        A new RGBA picture with the same alpha.
    """
    paint = PAINTS[colour]
    pixels = np.asarray(image).copy()
    seen = pixels[..., 3] > 0
    lab = to_oklab(pixels[seen][:, :3].astype(np.float32) / 255)
    solid = lab[pixels[seen][:, 3] > 127]
    inner = (solid if len(solid) else lab)[::5]
    middle, spread = float(np.median(inner[:, 0])), float(inner[:, 0].std())
    goal = paint.lightness + float(rng.uniform(-0.04, 0.04))
    gain = min(1.0, 0.14 / max(spread, 1e-3))
    lightness = np.clip(goal + (lab[:, 0] - middle) * gain, 0.04, 0.98)
    reach = np.minimum(lightness / max(goal, 1e-3), (1 - lightness) / max(1 - goal, 1e-3))
    chroma = paint.chroma * float(rng.uniform(0.85, 1.1)) * np.clip(reach, 0, 1) ** 0.7
    hue = np.radians(paint.hue + float(rng.uniform(-6, 6)))
    own = (lab[:, 1:] - inner[:, 1:].mean(axis=0)) * 0.2
    lab[:, 0] = lightness
    lab[:, 1] = chroma * np.cos(hue) + own[:, 0]
    lab[:, 2] = chroma * np.sin(hue) + own[:, 1]
    pixels[seen, :3] = np.rint(from_oklab(lab) * 255).astype(np.uint8)
    return Image.fromarray(pixels, "RGBA")
