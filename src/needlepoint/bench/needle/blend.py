"""Making a pasted thing look photographed where it lies: light, sharpness, noise, shadow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

FloatArray = npt.NDArray[np.floating[Any]]
Generator = np.random.Generator
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_RENDERED = 0.68  # standard deviation in pixels of the edge that resampling leaves
_SOFTEST = 2.2
_STRONG = 0.97  # the share of pixels whose gradient is below those that sharpness is measured on


@dataclass(frozen=True)
class Grain:
    """How a picture was taken: width of its edges (pixels) and noise (0 to 255)."""

    edge: float
    noise: float


@dataclass(frozen=True)
class Blend:
    """How far a cut-out is adapted to where it is pasted.

    ``light`` and ``cast`` are the shares (0 to 1) of the difference in brightness and colour that
    it adopts; ``soften`` and ``noise`` whether edges and noise are matched; ``shadow`` the
    greatest darkness (0 to 1) of the shadow below it; ``fringe`` pixels taken off its outline.
    """

    light: float = 0.35
    cast: float = 0.15
    soften: bool = True
    noise: bool = True
    shadow: float = 0.0
    fringe: int = 1


@dataclass(frozen=True)
class Camera:
    """What happens to the finished scene as a whole, greatest values.

    ``blur`` in pixels, ``noise`` as standard deviation (0 to 255), ``light`` the relative change of
    brightness and contrast, ``warmth`` of red against blue; ``quality`` of the JPEG.
    """

    blur: float = 0.7
    noise: float = 3.0
    light: float = 0.12
    warmth: float = 0.08
    quality: tuple[int, int] = (60, 95)


def smooth(values: FloatArray, sigma: float) -> FloatArray:
    """Gaussian blur of [H, W] or [H, W, C] by ``sigma`` pixels, edges repeated."""
    radius = max(1, int(3 * sigma + 0.5))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        length = values.shape[axis]
        pads = [(radius, radius) if a == axis else (0, 0) for a in range(values.ndim)]
        wide = np.pad(values, pads, mode="edge")
        total = np.zeros_like(values)
        for place, tap in enumerate(taps):
            part = [slice(None)] * values.ndim
            part[axis] = slice(place, place + length)
            total += tap * wide[tuple(part)]
        values = total
    return values


def grey(rgb: FloatArray) -> FloatArray:
    """Luma [H, W] of [H, W, 3]."""
    luma: FloatArray = rgb @ _GREY
    return luma


def slopes(luma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Central differences of [H, W], downwards and across, each [H, W]."""
    down, across = np.gradient(luma)
    return np.asarray(down), np.asarray(across)


def gradient(luma: FloatArray) -> FloatArray:
    """Length of the central differences [H, W]."""
    down, across = slopes(luma)
    length: FloatArray = np.hypot(down, across).astype(np.float32)
    return length


def grain_of(rgb: FloatArray) -> Grain:
    """Measure edge width and noise of a photograph [H, W, 3] in 0 to 255.

    The edge width comes from how much a further blur of one pixel lowers the strongest gradients
    (Zhuo and Sim 2011), the noise from the median response of Immerkaer's kernel (1996) where the
    picture is flattest; both in the middle quarter of the picture. The noise reads up to a third
    low, since the flattest places are those where it happens to be weak.
    """
    height, width = rgb.shape[:2]
    luma = grey(rgb[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4])
    before = gradient(luma)
    after = gradient(smooth(luma, 1.0))
    strong = before > np.quantile(before, _STRONG)
    ratio = float(np.median(before[strong] / np.maximum(after[strong], 1e-3)))
    edge = 1 / np.sqrt(max(ratio**2 - 1, 1 / 36))
    wave = luma[:-2] - 2 * luma[1:-1] + luma[2:]
    ripple = np.abs(wave[:, :-2] - 2 * wave[:, 1:-1] + wave[:, 2:])
    flat = before[1:-1, 1:-1] <= np.quantile(before, 0.4)
    return Grain(float(edge), float(np.median(ripple[flat])) / 0.6745 / 6)


def soften(cutout: Image.Image, grain: Grain) -> Image.Image:
    """Blur an RGBA cut-out, outline included, until its edges are as wide as the picture's.

    A border is added first, so that the outline fades out fully.
    """
    width = min(grain.edge, _SOFTEST)
    radius = float(np.sqrt(max(0.0, width**2 - _RENDERED**2)))
    if radius < 0.2:
        return cutout
    margin = int(np.ceil(2 * radius)) + 1
    wide = Image.new("RGBa", (cutout.width + 2 * margin, cutout.height + 2 * margin))
    wide.paste(cutout.convert("RGBa"), (margin, margin))
    return wide.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")


