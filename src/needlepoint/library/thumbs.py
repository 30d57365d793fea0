"""Small pictures and pieces as JPEG, kept in a bounded cache that may be lost at any time."""

from __future__ import annotations

import io
import math
import os
import threading
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from PIL import Image

from needlepoint.errors import UsageError
from needlepoint.library.browse import Located, Shelf
from needlepoint.library.kept import DISK_BYTES, Kept
from needlepoint.picture import Box, Picture, Pixels

_MADE_BY = b"1"  # changes when the same question gives other bytes
_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Wanted:
    """A small picture that can be made: of which file, how large, which piece, and its tag.

    ``tag`` is another for every other content, size or piece.
    """

    file: Located
    side: int
    box: Box | None
    tag: str


class Thumbs:
    """Makes small pictures of a library, a few at a time, and keeps those of whole pictures.

    Example:
        >>> thumbs = Thumbs(library.shelf)  # doctest: +SKIP
        >>> jpeg = thumbs.small(thumbs.want(12, 320))  # doctest: +SKIP
    """

    def __init__(self, shelf: Shelf, *, limit: int = DISK_BYTES) -> None:
        """Make small pictures; ``limit`` is bytes of JPEG kept on disk at most.

        A library that is open for reading only gets none on disk, but a few in memory.
        """
        self._shelf = shelf
        self._kept = Kept(shelf.cache / "thumbs.sqlite3" if shelf.cache else None, limit)
        self._turns = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))

    def close(self) -> None:
        """Close the cache."""
        self._kept.close()

    def want(self, number: int, side: int, box: Box | None = None) -> Wanted:
        """Look where a picture lies and what its small picture would be called.

        Args:
            number: id of the picture.
            side: long side in pixels, at most; nothing is enlarged.
            box: the piece to show, in pixels of the upright original; None for all of it. What
                lies beyond the edges is left off.

        Raises:
            NoSuchItem, PictureGone, PictureError: see ``Shelf.locate``.
            UsageError: the box has no area, or none of it lies in the picture.
        """
        file = self._shelf.locate(number)
        if box is not None:
            _check(box)
            if file.unchanged:
                box = _clip(box, (file.facts.width, file.facts.height))
        told = repr((file.record.digest, file.size, file.mtime_ns, file.inside, side, box))
        tag = blake2b(told.encode(), digest_size=16, key=_MADE_BY).hexdigest()
        return Wanted(file, side, box, tag)

    def small(self, wanted: Wanted) -> bytes:
        """The JPEG, from the cache or made now.

        Raises:
            PictureGone, PictureOutside, PictureError: see ``Shelf.read``.
            UsageError: the picture has changed and the box lies outside of it now.
        """
        key = bytes.fromhex(wanted.tag)
        found = self._kept.get(key)
        if found is not None:
            return found
        with self._turns:
            found = self._kept.get(key)  # another may have made it meanwhile
            if found is None:
                found = self._make(wanted, quality=_QUALITY)
                self._kept.put(key, found)
        return found

    def large(self, wanted: Wanted) -> bytes:
        """The same in better quality, made now and not kept; raises as :meth:`small`."""
        with self._turns:
            return self._make(wanted, quality=90)

    def _make(self, wanted: Wanted, *, quality: int) -> bytes:
        """Decode, cut and shrink; raises as :meth:`small`."""
        side, box, facts = wanted.side, wanted.box, wanted.file.facts
        at_least = side
        if box is not None:
            at_least = math.ceil(side * max(facts.width, facts.height) / max(box[2:]))
            at_least = min(at_least, max(facts.width, facts.height))
        picture = self._shelf.read(wanted.file, at_least=at_least)
        image = Image.fromarray(_cut(picture, box))
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality)
        return out.getvalue()


def _check(box: Box) -> None:
    x, y, w, h = box
    # what is too small to be told from nothing has no area either
    if not all(map(math.isfinite, (x, y, x + w, y + h))) or w < 1e-3 or h < 1e-3:
        raise UsageError(f"`box` is x, y, width and height above 0, in pixels. Received: {box}.")


def _clip(box: Box, size: tuple[int, int]) -> Box:
    x, y, w, h = box
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + w, float(size[0])), min(y + h, float(size[1]))
    if right <= left or bottom <= top:
        raise UsageError(
            f"`box` lies outside the picture of {size[0]} x {size[1]} pixels. Received: {box}."
        )
    return left, top, right - left, bottom - top


def _cut(picture: Picture, box: Box | None) -> Pixels:
    """The piece of the pixels; whole pixels, at least one."""
    if box is None:
        return picture.pixels
    x, y, w, h = _clip(box, picture.size)
    high, wide = picture.pixels.shape[:2]
    left = min(math.floor(x / picture.scale_x), wide - 1)
    top = min(math.floor(y / picture.scale_y), high - 1)
    right = max(left + 1, math.ceil((x + w) / picture.scale_x - 1e-6))
    bottom = max(top + 1, math.ceil((y + h) / picture.scale_y - 1e-6))
    return np.ascontiguousarray(picture.pixels[top:bottom, left:right])
