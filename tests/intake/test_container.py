"""What first bytes and headers say."""

from __future__ import annotations

import struct

import pytest
from hostile_files import encoded, exif_bomb, heif, picture, tiff
from raw_files import dng

from needlepoint.intake.container import (
    is_raw_tiff,
    jpeg_layout,
    sniff,
    tags_fit,
    tiff_tags,
    webp_size,
)


@pytest.mark.parametrize(
    ("format", "kind"),
    [
        ("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp"),
        ("TIFF", "tiff"), ("PPM", "pnm"), ("AVIF", "avif"), ("JPEG2000", "jpeg2000"),
    ],
)  # fmt: skip
def test_sniff_knows_what_is_written(format: str, kind: str) -> None:
    assert sniff(encoded(format)[:64]) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", None), (b"\xff", None), (b"Pfoo", None), (b"P6\n1 1", "pnm"), (b"Pf 1", "pnm"),
        (b"RIFF\x00\x00\x00\x00WAVE", None), (b"\x00\x00\x00\x18ftypisom", None),
        (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", "raw"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif", "avif"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "heic"),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00", "raw"), (b"FUJIFILMCCD-RAW", "raw"),
        (b"MM\x00*\x00\x00\x00\x08", "tiff"), (b"<svg", None), (b"%PDF", None),
    ],
)  # fmt: skip
def test_sniff_on_heads(head: bytes, kind: str | None) -> None:
    assert sniff(head) == kind


def test_sniff_heic() -> None:
    assert sniff(heif()[:64]) == "heic"


@pytest.mark.parametrize(
    "options", [{}, {"lossless": True}, {"exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"}]
)
@pytest.mark.parametrize("size", [(1, 1), (321, 240), (17, 4000)])
def test_webp_size(options: dict, size: tuple[int, int]) -> None:
    assert webp_size(encoded("WEBP", picture(*size), **options)) == size


def test_webp_without_a_frame() -> None:
    assert webp_size(b"RIFF\x00\x00\x00\x00WEBPVP8 \x00") is None
    assert webp_size(b"RIFF\x00\x00\x00\x00WEBPJUNK" + bytes(40)) is None


def test_jpeg_layout() -> None:
    plain = jpeg_layout(encoded("JPEG", picture(50, 40)))
    assert plain is not None
    assert (plain.width, plain.height, plain.components) == (50, 40, 3)
    assert (plain.buffered, plain.scans, plain.complete) == (False, 1, True)
    slow = jpeg_layout(encoded("JPEG", picture(50, 40), progressive=True))
    assert slow is not None
    assert slow.buffered
    assert 4 <= slow.scans <= 12
    cut = jpeg_layout(encoded("JPEG")[:-2])
    assert cut is not None
    assert not cut.complete
    assert jpeg_layout(b"\xff\xd8\xff\xd9") is None
    assert jpeg_layout(b"\xff\xd8" + b"\xff" * 50) is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_tags_of_both_orders(order: str) -> None:
    mark = b"II" if order == "<" else b"MM"
    body = struct.pack(order + "HHI", 254, 4, 1) + struct.pack(order + "I", 1)
    body += struct.pack(order + "HHIHH", 274, 3, 1, 6, 0)
    data = mark + struct.pack(order + "HIH", 42, 8, 2) + body + bytes(4)
    tags = tiff_tags(data)
    assert (tags[254].value, tags[254].size) == (1, 4)
    assert (tags[274].value, tags[274].size) == (6, 2)
    assert tiff_tags(data[:20]) == {}
    assert tiff_tags(b"PNG") == {}


def test_tags_that_claim_more_than_there_is() -> None:
    assert tags_fit(encoded("TIFF"))
    assert not tags_fit(exif_bomb()[6:])


def test_raw_is_told_from_tiff() -> None:
    assert is_raw_tiff(dng())
    assert is_raw_tiff(tiff([(254, 4, 1, 1), (271, 2, 4, 0), (330, 4, 1, 8)]))
    assert not is_raw_tiff(encoded("TIFF"))
    assert not is_raw_tiff(tiff([(254, 4, 1, 0), (330, 4, 1, 8)]))
