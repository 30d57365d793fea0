"""Putting cut-outs on a photograph: transformation, placement, masks and what stays visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

_TRIES = 60
_SOLID = 0.5
Generator = np.random.Generator


@dataclass(frozen=True)
class Look:
    """How far a cut-out may be changed before it is pasted.

    ``rotation`` in degrees either way; ``blur`` the greatest Gaussian radius in pixels;
    ``light`` the greatest relative change of brightness, contrast and colour.
    """

    rotation: float = 30.0
    flip: bool = True
    blur: float = 1.0
    light: float = 0.25


@dataclass(frozen=True)
class Pasted:
    """Where a cut-out ended: box ``(x, y, w, h)`` of its mask, mask share, visible share."""

    index: int
    box: tuple[int, int, int, int]
    area_fraction: float
    visible_fraction: float


def vary(cutout: Image.Image, rng: Generator, look: Look, box_area: float) -> Image.Image:
    """Scale an RGBA cut-out to a box of ``box_area`` square pixels, then turn, light and blur it.

    Returns:
        A new RGBA picture cut to its visible part.
    """
    image = cutout
    if look.flip and rng.random() < 0.5:
        image = ImageOps.mirror(image)
    scale = float(np.sqrt(box_area / (image.width * image.height)))
    size = (max(4, round(image.width * scale)), max(4, round(image.height * scale)))
    image = _resize(image, size)
    angle = float(rng.uniform(-look.rotation, look.rotation))
    if look.rotation:
        image = _premultiplied(
            image, lambda part: part.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        )
    alpha = image.getchannel("A")
    rgb = image.convert("RGB")
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        rgb = enhancer(rgb).enhance(1 + float(rng.uniform(-look.light, look.light)))
    rgb.putalpha(alpha)
    radius = float(rng.uniform(0, look.blur))
    if radius > 0.2:
        rgb = _premultiplied(rgb, lambda part: part.filter(ImageFilter.GaussianBlur(radius)))
    return trim(rgb)


def trim(image: Image.Image) -> Image.Image:
    """Cut an RGBA picture to where its alpha is above 3 %."""
    box = image.getchannel("A").point(lambda value: 255 * (value > 8)).getbbox()
    return image.crop(box) if box else image


def compose(
    background: Image.Image,
    cutouts: Sequence[Image.Image],
    rng: Generator,
    *,
    occlusion: float,
) -> tuple[Image.Image, list[Pasted]]:
    """Paste cut-outs at random places, none hidden by more than ``occlusion``.

    Args:
        background: RGB picture.
        cutouts: RGBA pictures, each smaller than the background; later ones lie on top.
        rng: where the places come from.
        occlusion: greatest share (0 to 1) of an object's mask that others may hide. A cut-out for
            which no place is found in 60 tries is left out.

    Returns:
        The RGB picture, and one ``Pasted`` for each cut-out that found a place.
    """
    width, height = background.size
    canvas = np.asarray(background.convert("RGB"), dtype=np.float32).copy()
    owner = np.full((height, width), -1, dtype=np.int32)
    totals: list[int] = []
    kept: list[tuple[int, tuple[int, int, int, int]]] = []
    for index, cutout in enumerate(cutouts):
        if cutout.width >= width or cutout.height >= height:
            continue
        pixels = np.asarray(cutout, dtype=np.float32)
        alpha = pixels[:, :, 3] / 255
        solid = alpha > _SOLID
        if not solid.any():
            continue
        for _ in range(_TRIES):
            x = int(rng.integers(0, width - cutout.width + 1))
            y = int(rng.integers(0, height - cutout.height + 1))
            window = owner[y : y + cutout.height, x : x + cutout.width]
            if _harm(owner, window, solid, totals) <= occlusion:
                break
        else:
            continue
        place = canvas[y : y + cutout.height, x : x + cutout.width]
        place += (pixels[:, :, :3] - place) * alpha[:, :, None]
        window[solid] = len(kept)
        rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
        box = (
            x + int(columns[0]),
            y + int(rows[0]),
            int(columns[-1] - columns[0] + 1),
            int(rows[-1] - rows[0] + 1),
        )
        totals.append(int(solid.sum()))
        kept.append((index, box))
    visible = np.bincount(owner[owner >= 0], minlength=len(kept))
    picture = Image.fromarray(np.clip(np.rint(canvas), 0, 255).astype(np.uint8), "RGB")
    return picture, [
        Pasted(
            index,
            box,
            round(totals[row] / (width * height), 6),
            round(float(visible[row]) / totals[row], 4),
        )
        for row, (index, box) in enumerate(kept)
    ]


def backdrop(path: Path, size: tuple[int, int], rng: Generator) -> Image.Image:
    """A random piece of a photograph, mirrored half of the time and lit a little differently.

    The piece has the wanted proportions and covers 60 to 100 % of what fits.
    """
    image = open_rgb(path, (size[0] * 2, size[1] * 2))
    share = float(rng.uniform(0.6, 1.0))
    fit = min(image.width / size[0], image.height / size[1]) * share
    w, h = max(1, int(size[0] * fit)), max(1, int(size[1] * fit))
    x = int(rng.integers(0, image.width - w + 1))
    y = int(rng.integers(0, image.height - h + 1))
    piece = image.resize(size, Image.Resampling.LANCZOS, box=(x, y, x + w, y + h))
    if rng.random() < 0.5:
        piece = ImageOps.mirror(piece)
    return ImageEnhance.Brightness(piece).enhance(float(rng.uniform(0.85, 1.15)))


def open_rgb(path: Path, around: tuple[int, int]) -> Image.Image:
    """Open a photograph as RGB, reduced while decoding to about the size wanted."""
    with Image.open(path) as image:
        image.draft("RGB", around)
        rgb = image.convert("RGB")
    reduce = min(rgb.width / around[0], rgb.height / around[1])
    if reduce > 1.5:
        rgb = rgb.resize((int(rgb.width / reduce), int(rgb.height / reduce)))
    return rgb


def _harm(
    owner: npt.NDArray[np.int32],
    window: npt.NDArray[np.int32],
    solid: npt.NDArray[np.bool_],
    totals: Sequence[int],
) -> float:
    """The greatest share of any object that would be hidden with ``solid`` on top of it."""
    covered = np.unique(window[solid])
    worst = 0.0
    for other in covered[covered >= 0]:
        left = int((owner == other).sum()) - int((window[solid] == other).sum())
        worst = max(worst, 1 - left / totals[other])
    return worst


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return _premultiplied(image, lambda part: part.resize(size, Image.Resampling.LANCZOS))


def _premultiplied(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Apply a resampling with colours weighted by alpha, so that no dark rim appears."""
    return change(image.convert("RGBa")).convert("RGBA")
