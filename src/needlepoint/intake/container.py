"""What the first bytes of a file say, read without any decoder.

Decoders trust sizes and tables that a hostile file may lie about, so everything that bounds
memory or time is taken from here, before a decoder sees the file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    # cameras' own containers that are not plain TIFF
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"IIRO", "raw"),
    (b"IIRS", "raw"),
    (b"MMOR", "raw"),
    (b"IIU\x00", "raw"),
    (b"FOVb", "raw"),
    (b"\x00MRM", "raw"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
)

_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)

NOT_A_PICTURE = "not a picture in a known format"

HEAD_BYTES = 64
"""How many leading bytes :func:`sniff` wants."""


RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef",
    ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2",
    ".srf", ".srw", ".x3f",
)  # fmt: skip
"""Lower-case suffixes of cameras' RAW files; many have no magic bytes of their own."""


def sniff(head: bytes) -> str | None:
    """Name the format from the first bytes, or None when it is no picture we read.

    Returns one of ``jpeg png webp gif bmp tiff pnm avif heic jpeg2000 raw``. A RAW file built on
    TIFF answers ``tiff``; :func:`is_raw_tiff` tells them apart.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _sniff_ftyp(head)
    if head[:1] == b"P" and head[1:2] in b"123456Ff" and head[2:3].isspace():
        return "pnm"
    if head[:4] == b"II*\x00" and head[8:10] == b"CR":
        return "raw"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def _sniff_ftyp(head: bytes) -> str | None:
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, len(head) - 3, 4))]
    if head[8:12] == b"crx ":
        return "raw"
    if any(brand in (b"avif", b"avis") for brand in brands):
        return "avif"
    return "heic" if any(brand in _HEIF_BRANDS for brand in brands) else None


@dataclass(frozen=True, slots=True)
class JpegLayout:
    """What the markers of a JPEG say before its first scan, and how many scans follow.

    ``buffered``: several scans (progressive, or one per colour), so that a decoder holds all
    coefficients; scans are counted only then. ``complete``: an end marker follows the first scan.
    """

    width: int
    height: int
    components: int
    buffered: bool
    scans: int
    complete: bool


def jpeg_layout(data: bytes) -> JpegLayout | None:
    """Walk the markers of a JPEG up to its first scan; None when there is no frame or scan."""
    at, end = 2, len(data)
    frame: tuple[int, int, int, bool] | None = None
    while at + 4 <= end:
        if data[at] != 0xFF:
            at += 1
            continue
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0x00 or marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        if marker == 0xD9:
            return None
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 10 <= end:
            height, width, parts = struct.unpack_from(">HHB", data, at + 5)
            frame = (width, height, parts, marker in (0xC2, 0xC6, 0xCA, 0xCE))
        if marker == 0xDA:
            if frame is None:
                return None
            # from the end, where an honest file answers at once; thumbnails lie before the scan
            complete = data.rfind(b"\xff\xd9", at) >= 0
            buffered = frame[3] or (at + 4 < end and data[at + 4] < frame[2])
            scans = 1
            if buffered:
                # entropy-coded bytes never hold FF D9 or FF DA, so plain searches are exact
                stop = data.find(b"\xff\xd9", at)
                scans = data.count(b"\xff\xda", at, stop if stop >= 0 else end)
            return JpegLayout(*frame[:3], buffered, scans, complete)
        at += 2 + max(2, length)
    return None


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a WebP canvas from its header, or None when the header is broken.

    Needed because Pillow's decoder allocates the canvas before anybody can ask for its size.
    """
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


class Tag(NamedTuple):
    """One entry of a TIFF directory: bytes it claims, and its value or where that lies."""

    size: int
    value: int


def tiff_tags(data: bytes) -> dict[int, Tag]:
    """First directory of a classic TIFF or of an EXIF block, without reading what it points to.

    Returns an empty mapping for anything else (BigTIFF, damaged headers).
    """
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(bytes(data[:4]))
    if order is None or len(data) < 8:
        return {}
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return {}
    (count,) = struct.unpack_from(order + "H", data, start)
    tags = {}
    for i in range(min(count, (len(data) - start - 2) // 12)):
        entry = start + 2 + 12 * i
        tag, kind, number, value = struct.unpack_from(order + "HHII", data, entry)
        size = number * _TYPE_SIZES.get(kind, 1)
        if size <= 2:
            (value,) = struct.unpack_from(order + "H", data, entry + 8)
        tags[tag] = Tag(size, value)
    return tags


def tags_fit(data: bytes) -> bool:
    """Whether the directory's values fit into the bytes there are.

    Entries may all point at the same place, so 64 kB can ask a reader to copy gigabytes.
    """
    return sum(tag.size for tag in tiff_tags(data).values()) <= 2 * len(data) + 65_536


def is_raw_tiff(data: bytes) -> bool:
    """Whether a TIFF is a camera's RAW: a DNG, or a reduced first picture with sub-directories."""
    tags = tiff_tags(data)
    reduced = 254 in tags and bool(tags[254].value & 1)
    return 50706 in tags or (reduced and 330 in tags and 271 in tags)