def adapt(
    rgb: FloatArray,
    alpha: FloatArray,
    around: FloatArray,
    blend: Blend,
    grain: Grain,
    rng: Generator,
) -> FloatArray:
    """Bring the light, colour cast and noise of a cut-out towards what it is pasted on.

    Args:
        rgb: the cut-out [h, w, 3] in 0 to 255.
        alpha: its opacity [h, w] in 0 to 1.
        around: the place [h, w, 3] it will cover.
        blend: how far.
        grain: what ``grain_of`` measured on the whole background.
        rng: where the noise comes from.

    Returns:
        The changed colours [h, w, 3], not clipped.
    """
    weight = float(alpha.sum())
    own = alpha.reshape(-1) @ rgb.reshape(-1, 3) / max(weight, 1e-3)
    there = around[::3, ::3].reshape(-1, 3).mean(axis=0)
    gain = (max(float(there @ _GREY), 8.0) / max(float(own @ _GREY), 8.0)) ** blend.light
    cast = (there + 16) / (float(there @ _GREY) + 16)
    tone = float(np.clip(gain, 0.7, 1.3)) * np.clip(cast, 0.6, 1.6) ** blend.cast
    changed: FloatArray = rgb * tone.astype(np.float32)
    if blend.noise and grain.noise > 0.05:
        changed += grain.noise * rng.standard_normal(rgb.shape[:2], dtype=np.float32)[..., None]
    return changed


def cast_shadow(
    canvas: FloatArray, alpha: FloatArray, corner: tuple[int, int], darkness: float
) -> None:
    """Darken ``canvas`` [H, W, 3] in place below a thing: a soft, flat copy of its outline.

    Args:
        canvas: the scene so far.
        alpha: opacity [h, w] of the thing that will stand there.
        corner: its left and top pixel.
        darkness: greatest share of light taken away.
    """
    height, width = alpha.shape
    flat = max(4, round(height * 0.16))
    soft = max(1.5, height * 0.03)
    margin = int(3 * soft) + 1
    pane = Image.new("L", (width + 2 * margin, flat + 2 * margin))
    outline = Image.fromarray(np.rint(alpha * 255).astype(np.uint8), "L")
    pane.paste(outline.resize((width, flat), Image.Resampling.BOX), (margin, margin))
    shade = np.asarray(pane.filter(ImageFilter.GaussianBlur(soft)), dtype=np.float32) / 255
    left = corner[0] - margin
    top = corner[1] + height - round(flat * 0.75) - margin
    rows = slice(max(top, 0), min(top + shade.shape[0], canvas.shape[0]))
    columns = slice(max(left, 0), min(left + shade.shape[1], canvas.shape[1]))
    part = shade[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    canvas[rows, columns] *= (1 - darkness * part)[..., None]


def expose(canvas: FloatArray, camera: Camera, rng: Generator) -> tuple[Image.Image, int]:
    """Light, blur and grain of the whole scene [H, W, 3]; returns the picture and JPEG quality."""
    low, high = 1 - camera.light, 1 + camera.light
    contrast, brightness = float(rng.uniform(low, high)), float(rng.uniform(low, high))
    warmth = float(rng.uniform(-camera.warmth, camera.warmth))
    gain = brightness * np.array([1 + warmth, 1.0, 1 - warmth], dtype=np.float32)
    scene = canvas * (contrast * gain).astype(np.float32)
    scene += (128 * (1 - contrast) * gain).astype(np.float32)
    blur, noise = float(rng.uniform(0, camera.blur)), float(rng.uniform(0, camera.noise))
    if blur > 0.25:
        flat = Image.fromarray(_bytes(scene), "RGB").filter(ImageFilter.GaussianBlur(blur))
        scene = np.asarray(flat, dtype=np.float32)
    scene = scene + noise * rng.standard_normal(scene.shape[:2], dtype=np.float32)[..., None]
    quality = int(rng.integers(camera.quality[0], camera.quality[1] + 1))
    return Image.fromarray(_bytes(scene), "RGB"), quality


def _bytes(values: FloatArray) -> npt.NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
