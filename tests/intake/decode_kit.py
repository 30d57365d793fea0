"""Small pictures whose pixels are known, for tests of decoding."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (250, 250, 250)


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """Red and green above, blue and white below."""
    image = Image.new("RGB", (width, height))
    half_x, half_y = width // 2, height // 2
    image.paste(RED, (0, 0, half_x, half_y))
    image.paste(GREEN, (half_x, 0, width, half_y))
    image.paste(BLUE, (0, half_y, half_x, height))
    image.paste(WHITE, (half_x, half_y, width, height))
    return image


def corners(pixels: np.ndarray) -> list[tuple[int, ...]]:
    h, w = pixels.shape[:2]
    spots = ((h // 4, w // 4), (h // 4, 3 * w // 4), (3 * h // 4, w // 4), (3 * h // 4, 3 * w // 4))
    return [tuple(int(v) for v in pixels[spot]) for spot in spots]


def close(got: object, wanted: object, tolerance: float = 8) -> bool:
    return float(np.abs(np.asarray(got, float) - np.asarray(wanted, float)).max()) <= tolerance


def wide_profile() -> bytes:
    """A profile with red and green swapped, so that obeying it cannot be overlooked."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132], "big")
    at = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = at[b"rXYZ"], at[b"gXYZ"]
    data[red + 4 : red + 12], data[green + 4 : green + 12] = (
        data[green + 4 : green + 12],
        data[red + 4 : red + 12],
    )
    return (
        bytes(data)
        .replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
        .replace(b"sRGB", b"test")
    )
