"""Files made to hurt: each entry is a file name and a function that returns its bytes."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin


def picture(width: int = 320, height: int = 240, mode: str = "RGB") -> Image.Image:
    """A smooth coloured picture with some detail, the same on every call."""
    y, x = np.mgrid[0:height, 0:width]
    wave = 127 + 100 * np.sin(x / 15 + y / 20)
    channels = [x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), wave]
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)).convert(mode)


def encoded(format: str, image: Image.Image | None = None, **options: object) -> bytes:
    """A picture as file bytes."""
    file = io.BytesIO()
    (image or picture()).save(file, format, **options)
    return file.getvalue()


def half(data: bytes) -> bytes:
    """The first half."""
    return data[: len(data) // 2]


def png(width: int, height: int, idat: bytes, *extra: tuple[bytes, bytes], depth: int = 8,
        colour: int = 2) -> bytes:  # fmt: skip
    """A PNG from its parts; ``extra`` chunks stand before the pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", idat), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


def with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG with one more segment after its start marker."""
    return jpeg[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def jpeg_sized(width: int, height: int) -> bytes:
    """A JPEG whose frame header claims another size."""
    data = bytearray(encoded("JPEG"))
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, height, width)
    return bytes(data)


def jpeg_many_scans() -> bytes:
    """A progressive JPEG that repeats one of its scans 5000 times."""
    data = encoded("JPEG", progressive=True)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xda", first + 2)
    tables = (
        data.rindex(b"\xff\xc4", first, second) if b"\xff\xc4" in data[first:second] else second
    )
    return data[:tables] + data[first:tables] * 5000 + data[tables:]


def exif_bomb(entries: int = 4000) -> bytes:
    """An EXIF block of 48 kB whose entries all claim the same 60 kB."""
    directory = b"".join(struct.pack("<HHII", 0x8000 + i, 7, 60_000, 8) for i in range(entries))
    return b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, entries) + directory + b"\x00" * 4


def exif_loop() -> bytes:
    """EXIF whose sub-directory is the directory itself."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    return b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 8)


