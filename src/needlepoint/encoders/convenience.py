"""``encode_image`` and ``encode_text``: one thing in gives one vector, many give a matrix.

Shared by every encoder; the heavier ``image_features`` and ``text_features`` stand below.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from needlepoint.errors import PictureError, UsageError
from needlepoint.parts import Floats, ImageFeatures, TextFeatures
from needlepoint.picture import Picture, Pixels

ImageLike: TypeAlias = "str | os.PathLike[str] | Image.Image | Pixels | Picture"

_BATCH = 32


class _SeesPictures(Protocol):
    def image_features(self, pictures: Sequence[Pixels]) -> ImageFeatures: ...


class _ReadsTexts(Protocol):
    def text_features(self, texts: Sequence[str]) -> TextFeatures: ...


class EncodesImages:
    """Adds ``encode_image`` to a class with ``image_features``."""

    def encode_image(
        self: _SeesPictures, x: ImageLike | Iterable[ImageLike], *, batch: int = _BATCH
    ) -> Floats:
        """Vectors of pictures, float32, unit length.

        Args:
            x: a path, a Pillow image, an array uint8 ``[H, W, 3]``, a ``Picture``; or a list,
                tuple, generator of these or an array ``[N, H, W, 3]``.
            batch: pictures in one pass; does not change the vectors.

        Returns:
            ``[D]`` for one picture, ``[N, D]`` for many.
        """
        if is_one_picture(x):
            return np.asarray(self.image_features([as_pixels(x)]).vector[0])
        pixels = (as_pixels(one) for one in x)  # type: ignore[union-attr]
        return _stack(self.image_features(part).vector for part in _chunks(pixels, batch))


class EncodesTexts:
    """Adds ``encode_text`` to a class with ``text_features``."""

    def encode_text(self: _ReadsTexts, x: str | Iterable[str], *, batch: int = _BATCH) -> Floats:
        """Vectors of texts, float32, unit length: ``[D]`` for one text, ``[N, D]`` for many."""
        if isinstance(x, str):
            return np.asarray(self.text_features([x]).vector[0])
        return _stack(self.text_features(part).vector for part in _chunks(iter(x), batch))


def is_one_picture(x: object) -> bool:
    """Whether ``x`` is one picture rather than a collection of them."""
    if isinstance(x, np.ndarray):
        return x.ndim < 4
    return isinstance(x, (str, os.PathLike, Image.Image, Picture))


def as_pixels(x: Any) -> Pixels:
    """Any form of one picture to upright sRGB-ordered uint8 ``[H, W, 3]``.

    Raises:
        PictureError: a path that Pillow cannot read.
        UsageError: another kind of object, or an array of another shape or dtype.
    """
    if isinstance(x, Picture):
        return x.pixels
    if isinstance(x, np.ndarray):
        if (
            x.dtype != np.uint8
            or x.ndim not in (2, 3)
            or (x.ndim == 3 and x.shape[2] not in (3, 4))
        ):
            raise UsageError(
                f"picture: an array must be uint8 [H, W], [H, W, 3] or [H, W, 4], received "
                f"{x.dtype} {list(x.shape)}"
            )
        return _upright(Image.fromarray(x))
    if isinstance(x, Image.Image):
        return _upright(x)
    if isinstance(x, (str, os.PathLike)):
        try:
            with Image.open(x) as image:
                return _upright(image)
        except FileNotFoundError as error:
            raise PictureError(os.fspath(x), "no such file") from error
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise PictureError(os.fspath(x), f"cannot be read: {error}") from error
    raise UsageError(
        f"picture: received {type(x).__name__}; allowed are a path, a Pillow image, a uint8 array "
        "and a Picture"
    )


def _upright(image: Image.Image) -> Pixels:
    turned = ImageOps.exif_transpose(image)
    if "A" in turned.getbands() or "transparency" in turned.info:
        clear = turned.convert("RGBA")
        grey = Image.new("RGBA", clear.size, (128, 128, 128, 255))
        turned = Image.alpha_composite(grey, clear)
    return np.array(turned.convert("RGB"))


def _chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    if size < 1:
        raise UsageError(f"batch: must be at least 1, received {size}")
    while part := list(islice(items, size)):
        yield part


def _stack(parts: Iterable[Floats]) -> Floats:
    vectors = list(parts)
    if not vectors:
        raise UsageError("nothing to encode: the collection is empty")
    return np.concatenate(vectors)
