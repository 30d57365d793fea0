"""Any decoded Pillow picture to upright sRGB bytes, a band of rows at a time.

Working in bands keeps the extra memory at a few megabytes whatever the size of the picture.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from needlepoint.picture import Pixels

NEUTRAL = 128
"""The grey on which transparent pixels are laid."""

_BAND_PIXELS = 1 << 19
_MAX_PROFILE = 8 << 20

#: EXIF orientation -> (swap axes, then flip rows, flip columns) from stored to upright
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}

Band: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]
"""Colours uint8 ``[h, w, 3]`` or grey ``[h, w, 1]``, and alpha uint8 ``[h, w]`` or None."""


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """(width, height) after EXIF ``orientation`` (1 to 8) has been applied."""
    return (height, width) if _TURNS[orientation][0] else (width, height)


def upright_srgb(
    image: Image.Image, orientation: int, check: Callable[[], None]
) -> tuple[Pixels, tuple[int, int, int, int] | None]:
    """Convert a loaded picture.

    Args:
        image: a loaded Pillow image of any mode.
        orientation: EXIF orientation, 1 to 8.
        check: called once a band; raises when time is up.

    Returns:
        uint8 ``[height, width, 3]``, upright, sRGB, transparent parts over neutral grey; and the
        box ``(x, y, w, h)`` of the pixels that are not fully transparent, None when every pixel
        is opaque or every pixel is transparent.
    """
    width, height = image.size
    swap, flip_rows, flip_columns = _TURNS[orientation]
    upright = np.empty((width, height, 3) if swap else (height, width, 3), np.uint8)
    stored = upright[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    if swap:
        stored = stored.swapaxes(0, 1)
    rows, columns = np.zeros(height, bool), np.zeros(width, bool)
    transparent = False
    read = _reader(image)
    step = max(1, _BAND_PIXELS // max(1, width))
    for top in range(0, height, step):
        check()
        bottom = min(height, top + step)
        band = image if step >= height else image.crop((0, top, width, bottom))
        colours, alpha = read(band)
        if alpha is not None:
            transparent = transparent or bool(alpha.min() < 255)
            seen = alpha > 0
            rows[top:bottom] = seen.any(axis=1)
            columns |= seen.any(axis=0)
            colours = _over_neutral(colours, alpha)
        stored[top:bottom] = colours
    if not transparent or not rows.any():
        return upright, None
    if swap:
        rows, columns = columns, rows
    y0, y1 = _extent(rows[::-1] if flip_rows else rows)
    x0, x1 = _extent(columns[::-1] if flip_columns else columns)
    return upright, (x0, y0, x1 - x0, y1 - y0)


def _extent(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    where = np.flatnonzero(flags)
    return int(where[0]), int(where[-1]) + 1


def _over_neutral(
    colours: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    weight = alpha[:, :, None].astype(np.uint16)
    # at most 255 * 255 + 127, which uint16 holds
    mixed = colours * weight + NEUTRAL * (255 - weight) + np.uint16(127)
    return (mixed // 255).astype(np.uint8)


def _reader(image: Image.Image) -> Callable[[Image.Image], Band]:
    """Choose how bands of this picture become colours; scans the extremes only when it must."""
    mode = image.mode
    if mode.startswith("I;16"):
        inverted = image.format == "TIFF" and _tiff_tag(image, 262) == 0
        return partial(_read_16, inverted=inverted, hole=image.info.get("transparency"))
    if mode == "I":
        return partial(_read_scaled, scale=_integer_scale(image))
    if mode == "F":
        return partial(_read_scaled, scale=_float_scale(image))
    if "transparency" in image.info:
        # 16-bit PNGs name the transparent colour in 16 bits, their pixels have 8 here
        hole = image.info["transparency"]
        if isinstance(hole, tuple) and max(hole) > 255:
            image.info["transparency"] = tuple(value >> 8 for value in hole)
        elif isinstance(hole, int) and hole > 255:
            image.info["transparency"] = hole >> 8
    alpha = "transparency" in image.info or mode in ("RGBA", "RGBa", "LA", "La", "PA")
    profile = image.info.get("icc_profile")
    transform = None
    if isinstance(profile, bytes) and 128 <= len(profile) <= _MAX_PROFILE:
        base = mode if mode in ("L", "CMYK", "LAB") and not alpha else "RGB"
        transform = _to_srgb(profile, base)
    if mode == "LAB" and transform is None:
        transform = _lab_to_srgb()
    return partial(_read_plain, alpha=alpha, transform=transform)


def _read_plain(band: Image.Image, *, alpha: bool, transform: Any) -> Band:
    opacity = None
    if alpha:
        # Pillow has no road from premultiplied grey to RGBA in one step
        band = (band.convert("LA") if band.mode == "La" else band).convert("RGBA")
        opacity = np.asarray(band.getchannel("A"))
        band = band.convert("RGB")
    if transform is not None:
        if band.mode not in ("L", "CMYK", "LAB"):
            band = band.convert("RGB")
        if band.mode == transform.input_mode:
            band = ImageCms.applyTransform(band, transform) or band
    if band.mode == "L":
        return np.asarray(band)[:, :, None], opacity
    return np.asarray(band if band.mode == "RGB" else band.convert("RGB")), opacity


def _read_16(band: Image.Image, *, inverted: bool, hole: object) -> Band:
    values = np.asarray(band)
    grey = (values >> 8).astype(np.uint8)
    opacity = None
    if isinstance(hole, int):
        opacity = np.where(values == hole, 0, 255).astype(np.uint8)
    return (255 - grey if inverted else grey)[:, :, None], opacity


def _read_scaled(band: Image.Image, *, scale: tuple[float, float]) -> Band:
    low, high = scale
    values = np.asarray(band).astype(np.float32)
    with np.errstate(all="ignore"):
        values = (values - low) * (255.0 / (high - low))
    values = np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)[:, :, None], None


def _integer_scale(image: Image.Image) -> tuple[float, float]:
    """Values that become black and white; only TIFF leaves the range of its integers open."""
    if image.format != "TIFF":
        return 0.0, 65535.0
    low, high = (float(v) for v in image.getextrema())  # type: ignore[arg-type]
    return _natural_range(low, high, (255.0, 65535.0))


def _float_scale(image: Image.Image) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    width, height = image.size
    step = max(1, _BAND_PIXELS // max(1, width))
    for top in range(0, height, step):
        values = np.asarray(image.crop((0, top, width, min(height, top + step))))
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return _natural_range(low, high, (1.0, 255.0, 65535.0)) if low <= high else (0.0, 1.0)


def _natural_range(low: float, high: float, ceilings: tuple[float, ...]) -> tuple[float, float]:
    """The smallest usual range that holds all values, else the range of the values themselves."""
    if low >= 0:
        for ceiling in ceilings:
            if high <= ceiling:
                return 0.0, ceiling
    return (low, high) if high > low else (low, low + 1.0)


def _tiff_tag(image: Image.Image, tag: int) -> object:
    return getattr(image, "tag_v2", {}).get(tag)


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Transform from an embedded profile, None when it is sRGB already, bad, or of another kind."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode == "RGB" and "srgb" in (source.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(source, _srgb(), mode, "RGB")
    except Exception:  # a bad profile says nothing about the pixels
        return None


@lru_cache(maxsize=1)
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), _srgb(), "LAB", "RGB"
    )


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
