"""Metadata from every door, and nothing hostile raises."""

from __future__ import annotations

import io
import struct

import pytest
from hostile_files import encoded, picture, with_segment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from needlepoint.intake.decode import decode
from needlepoint.intake.facts import facts_of, orientation_of
from needlepoint.picture import Facts

MAKE, MODEL, DATE, RATING, WORDS = 0x010F, 0x0110, 0x0132, 0x4746, 0x9C9E
ORIGINAL, DIGITIZED, SUBSEC, OFFSET, LENS_MAKE, LENS = (
    0x9003, 0x9004, 0x9291, 0x9011, 0xA433, 0xA434,
)  # fmt: skip


def exif_with(
    main: dict | None = None, camera: dict | None = None, gps: dict | None = None
) -> bytes:
    exif = Image.Exif()
    for tag, value in (main or {}).items():
        exif[tag] = value
    exif.get_ifd(0x8769).update(camera or {})
    exif.get_ifd(0x8825).update(gps or {})
    return exif.tobytes()


def facts_from(format: str = "JPEG", **parts: dict) -> Facts:
    return decode(encoded(format, picture(64, 48), exif=exif_with(**parts))).facts


def xmp(properties: str = "", inner: str = "") -> bytes:
    return (
        "<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>"
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
        "xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:dc='http://purl.org/dc/elements/1.1/' "
        "xmlns:photoshop='http://ns.adobe.com/photoshop/1.0/' "
        f"xmlns:exif='http://ns.adobe.com/exif/1.0/' {properties}>{inner}</rdf:Description>"
        "</rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    ).encode()


def bag(*words: str) -> str:
    return (
        "<dc:subject><rdf:Bag>"
        + "".join(f"<rdf:li>{word}</rdf:li>" for word in words)
        + "</rdf:Bag></dc:subject>"
    )


def with_xmp(packet: bytes) -> bytes:
    return with_segment(
        encoded("JPEG", picture(64, 48)), 0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + packet
    )


def with_iptc(*records: tuple[int, bytes], utf8: bool = False) -> bytes:
    block = b"\x1c\x01\x5a\x00\x03\x1b%G" if utf8 else b""
    for number, value in records:
        block += b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(value)) + value
    resource = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(block)) + block
    resource += b"\x00" * (len(resource) % 2)
    return with_segment(encoded("JPEG", picture(64, 48)), 0xED, b"Photoshop 3.0\x00" + resource)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_a_full_set(format: str) -> None:
    got = facts_from(
        format,
        main={MAKE: "NIKON CORPORATION", MODEL: "NIKON D90", RATING: 4},
        camera={
            ORIGINAL: "2019:07:14 08:09:10",
            SUBSEC: "55",
            OFFSET: "+05:30",
            LENS: "50mm f/2",
        },
        gps={1: "S", 2: (33.0, 51.0, 24.12), 3: "E", 4: (151.0, 12.0, 54.0)},
    )
    assert got == Facts(
        64, 48, format.lower(), "2019-07-14T08:09:10", "NIKON D90", "50mm f/2",
        pytest.approx(-33.8567), pytest.approx(151.215), (), 4,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("Google", "Pixel 7", "Google Pixel 7"),
        ("OLYMPUS IMAGING CORP.  ", "E-M5", "OLYMPUS E-M5"),
        ("FUJIFILM", "X100V\x00\x00junk", "FUJIFILM X100V"),
        ("LEICA CAMERA AG", "LEICA Q2", "LEICA Q2"),
        ("Co., Ltd.", "Z", "Co., Ltd. Z"),
        (None, "scanner", "scanner"),
        ("Apple", None, "Apple"),
        ("  ", "\x01\x02", None),
        ("Größe".encode(), "Kamera", "Größe Kamera"),
    ],
)
def test_camera(make: str | bytes | None, model: str | None, camera: str | None) -> None:
    main = {tag: text for tag, text in ((MAKE, make), (MODEL, model)) if text is not None}
    assert facts_from(main=main).camera == camera


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("2020:01:02 03:04:05", "2020-01-02T03:04:05"),
        ("2020-01-02T03:04:05.123+01:00", "2020-01-02T03:04:05"),
        ("2020:01:02 03:04", "2020-01-02T03:04:00"),
        ("2020:01:02", "2020-01-02T00:00:00"),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2020:13:02 03:04:05", None),
        ("2020:02:30 03:04:05", None),
        ("yesterday", None),
    ],
)
def test_dates(text: str, taken: str | None) -> None:
    assert facts_from(camera={ORIGINAL: text}).taken == taken


def test_the_best_date_wins() -> None:
    both = {"main": {DATE: "2022:01:01 00:00:00"}, "camera": {DIGITIZED: "2021:01:01 00:00:00"}}
    assert facts_from(**both).taken == "2021-01-01T00:00:00"
    assert facts_from(main={DATE: "2022:01:01 00:00:00"}).taken == "2022-01-01T00:00:00"


@pytest.mark.parametrize(
    ("gps", "position"),
    [
        ({1: "N", 2: (10.0, 30.0, 0.0), 3: "W", 4: (20.0, 0.0, 36.0)}, (10.5, -20.01)),
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}, (None, None)),
        ({1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0)}, (None, None)),
        ({1: "N", 2: (10.0, 0.0, 0.0)}, (None, None)),
        ({1: "N", 2: (IFDRational(1, 0), 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0)}, (None, None)),
        ({2: (10.0, 0.0, 0.0), 4: (1.0, 0.0, 0.0)}, (10.0, 1.0)),
    ],
)
def test_positions(gps: dict, position: tuple) -> None:
    got = facts_from(gps=gps)
    assert (got.lat, got.lon) == tuple(p if p is None else pytest.approx(p) for p in position)


