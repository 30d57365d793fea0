"""Files to upright sRGB pixels, bounded in pixels, bytes, time and memory.

Formats are told by content, never by name. Size and cost are estimated from the header before a
decoder runs. JPEG, PNG, GIF, BMP and PNM are fed piecewise and stopped when time is up; the other
decoders take a picture in one gulp, so they run on a thread of their own that is left behind when
time is up: the caller gets its answer in time, the thread ends when the decoder does, which the
bound on pixels makes certain, and holds its memory until then. At most four may be left behind at
once. JPEG 2000 alone cannot even be left: its decoder stops all other threads of the process, so
it has a smaller bound on pixels instead (about ten seconds' worth).
"""

from __future__ import annotations

import os
import re
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import BinaryIO

from PIL import Image

from needlepoint.errors import PictureError, UsageError
from needlepoint.intake.colour import upright_size, upright_srgb
from needlepoint.intake.container import HEAD_BYTES, NOT_A_PICTURE, RAW_SUFFIXES, is_raw_tiff, sniff
from needlepoint.intake.facts import MAX_XMP, facts_of
from needlepoint.intake.formats import Opened, TooSlow, open_picture
from needlepoint.intake.reading import read_file, read_stream
from needlepoint.picture import Picture


@dataclass(frozen=True, slots=True)
class Limits:
    """What one picture may cost.

    ``max_pixels`` counts pixels after DCT-scaled decoding. ``max_bytes`` is the file's size.
    ``max_seconds`` is wall time for one picture. ``max_memory`` (bytes) bounds the estimate of
    file, decoder and result together. ``max_side`` is in original pixels. ``max_aspect`` refuses
    strips: a resize of a 1 x 60000 strip for an encoder would be absurd or enormous.
    """

    max_pixels: int = 200_000_000
    max_bytes: int = 1 << 30
    max_seconds: float = 30.0
    max_memory: int = 2 << 30
    max_side: int = 65_500
    max_aspect: float = 100.0


DEFAULT_LIMITS = Limits()

_FED_PIECEWISE = frozenset({"jpeg", "png", "gif", "bmp", "pnm"})
_MAX_LEFT_BEHIND = 4
_left_behind: list[threading.Thread] = []
_left_behind_lock = threading.Lock()


def decode(
    source: str | bytes | os.PathLike[str] | BinaryIO,
    *,
    at_least: int = 0,
    limits: Limits = DEFAULT_LIMITS,
) -> Picture:
    """Decode one picture.

    Args:
        source: a path, the bytes of a file, or an open binary stream.
        at_least: long side in pixels that the result must keep when the original has it; JPEGs
            are then decoded at 1/2, 1/4 or 1/8 where that is enough. 0 keeps the full size.
        limits: what the picture may cost.

    Returns:
        Picture with uint8 ``[height, width, 3]`` pixels: upright, sRGB, transparent parts over
        grey 128. ``size`` is that of the upright original. ``extra`` holds ``digest`` (16 bytes,
        equal to :func:`needlepoint.intake.changes.digest` of the file) and, when the file has
        transparent pixels, ``alpha_box`` ``(x, y, w, h)`` of the others in original pixels.

    Raises:
        PictureError: with a reason of a few words.
        UsageError: ``at_least`` is negative.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (640, 480), "red").save(file, "JPEG")
        >>> picture = decode(file.getvalue(), at_least=300)
        >>> picture.pixels.shape, picture.size
        ((240, 320, 3), (640, 480))
    """
    if at_least < 0:
        raise UsageError(f"at_least must be 0 or a number of pixels. Received: {at_least}.")
    deadline = time.monotonic() + limits.max_seconds
    data, name, path = _gather(source, limits)
    kind = _kind(data, name)
    sidecar = _sidecar(path) if path else None

    def check() -> None:
        if time.monotonic() > deadline:
            raise TooSlow

    def work() -> Picture:
        try:
            return _decode(data, name, kind, at_least, limits, check, sidecar)
        except (PictureError, ImportError):
            raise  # a broken installation is not the picture's fault
        except TooSlow:
            raise PictureError(name, _too_slow(limits)) from None
        except Exception as error:
            raise PictureError(name, _reason(error, kind)) from error

    if kind in _FED_PIECEWISE:
        return work()
    return _watched(work, name, limits, deadline)