def tiff(entries: list[tuple[int, int, int, int]], tail: bytes = b"", next_ifd: int = 0) -> bytes:
    """A little-endian TIFF from (tag, type, count, value or offset)."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = b"II*\x00" + struct.pack("<IH", 8, len(entries))
    return head + body + struct.pack("<I", next_ifd) + tail


def tiff_claiming(width: int, height: int, compression: int) -> bytes:
    return tiff(
        [
            (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression),
            (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 100),
        ],
        b"\x00" * 200,
    )  # fmt: skip


def gif_canvas(width: int, height: int) -> bytes:
    data = bytearray(encoded("GIF"))
    struct.pack_into("<HH", data, 6, width, height)
    return bytes(data)


def webp_canvas(width: int, height: int) -> bytes:
    """An extended WebP whose canvas is larger than its frame."""
    frame = encoded("WEBP")[12:]
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x00" * 4
    extended += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 4 + len(extended) + len(frame)) + b"WEBP" + extended + frame


def bmp_sized(width: int, height: int) -> bytes:
    data = bytearray(encoded("BMP"))
    struct.pack_into("<ii", data, 18, width, height)
    return bytes(data)


def spoiled(data: bytes, *, seed: int = 1, count: int = 40, skip: int = 0) -> bytes:
    """Some bytes overwritten at random."""
    dice, out = random.Random(seed), bytearray(data)
    for _ in range(count):
        out[dice.randrange(skip, len(out))] = dice.randrange(256)
    return bytes(out)


def heif() -> bytes:
    import pillow_heif

    file = io.BytesIO()
    pillow_heif.from_pillow(picture()).save(file, quality=60)
    return file.getvalue()


def billion_laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    return (
        f'http://ns.adobe.com/xap/1.0/\x00<!DOCTYPE x [<!ENTITY l0 "lol">{entities}]>'
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'>&l9;</x:xmpmeta>"
    ).encode()


def _text_bomb() -> bytes:
    bomb = zlib.compress(b"a" * 200_000_000, 9)
    return png(8, 8, zlib.compress(b"\x00" * 8 * 25), (b"zTXt", b"Comment\x00\x00" + bomb))


def _profile_bomb() -> bytes:
    bomb = zlib.compress(b"\x00" * 200_000_000, 9)
    return png(8, 8, zlib.compress(b"\x00" * 8 * 25), (b"iCCP", b"icc\x00\x00" + bomb))


def _bad_crc() -> bytes:
    data = bytearray(encoded("PNG"))
    data[-20] ^= 0xFF
    return bytes(data)


def _deep_xmp() -> bytes:
    xml = b"<a>" * 9000 + b"</a>" * 9000
    return with_segment(encoded("JPEG"), 0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + xml[:63_000])


GOOD = "picture"
BAD = "error"
EITHER = "either"

KINDS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty.jpg": (BAD, lambda: b""),
    "one_byte.png": (BAD, lambda: b"\x89"),
    "text.jpg": (BAD, lambda: b"dear diary, this is no picture\n" * 200),
    "page.png": (BAD, lambda: b"<!doctype html><html><body>404</body></html>"),
    "drawing.jpg": (BAD, lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "postscript.jpg": (BAD, lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
    "zip.jpg": (BAD, lambda: b"PK\x03\x04" + bytes(200)),
    "zeros.jpg": (BAD, lambda: bytes(5000)),
    "noise.jpg": (BAD, lambda: random.Random(5).randbytes(9000)),
    "jpeg_start_only.jpg": (BAD, lambda: b"\xff\xd8\xff\xe0"),
    "jpeg_magic_then_noise.jpg": (BAD, lambda: b"\xff\xd8\xff" + random.Random(6).randbytes(9000)),
    "jpeg_half.jpg": (BAD, lambda: half(encoded("JPEG"))),
    "jpeg_half_progressive.jpg": (BAD, lambda: half(encoded("JPEG", progressive=True))),
    "jpeg_no_end.jpg": (BAD, lambda: encoded("JPEG")[:-2]),
    "jpeg_zero_tail.jpg": (BAD, lambda: half(encoded("JPEG")) + bytes(300_000)),
    "jpeg_no_scan.jpg": (BAD, lambda: encoded("JPEG").split(b"\xff\xda")[0] + b"\xff\xd9"),
    "jpeg_many_scans.jpg": (BAD, jpeg_many_scans),
    "jpeg_claims_65500.jpg": (BAD, lambda: jpeg_sized(65500, 65500)),
    "jpeg_no_height.jpg": (BAD, lambda: jpeg_sized(320, 0)),
    "jpeg_spoiled.jpg": (EITHER, lambda: spoiled(encoded("JPEG"), skip=700)),
    "jpeg_trailing_noise.jpg": (GOOD, lambda: encoded("JPEG") + random.Random(7).randbytes(5000)),
    "jpeg_exif_bomb.jpg": (GOOD, lambda: with_segment(encoded("JPEG"), 0xE1, exif_bomb())),
    "jpeg_exif_loop.jpg": (GOOD, lambda: with_segment(encoded("JPEG"), 0xE1, exif_loop())),
    "jpeg_exif_noise.jpg": (
        GOOD,
        lambda: with_segment(
            encoded("JPEG"), 0xE1, b"Exif\x00\x00II*\x00" + random.Random(8).randbytes(900)
        ),
    ),
    "jpeg_billion_laughs.jpg": (
        GOOD, lambda: with_segment(encoded("JPEG"), 0xE1, billion_laughs()),
    ),
    "jpeg_deep_xmp.jpg": (GOOD, _deep_xmp),
    "jpeg_called.png": (GOOD, lambda: encoded("JPEG")),
    "png_called.jpg": (GOOD, lambda: encoded("PNG")),
    "jpeg_two_in_one.jpg": (GOOD, lambda: encoded("JPEG") + half(encoded("JPEG"))),
    "png_half.png": (BAD, lambda: half(encoded("PNG"))),
    "png_bad_crc.png": (EITHER, _bad_crc),
    "png_spoiled.png": (EITHER, lambda: spoiled(encoded("PNG"), skip=60)),
    "png_bomb.png": (
        BAD,
        lambda: png(30_000, 30_000, zlib.compress(bytes(3751 * 30_000), 9), depth=1, colour=0),
    ),
    "png_bomb_under_pixel_limit.png": (
        BAD, lambda: png(12_000, 12_000, zlib.compress(bytes(100_000), 9), colour=6),
    ),
    "png_claims_2_to_31.png": (BAD, lambda: png(2**31 - 1, 2**31 - 1, b"")),
    "png_no_width.png": (BAD, lambda: png(0, 10, zlib.compress(bytes(10)))),
    "png_short_pixels.png": (BAD, lambda: png(300, 300, zlib.compress(bytes(5000)))),
    "png_text_bomb.png": (EITHER, _text_bomb),
    "png_profile_bomb.png": (EITHER, _profile_bomb),
    "png_bad_profile.png": (GOOD, lambda: encoded("PNG", icc_profile=b"not a profile" * 40)),
    "png_cmyk_profile_on_rgb.png": (
        GOOD,
        lambda: encoded(
            "PNG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        ),
    ),
    "strip_1_by_60000.png": (BAD, lambda: encoded("PNG", picture(1, 60_000))),
    "strip_60000_by_1.jpg": (BAD, lambda: encoded("JPEG", picture(60_000, 1))),
    "one_pixel.png": (GOOD, lambda: encoded("PNG", picture(1, 1))),
    "gif_half.gif": (BAD, lambda: half(encoded("GIF"))),
    "gif_huge_canvas.gif": (BAD, lambda: gif_canvas(65_535, 65_535)),
    "gif_no_frame.gif": (BAD, lambda: b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0, 0, 0) + b";"),
    "gif_spoiled.gif": (EITHER, lambda: spoiled(encoded("GIF"), skip=800)),
    "bmp_half.bmp": (BAD, lambda: half(encoded("BMP"))),
    "bmp_claims_huge.bmp": (BAD, lambda: bmp_sized(60_000, 60_000)),
    "bmp_min_int_height.bmp": (BAD, lambda: bmp_sized(100, -(2**31))),
    "bmp_is_prose.bmp": (BAD, lambda: b"BMW is a maker of cars and motorcycles" * 30),
    "tiff_half.tif": (BAD, lambda: half(encoded("TIFF"))),
    "tiff_half_lzw.tif": (BAD, lambda: half(encoded("TIFF", compression="tiff_lzw"))),
    "tiff_next_is_itself.tif": (
        EITHER, lambda: tiff([(256, 4, 1, 10), (257, 4, 1, 10)], next_ifd=8),
    ),
    "tiff_tag_bomb.tif": (BAD, lambda: tiff([(40_000 + i, 7, 90_000, 8) for i in range(8000)])),
    "tiff_claims_huge.tif": (BAD, lambda: tiff_claiming(65_000, 65_000, 5)),
    "tiff_empty_strip.tif": (EITHER, lambda: tiff_claiming(4000, 4000, 5)),
    "tiff_no_tags.tif": (BAD, lambda: tiff([])),
    "tiff_directory_far_away.tif": (BAD, lambda: b"II*\x00\xff\xff\xff\x7f"),
    "webp_half.webp": (BAD, lambda: half(encoded("WEBP"))),
    "webp_half_lossless.webp": (BAD, lambda: half(encoded("WEBP", lossless=True))),
    "webp_huge_canvas.webp": (BAD, lambda: webp_canvas(16_383, 16_383)),
    "webp_header_only.webp": (BAD, lambda: b"RIFF\x10\x00\x00\x00WEBPVP8 "),
    "webp_spoiled.webp": (EITHER, lambda: spoiled(encoded("WEBP"), skip=40)),
    "avif_half.avif": (BAD, lambda: half(encoded("AVIF"))),
    "avif_brand_only.avif": (BAD, lambda: b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00avifmif1"),
    "avif_spoiled.avif": (EITHER, lambda: spoiled(encoded("AVIF"), skip=500)),
    "heic_half.heic": (BAD, lambda: half(heif())),
    "heic_brand_only.heic": (BAD, lambda: b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1"),
    "heic_spoiled.heic": (EITHER, lambda: spoiled(heif(), skip=600)),
    "jp2_half.jp2": (BAD, lambda: half(encoded("JPEG2000"))),
    "pnm_claims_huge.ppm": (BAD, lambda: b"P6 65000 65000 255\n" + bytes(100)),
    "pnm_half.ppm": (BAD, lambda: half(encoded("PPM"))),
    "pnm_not_a_number.ppm": (BAD, lambda: b"P3 ten ten 255\n"),
    "pnm_plain_short.ppm": (BAD, lambda: b"P3 50 50 255\n" + b"1 2 3 " * 10),
    "raw_header_only.cr2": (BAD, lambda: b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(400)),
    "raw_fuji_noise.raf": (BAD, lambda: b"FUJIFILMCCD-RAW 0201" + random.Random(9).randbytes(4000)),
    "raw_text.nef": (BAD, lambda: b"this is not a raw file " * 50),
    "dng_claims.dng": (
        BAD, lambda: tiff([(256, 4, 1, 9), (257, 4, 1, 9), (50706, 1, 4, 0x0104)], bytes(50)),
    ),
    "png_long_text.png": (
        GOOD, lambda: encoded("PNG", pnginfo=_long_text()),
    ),
}  # fmt: skip


def _long_text() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 50_000, zip=True)
    return info
