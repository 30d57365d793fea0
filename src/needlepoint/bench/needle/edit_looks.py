"""The styles and views of needle edits, and grounds that are painted rather than photographed."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from needlepoint.bench.needle.colours import PAINTS, from_oklab

Generator = np.random.Generator
Box = tuple[int, int, int, int]
_TILT = 24.0
_GREYS = {"white": 0.96, "grey": 0.65, "black": 0.16}
_PIXEL = 12


def painted_ground(name: str, size: tuple[int, int], rng: Generator) -> Image.Image:
    """A ground by its name, ``PATTERN/COLOUR``: its place, width and shade drawn at random."""
    pattern, _, colour = name.partition("/")
    own = _shade(colour, rng)
    other = _shade("white" if colour in ("black", "brown", "blue", "purple") else "black", rng)
    if pattern == "plain":
        other = own
    elif colour in PAINTS or colour == "grey":
        other = _shade("white", rng)
    width, height = size
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    step = float(rng.uniform(34, 52))
    x, y = down + float(rng.uniform(0, step)), across + float(rng.uniform(0, step))
    match pattern:
        case "striped":
            mask = ((x + y) / step).astype(int) % 2 == 0
        case "chequered":
            mask = ((x / step).astype(int) + (y / step).astype(int)) % 2 == 0
        case "dotted":
            mask = np.hypot(x % step - step / 2, y % step - step / 2) < step * 0.3
        case _:
            mask = np.ones((height, width), dtype=bool)
    palette = np.rint(255 * np.stack([other, own])).astype(np.uint8)
    return Image.fromarray(palette[mask.astype(np.intp)], "RGB")


def styled(image: Image.Image, style: str) -> Image.Image:
    """A picture in one of ``STYLES``."""
    match style:
        case "grey":
            return ImageOps.grayscale(image).convert("RGB")
        case "sepia":
            grey = ImageOps.autocontrast(ImageOps.grayscale(image), cutoff=1)
            return ImageOps.colorize(grey, (58, 36, 16), (246, 226, 186), mid=(160, 118, 72))
        case "sketch":
            grey = ImageOps.grayscale(image).filter(ImageFilter.GaussianBlur(1))
            soft = ImageOps.invert(grey).filter(ImageFilter.GaussianBlur(5))
            lines = ImageChops.add(grey, soft).point(lambda value: max(0, 255 - (255 - value) * 4))
            return lines.convert("RGB")
        case "painted":
            small = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
            flat = ImageOps.posterize(small.filter(ImageFilter.MedianFilter(5)), 3)
            strokes = flat.filter(ImageFilter.ModeFilter(7)).filter(ImageFilter.EDGE_ENHANCE_MORE)
            vivid = ImageEnhance.Color(strokes.resize(image.size, Image.Resampling.NEAREST))
            return ImageEnhance.Brightness(vivid.enhance(1.6)).enhance(1.1)
        case "pixels":
            small = image.resize(
                (image.width // _PIXEL, image.height // _PIXEL), Image.Resampling.BOX
            )
            return small.resize(image.size, Image.Resampling.NEAREST)
        case "negative":
            return ImageOps.invert(image)
        case "night":
            return ImageChops.multiply(image, Image.new("RGB", image.size, (44, 58, 112)))
        case "blurred":
            return image.filter(ImageFilter.GaussianBlur(7))
    return image


def viewed(image: Image.Image, view: str) -> Image.Image:
    """A finished picture ``mirrored``, ``upside-down`` or ``tilted``; other views leave it."""
    match view:
        case "mirrored":
            return ImageOps.mirror(image)
        case "upside-down":
            return image.transpose(Image.Transpose.ROTATE_180)
        case "tilted":
            w, h = image.width // 2, image.height // 2
            wide = Image.new("RGB", (2 * image.width, 2 * image.height))
            turned = {True: ImageOps.mirror(image), False: image}
            for left, flip in ((w - image.width, True), (w, False), (w + image.width, True)):
                for top in (h - image.height, h, h + image.height):
                    piece = turned[flip] if top == h else ImageOps.flip(turned[flip])
                    wide.paste(piece, (left, top))
            wide = wide.rotate(_TILT, Image.Resampling.BICUBIC)
            return wide.crop((w, h, w + image.width, h + image.height))
    return image


def seen_box(box: Box, view: str, size: tuple[int, int]) -> Box:
    """Where a box comes to lie when the picture is ``viewed`` so, cut to the picture."""
    x, y, w, h = box
    width, height = size
    if view == "mirrored":
        return width - x - w, y, w, h
    if view == "upside-down":
        return width - x - w, height - y - h, w, h
    if view == "tilted":
        turn = np.radians(_TILT)
        corners = np.array([(x, y), (x + w, y), (x, y + h), (x + w, y + h)], dtype=float)
        corners -= (width / 2, height / 2)
        across = corners[:, 0] * np.cos(turn) + corners[:, 1] * np.sin(turn) + width / 2
        down = corners[:, 1] * np.cos(turn) - corners[:, 0] * np.sin(turn) + height / 2
        left, right = np.clip((across.min(), across.max()), 0, width)
        top, bottom = np.clip((down.min(), down.max()), 0, height)
        return int(left), int(top), max(1, int(right - left)), max(1, int(bottom - top))
    return box


def _shade(colour: str, rng: Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A named colour a little off its middle, sRGB [3] in 0 to 1."""
    if colour in _GREYS:
        value = _GREYS[colour] + float(rng.uniform(-0.03, 0.03))
        return np.full(3, value, dtype=np.float32)
    paint = PAINTS[colour]
    hue = np.radians(paint.hue + float(rng.uniform(-5, 5)))
    lightness = paint.lightness + float(rng.uniform(-0.03, 0.03))
    lab = np.array(
        [lightness, paint.chroma * np.cos(hue), paint.chroma * np.sin(hue)], dtype=np.float32
    )
    shade: np.ndarray[tuple[int], np.dtype[np.float32]] = np.asarray(from_oklab(lab))
    return shade