def _gather(
    source: str | bytes | os.PathLike[str] | BinaryIO, limits: Limits
) -> tuple[bytes, str, str | None]:
    """Bytes, name for messages, and path when there is one."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        data, name, path = bytes(source), "<bytes>", None
        if len(data) > limits.max_bytes:
            raise PictureError(name, "too many bytes")
    elif isinstance(source, (str, os.PathLike)):
        path = name = os.fspath(source)

        def accept(head: bytes) -> None:
            # a huge text file named .jpg is not read to its end
            if head and not _known(head, name):
                raise PictureError(name, NOT_A_PICTURE)

        data = read_file(path, limits.max_bytes, accept_head=accept)
    else:
        name, path = str(getattr(source, "name", "<stream>")), None
        data = read_stream(source, name, limits.max_bytes)
    if not data:
        raise PictureError(name, "empty file")
    return data, name, path


def _known(head: bytes, name: str) -> bool:
    return sniff(head[:HEAD_BYTES]) is not None or name.lower().endswith(RAW_SUFFIXES)


def _kind(data: bytes, name: str) -> str:
    kind = sniff(data[:HEAD_BYTES])
    raw_name = name.lower().endswith(RAW_SUFFIXES)
    if kind == "tiff" and (raw_name or is_raw_tiff(data)):
        return "raw"
    if kind is None and raw_name:
        return "raw"
    if kind is None:
        raise PictureError(name, NOT_A_PICTURE)
    return kind


def _sidecar(path: str) -> bytes | None:
    """Bytes of ``photo.xmp`` or ``photo.jpg.xmp`` beside a picture; never written."""
    stem = os.path.splitext(path)[0]
    for candidate in (path + ".xmp", stem + ".xmp"):
        if os.path.exists(candidate):
            try:
                return read_file(candidate, MAX_XMP)
            except PictureError:
                continue  # facts are a courtesy; the picture itself is fine
    return None


def _decode(
    data: bytes,
    name: str,
    kind: str,
    at_least: int,
    limits: Limits,
    check: Callable[[], None],
    sidecar: bytes | None,
) -> Picture:
    _hush()

    def admit(width: int, height: int, working: int, memory: int) -> None:
        _admit(name, width, height, working, memory + len(data), limits)

    opened: Opened = open_picture(kind, data, name, at_least, admit, check)
    image = opened.image
    image.load()
    check()
    # TIFF turns itself while loading, and its size with it
    width, height = upright_size(*(opened.original or image.size), opened.orientation)
    facts = facts_of(
        image, width=width, height=height, format=opened.format, exif=opened.exif, sidecar=sidecar
    )
    pixels, box = upright_srgb(image, opened.orientation, check)
    extra: dict[str, object] = {"digest": blake2b(data, digest_size=16).digest()}
    if box is not None:
        extra["alpha_box"] = box
    return Picture(pixels, facts, name, extra)


def _admit(name: str, width: int, height: int, working: int, memory: int, limits: Limits) -> None:
    """Refuse by the header alone: ``working`` pixels and ``memory`` bytes are the cost."""
    long, short = max(width, height), min(width, height)
    if short < 1:
        raise PictureError(name, "has no pixels")
    if long > limits.max_side:
        raise PictureError(name, f"side of {long} pixels (limit {limits.max_side})")
    if long > limits.max_aspect * short:
        raise PictureError(name, f"strip of {width} x {height} pixels")
    if working > limits.max_pixels:
        raise PictureError(name, f"too many pixels ({width} x {height})")
    if memory > limits.max_memory:
        raise PictureError(name, f"would take {memory / 2**30:.1f} GB of memory")


def _watched(work: Callable[[], Picture], name: str, limits: Limits, deadline: float) -> Picture:
    """Run a decoder that cannot be interrupted and stop waiting for it when time is up."""
    with _left_behind_lock:
        _left_behind[:] = [thread for thread in _left_behind if thread.is_alive()]
        if len(_left_behind) >= _MAX_LEFT_BEHIND:
            raise PictureError(name, "decoder still busy with earlier pictures")
    outcome: list[Picture | BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # handed to the waiting thread
            outcome.append(error)

    thread = threading.Thread(target=run, name="needlepoint-decode", daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    if not outcome:
        with _left_behind_lock:
            _left_behind.append(thread)
        raise PictureError(name, _too_slow(limits))
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _too_slow(limits: Limits) -> str:
    return f"took longer than {limits.max_seconds:g} s"


def _reason(error: Exception, kind: str) -> str:
    """A few stable words for whatever a decoder raised."""
    talk = str(error).lower()
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    ends = ("truncated", "not large enough", "end of file", "end-of-file", "input/output error")
    if isinstance(error, EOFError) or any(word in talk for word in ends):
        return "truncated"
    return f"damaged {kind.upper()} file"


_PIL = r"PIL\."
_QUIET = ("ignore", None, Warning, re.compile(_PIL), 0)


def _hush() -> None:
    """Keep Pillow's remarks about odd files off stderr; what matters becomes a reason.

    Looked up at each call because programs and test runners swap the list of filters.
    """
    if _QUIET not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PIL)
