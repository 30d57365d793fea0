"""Camera RAW through rawpy: the embedded preview when it is large enough, else half size."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from PIL import Image

from needlepoint.errors import PictureError
from needlepoint.intake.container import tags_fit, tiff_tags
from needlepoint.intake.formats import Admit, Opened, open_jpeg

#: LibRaw's flip -> EXIF orientation
_FLIPS = {3: 3, 5: 8, 6: 6}


def open_raw(
    data: bytes, name: str, at_least: int, admit: Admit, check: Callable[[], None]
) -> Opened:
    """Open a RAW file; the original's size is that of the developed picture.

    The preview serves when its long side reaches ``at_least`` or half of the sensor's: more than
    that half-size development would not give either.

    Raises:
        PictureError: rawpy is not installed, or neither preview nor sensor data can be read.
    """
    try:
        import rawpy
    except ImportError:
        raise PictureError(name, "RAW needs: pip install 'needlepoint[raw]'") from None
    with rawpy.imread(io.BytesIO(data)) as raw:
        sizes = raw.sizes
        stored = (int(sizes.width), int(sizes.height))
        turn = _FLIPS.get(int(sizes.flip), 1)
        exif = _exif(data)
        preview = _preview(raw, rawpy, name, at_least, admit, check)
        enough = min(at_least or max(stored), -(-max(stored) // 2))
        if preview is None or max(preview.original or preview.image.size) < enough:
            sensor = int(sizes.raw_width) * int(sizes.raw_height)
            admit(*stored, sensor // 4, sensor * 6)
            try:
                image = Image.fromarray(
                    raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8, user_flip=0)
                )
                return Opened(image, "raw", turn, stored, exif)
            except Exception:
                if preview is None:
                    raise
    preview.format, preview.exif = "raw", _richer(exif, preview.exif)
    own = preview.orientation
    if _already_turned(preview.original, stored, turn):
        own = 1  # LibRaw writes the sensor's turn into previews without EXIF, upright or not
    elif own == 1:
        own = turn
    # the size is the sensor's, told in the preview's own stored orientation
    swapped = (own >= 5) != (turn >= 5)
    preview.orientation, preview.original = own, stored[::-1] if swapped else stored
    return preview


def _already_turned(preview: tuple[int, int] | None, stored: tuple[int, int], turn: int) -> bool:
    """Whether a preview stands upright already, which shows only for quarter turns."""
    if preview is None or turn < 5:
        return False
    return (preview[0] > preview[1]) != (stored[0] > stored[1])


def _preview(
    raw: Any, rawpy: Any, name: str, at_least: int, admit: Admit, check: Callable[[], None]
) -> Opened | None:
    try:
        thumb = raw.extract_thumb()
        if thumb.format == rawpy.ThumbFormat.JPEG:
            opened = open_jpeg(thumb.data, name, at_least, admit, check)
            opened.image.load()
            return opened
        image = Image.fromarray(thumb.data)
        return Opened(image, "raw", original=image.size)
    except Exception:  # a RAW without a usable preview is developed instead
        return None


def _exif(data: bytes) -> Image.Exif:
    """EXIF of a RAW file built on TIFF; empty for other containers."""
    exif = Image.Exif()
    if tiff_tags(data) and tags_fit(data):
        try:
            exif.load_from_fp(io.BytesIO(data))
        except Exception:
            return Image.Exif()
    return exif


def _richer(own: Image.Exif, preview: Image.Exif | None) -> Image.Exif:
    return preview if preview is not None and len(preview) > len(own) else own