def test_windows_keywords_and_rating() -> None:
    words = "sea; Küste;日本;sea;;\x00rest".encode("utf-16-le")
    got = facts_from(main={WORDS: words, RATING: 9})
    assert got.keywords == ("sea", "Küste", "日本")
    assert got.rating is None


def test_xmp_in_a_jpeg() -> None:
    packet = xmp(
        "xmp:Rating='3' photoshop:DateCreated='2018-05-06T07:08:09.5Z'",
        bag("tree", "Bäume", "tree"),
    )
    got = decode(with_xmp(packet)).facts
    assert (got.rating, got.taken, got.keywords) == (3, "2018-05-06T07:08:09", ("tree", "Bäume"))


@pytest.mark.parametrize(
    ("text", "stars"), [("-1", 0), ("5", 5), ("4.0", 4), ("7", None), ("x", None)]
)
def test_ratings(text: str, stars: int | None) -> None:
    assert decode(with_xmp(xmp(inner=f"<xmp:Rating>{text}</xmp:Rating>"))).facts.rating == stars


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_xmp_in_other_formats(format: str) -> None:
    packet = xmp("xmp:Rating='2'", bag("one"))
    if format == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        data = encoded("PNG", picture(64, 48), pnginfo=info)
    elif format == "TIFF":
        data = encoded("TIFF", picture(64, 48), tiffinfo={700: packet})
    else:
        data = encoded(format, picture(64, 48), xmp=packet)
    got = decode(data).facts
    assert (got.rating, got.keywords) == (2, ("one",))


def test_xmp_and_exif_in_heic() -> None:
    import pillow_heif

    image = picture(64, 48)
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(
        file, exif=exif_with(main={MAKE: "Apple", MODEL: "iPhone 15"}), xmp=xmp(inner=bag("cat"))
    )
    got = decode(file.getvalue()).facts
    assert (got.camera, got.keywords) == ("Apple iPhone 15", ("cat",))


def test_iptc() -> None:
    data = with_iptc(
        (25, "Küche".encode()), (25, b"caf\xe9"), (55, b"20170304"), (60, b"050607+0000"), utf8=True
    )
    got = decode(data).facts
    assert got.keywords == ("Küche", "café")
    assert got.taken == "2017-03-04T05:06:07"


def test_sidecar_wins_over_the_file() -> None:
    data = with_xmp(xmp("xmp:Rating='1' photoshop:DateCreated='2001-01-01'", bag("a")))
    image = Image.open(io.BytesIO(data))
    beside = xmp("xmp:Rating='5' exif:DateTimeOriginal='2002-02-02T02:02:02'", bag("b", "a"))
    got = facts_of(image, width=64, height=48, format="jpeg", sidecar=beside)
    assert (got.rating, got.taken, got.keywords) == (5, "2002-02-02T02:02:02", ("b", "a"))
    broken = facts_of(image, width=64, height=48, format="jpeg", sidecar=b"<x>")
    assert (broken.rating, broken.taken) == (1, "2001-01-01T00:00:00")


def test_text_can_always_be_stored_and_shown() -> None:
    packet = xmp(inner=bag("a\tb\nc", "x" * 5000, "\u202eevil", "&#x1F600;"))
    for word in decode(with_xmp(packet)).facts.keywords:
        assert len(word) <= 200
        word.encode("utf-8")
        assert word.isprintable()
    many = decode(with_xmp(xmp(inner=bag(*(str(i) for i in range(3000)))))).facts
    assert len(many.keywords) == 200


def test_entities_are_refused() -> None:
    packet = b"<!DOCTYPE x [<!ENTITY e 'boom'>]>" + xmp(inner=bag("&e;"))
    assert decode(with_xmp(packet)).facts.keywords == ()


@pytest.mark.parametrize("value", [0, 9, 65535, "6", (6, 6), 6.0])
def test_nonsense_orientation_is_upright(value: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert orientation_of(exif) == 1


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    block=st.binary(max_size=300),
    marker=st.sampled_from([0xE1, 0xED]),
    head=st.sampled_from(
        [
            b"Exif\x00\x00II*\x00\x08\x00\x00\x00", b"Exif\x00\x00MM\x00*\x00\x00\x00\x08",
            b"http://ns.adobe.com/xap/1.0/\x00", b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00",
        ]
    ),
)  # fmt: skip
def test_random_metadata_never_costs_the_picture(block: bytes, marker: int, head: bytes) -> None:
    got = decode(with_segment(encoded("JPEG", picture(8, 8)), marker, head + block))
    assert got.facts.width == 8


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_spoiled_true_exif_never_costs_the_picture(data: st.DataObject) -> None:
    block = bytearray(
        exif_with(
            main={MAKE: "Maker", MODEL: "Model", RATING: 3, WORDS: "a;b".encode("utf-16-le")},
            camera={ORIGINAL: "2019:07:14 08:09:10", LENS_MAKE: "L", LENS: "50mm"},
            gps={1: "S", 2: (33.0, 51.0, 24.12), 3: "E", 4: (151.0, 12.0, 54.0)},
        )
    )
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(6, len(block) - 1))] = data.draw(st.integers(0, 255))
    got = decode(encoded("JPEG", picture(8, 8), exif=bytes(block)))
    assert {got.facts.width, got.facts.height} == {8}
