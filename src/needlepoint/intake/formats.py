"""Opening a format: header, cost estimate, scaled decoding. Pixels are loaded by the caller.

Pillow's readers are constructed directly, one per sniffed format: no guessing, no readers that
start other programs, no process-wide pixel limit that belongs to the user's own code.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from needlepoint.errors import PictureError
from needlepoint.intake.container import jpeg_layout, tags_fit, webp_size
from needlepoint.intake.facts import exif_of, orientation_of

Admit = Callable[[int, int, int, int], None]
"""``admit(width, height, working_pixels, bytes)`` raises when a picture would cost too much."""

#: coefficient passes over one picture; honest progressive files have about ten scans
_MAX_SCANS = 100

#: this decoder makes ten million pixels a second and lets no other thread run meanwhile
_MAX_JPEG2000 = 100_000_000

_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "jpeg2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "png": PngImagePlugin.PngImageFile,
    "pnm": PpmImagePlugin.PpmImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}

#: bytes per pixel a decoder needs beside Pillow's own storage
_DECODER_BYTES = {"webp": 8, "avif": 10, "heic": 10, "jpeg2000": 16, "png": 1, "gif": 8}

_STORAGE = {"1": 1, "L": 1, "P": 1}


class TooSlow(Exception):
    """Time for one picture is up."""


@dataclass(slots=True)
class Opened:
    """A picture whose header is read. ``original`` is the stored size before scaling, if known
    to differ from the image's; ``orientation`` is still to be applied."""

    image: Image.Image
    format: str
    orientation: int = 1
    original: tuple[int, int] | None = None
    exif: Image.Exif | None = None


class _Timed(io.BytesIO):
    """Bytes that refuse to be read once time is up: the readers fed piecewise stop there."""

    def __init__(self, data: bytes, check: Callable[[], None]) -> None:
        super().__init__(data)
        self._check = check

    def read(self, size: int | None = -1, /) -> bytes:
        self._check()
        return super().read(size)


def open_picture(
    kind: str, data: bytes, name: str, at_least: int, admit: Admit, check: Callable[[], None]
) -> Opened:
    """Read the header of ``data`` as ``kind``, ask ``admit``, and set scaled decoding up.

    Raises:
        PictureError: the format needs a package that is not installed, or the file is refused.
    """
    if kind == "raw":
        from needlepoint.intake.raw import open_raw

        return open_raw(data, name, at_least, admit, check)
    if kind == "jpeg":
        return open_jpeg(data, name, at_least, admit, check)
    if kind == "heic":
        return _open_heif(data, name, admit)
    if kind == "avif":
        return _open_avif(data, name, admit, check)
    if kind == "tiff":
        if not tags_fit(data):
            raise PictureError(name, "damaged TIFF file")
        _hush_libtiff()
    if kind == "webp":
        size = webp_size(data)
        if size is None:
            raise PictureError(name, "damaged WEBP file")
        if int.from_bytes(data[4:8], "little") + 8 > len(data):
            raise PictureError(name, "truncated")
        admit(*size, size[0] * size[1], size[0] * size[1] * 15)
    image = _PLUGINS[kind](_Timed(data, check))
    _ask(image, kind, admit)
    if kind == "jpeg2000" and image.size[0] * image.size[1] > _MAX_JPEG2000:
        raise PictureError(name, "too many pixels for JPEG 2000")
    exif = exif_of(image)
    # TIFF turns itself while loading
    turn = 1 if kind == "tiff" else orientation_of(exif)
    return Opened(image, kind, turn, exif=exif)


def open_jpeg(
    data: bytes, name: str, at_least: int, admit: Admit, check: Callable[[], None]
) -> Opened:
    """Header of a JPEG, set to decode at 1/8, 1/4 or 1/2 where ``at_least`` allows."""
    layout = jpeg_layout(data)
    if layout is None:
        raise PictureError(name, "truncated" if len(data) < 1 << 16 else "damaged JPEG file")
    if not layout.complete:
        raise PictureError(name, "truncated")
    if layout.scans > _MAX_SCANS:
        raise PictureError(name, f"JPEG with {layout.scans} scans")
    image = JpegImagePlugin.JpegImageFile(_Timed(data, check))
    width, height = original = image.size
    shrink = 1
    if at_least > 0:
        shrink = next(s for s in (8, 4, 2, 1) if s == 1 or -(-max(original) // s) >= at_least)
    if shrink > 1:
        # draft takes the largest power of two at most the smaller quotient
        image.draft(None, (max(1, width // shrink), max(1, height // shrink)))
    working = image.size[0] * image.size[1]
    memory = working * (7 if layout.components > 1 else 4)
    if layout.buffered:
        memory += 2 * layout.components * width * height  # all coefficients are held at once
        image.decodermaxblock = 4096  # a few bytes can ask for a pass over the whole picture
    admit(width, height, working, memory)
    exif = exif_of(image)
    return Opened(image, "jpeg", orientation_of(exif), original, exif)


def _ask(image: Image.Image, kind: str, admit: Admit) -> None:
    width, height = image.size
    each = _STORAGE.get(image.mode, 4) + _DECODER_BYTES.get(kind, 0) + 3
    admit(width, height, width * height, width * height * each)


@lru_cache(maxsize=1)
def _hush_libtiff() -> None:
    """Take libtiff's own talk off stderr; its errors still arrive as exceptions.

    Pillow offers no way, so the handler is reached through Pillow's extension module where the
    platform's loader lets it be found.
    """
    import ctypes

    from PIL import _imaging

    try:
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            setter = getattr(library, name)
            setter.restype, setter.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
            setter(None)
    except (OSError, AttributeError, TypeError):
        return


def _open_avif(data: bytes, name: str, admit: Admit, check: Callable[[], None]) -> Opened:
    if not AvifImagePlugin.SUPPORTED:
        return _open_heif(data, name, admit, format="avif")
    image = AvifImagePlugin.AvifImageFile(_Timed(data, check))
    _ask(image, "avif", admit)
    exif = exif_of(image)
    return Opened(image, "avif", orientation_of(exif), exif=exif)


def _open_heif(data: bytes, name: str, admit: Admit, format: str = "heic") -> Opened:
    try:
        import pillow_heif
    except ImportError:
        raise PictureError(
            name, f"{format.upper()} needs: pip install 'needlepoint[heif]'"
        ) from None
    heif: Any = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
    width, height = heif.size
    admit(width, height, width * height, width * height * (4 + 10 + 3))
    image: Image.Image = heif.to_pillow()
    # the decoder has applied the file's own turns; EXIF repeats them and must not be obeyed
    return Opened(image, format, exif=exif_of(image))
