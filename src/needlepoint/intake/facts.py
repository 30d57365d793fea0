"""What a file says about itself: EXIF, XMP, IPTC and a sidecar, made safe to store and to show.

Metadata is written by anybody, so nothing here raises: what cannot be understood is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar, cast
from xml.etree.ElementTree import Element

from PIL import Image, ImageFile, IptcImagePlugin

from needlepoint.intake.container import tags_fit
from needlepoint.picture import Facts

_T = TypeVar("_T")

MAX_XMP = 4 << 20
_MAX_TEXT = 200
_MAX_KEYWORDS = 200

_MAKE, _MODEL, _ORIENTATION, _DATETIME = 0x010F, 0x0110, 0x0112, 0x0132
_RATING, _XP_KEYWORDS = 0x4746, 0x9C9E
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_ORIGINAL, _DIGITIZED, _LENS_MAKE, _LENS_MODEL = 0x9003, 0x9004, 0xA433, 0xA434

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_SUBJECT = "{http://purl.org/dc/elements/1.1/}subject"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_XMP_DATES = (
    "{http://ns.adobe.com/exif/1.0/}DateTimeOriginal",
    "{http://ns.adobe.com/photoshop/1.0/}DateCreated",
    _XMP + "CreateDate",
)

_DATE = re.compile(r"\s*(\d{4})[:/.-](\d\d)[:/.-](\d\d)(?:[T ]+(\d\d):(\d\d)(?::(\d\d))?)?")
_FIRM = re.compile(
    r"\b(corporation|corp|imaging|electric|optical|company|co|ltd|inc|gmbh|ag)\b[.,]*", re.I
)


def facts_of(
    image: Image.Image,
    *,
    width: int,
    height: int,
    format: str,
    exif: Image.Exif | None = None,
    sidecar: bytes | None = None,
) -> Facts:
    """Gather the facts of an opened picture.

    Args:
        image: the opened Pillow image (pixels need not be loaded).
        width: width of the upright original in pixels.
        height: height of the upright original in pixels.
        format: name of the format for people and filters, lower case.
        exif: EXIF to use instead of the image's own.
        sidecar: bytes of an XMP sidecar; its date and rating win over the file's, its keywords
            are added.

    Returns:
        Facts; whatever is absent or unreadable is None or empty. Seconds' fractions and time
        zones are dropped: ``taken`` is the time on the camera's clock.
    """
    if exif is None:
        exif = exif_of(image)
    main: Mapping[int, Any] = exif
    camera_ifd = _quietly(lambda: dict(exif.get_ifd(_EXIF_IFD)), {})
    gps = _quietly(lambda: dict(exif.get_ifd(_GPS_IFD)), {})
    beside = [xmp for xmp in (_parse_xmp(sidecar),) if xmp is not None]
    xmps = beside + [xmp for xmp in (_parse_xmp(_xmp_bytes(image)),) if xmp is not None]
    iptc = _iptc(image)

    dates: list[object] = [value for xmp in beside for value in _xmp_dates(xmp)]
    dates += [camera_ifd.get(_ORIGINAL), camera_ifd.get(_DIGITIZED)]
    dates.append(_quietly(lambda: main.get(_ORIGINAL), None))  # where DNG and TIFF/EP keep it
    dates += [value for xmp in xmps for value in _xmp_dates(xmp)]
    dates += [_iptc_date(iptc), _quietly(lambda: main.get(_DATETIME), None)]

    ratings: list[object] = [_xmp_value(xmp, _XMP + "Rating") for xmp in xmps]
    ratings.append(_quietly(lambda: main.get(_RATING), None))

    keywords = [word for xmp in xmps for word in _xmp_subjects(xmp)]
    keywords += _iptc_keywords(iptc)
    keywords += _quietly(lambda: _xp_words(main.get(_XP_KEYWORDS)), [])
    lat, lon = _quietly(lambda: _position(gps), (None, None))
    return Facts(
        width=width,
        height=height,
        format=format,
        taken=_first(_date(value) for value in dates),
        camera=_quietly(lambda: _device(main.get(_MAKE), main.get(_MODEL)), None),
        lens=_quietly(
            lambda: _device(camera_ifd.get(_LENS_MAKE), camera_ifd.get(_LENS_MODEL)), None
        ),
        lat=lat,
        lon=lon,
        keywords=_unique(keywords),
        rating=_first(_stars(value) for value in ratings),
    )


def exif_of(image: Image.Image) -> Image.Exif:
    """EXIF of an opened image; empty when absent, unreadable or larger than the bytes it is in."""
    block = image.info.get("exif")
    if isinstance(block, bytes) and not tags_fit(block.removeprefix(b"Exif\x00\x00")):
        return Image.Exif()
    exif: Image.Exif = _quietly(image.getexif, Image.Exif())
    return exif


def orientation_of(exif: Image.Exif) -> int:
    """EXIF orientation, 1 to 8; 1 when absent or nonsense."""
    value = _quietly(lambda: exif.get(_ORIENTATION), 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _quietly(work: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return work()
    except Exception:  # hostile metadata may break any reader in any way
        return otherwise


def _first(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)


def _text(value: object) -> str | None:
    """One clean line of text: no controls, no lone surrogates, at most 200 characters."""
    if isinstance(value, (tuple, list)) and value:
        value = value[0]
    if isinstance(value, str):
        text = value[:4096]
        with suppress(UnicodeError):  # Pillow reads EXIF as Latin-1, programs write UTF-8
            text = text.encode("latin-1").decode("utf-8")
    elif isinstance(value, (bytes, bytearray)):
        block = bytes(value)[:4096]
        try:
            text = block.decode("utf-8")
        except UnicodeError:
            text = block.decode("latin-1")
    else:
        return None
    text = text.split("\x00", 1)[0].encode("utf-8", "ignore").decode("utf-8")
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean[:_MAX_TEXT].strip() or None


def _device(make: object, model: object) -> str | None:
    """``Make Model`` with the maker said once: NIKON CORPORATION + NIKON D90 -> NIKON D90."""
    maker, name = _text(make), _text(model)
    if maker:
        maker = " ".join(_FIRM.sub(" ", maker).replace(",", " ").split()) or maker
    if not maker or not name:
        return name or maker
    first = maker.split()[0].lower()
    return name if name.lower().split()[0] == first else f"{maker} {name}"


def _date(value: object) -> str | None:
    text = _text(value)
    match = _DATE.match(text) if text else None
    if match is None:
        return None
    try:
        moment = datetime(*(int(part or 0) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None
    return moment.isoformat(timespec="seconds")


def _stars(value: object) -> int | None:
    """Rating 0 to 5; rejected (-1) counts as 0, anything else is no rating."""
    if isinstance(value, (tuple, list)) and value:
        value = value[0]
    try:
        stars = int(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0, stars) if -1 <= stars <= 5 else None


def _position(gps: Mapping[int, Any]) -> tuple[float | None, float | None]:
    lat = _degrees(gps.get(2), gps.get(1), "S", 90.0)
    lon = _degrees(gps.get(4), gps.get(3), "W", 180.0)
    # cameras without a fix write zeros, and half a position is none
    if lat is None or lon is None or (lat == 0.0 and lon == 0.0):
        return None, None
    return lat, lon


def _degrees(value: Any, side: object, negative: str, limit: float) -> float | None:
    parts = [float(part) for part in (value if isinstance(value, (tuple, list)) else (value,))]
    if not 1 <= len(parts) <= 3 or not all(math.isfinite(part) and part >= 0 for part in parts):
        return None
    degrees = sum(part / 60.0**i for i, part in enumerate(parts))
    if degrees > limit:
        return None
    name = (_text(side) or "").upper()
    return round(-degrees if name.startswith(negative) else degrees, 7)


def _unique(words: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))[:_MAX_KEYWORDS]


def _xp_words(value: object) -> list[str | None]:
    """Windows' keywords: UTF-16, separated by semicolons."""
    if isinstance(value, (tuple, list)):
        value = bytes(value)
    if not isinstance(value, (bytes, bytearray)):
        return []
    text = bytes(value[:65_536]).decode("utf-16-le", "ignore")
    # encoded again because _text takes text for mis-read Latin-1
    return [_text(word.encode("utf-8", "ignore")) for word in text.split("\x00")[0].split(";")]


def _iptc(image: Image.Image) -> Mapping[tuple[int, int], Any]:
    block: Mapping[tuple[int, int], Any] = _quietly(
        lambda: dict(IptcImagePlugin.getiptcinfo(cast("ImageFile.ImageFile", image)) or {}), {}
    )
    return block


def _iptc_keywords(iptc: Mapping[tuple[int, int], Any]) -> list[str | None]:
    value = iptc.get((2, 25), [])
    return [_text(word) for word in (value if isinstance(value, list) else [value])]


def _iptc_date(iptc: Mapping[tuple[int, int], Any]) -> str | None:
    day, time = _text(iptc.get((2, 55))) or "", _text(iptc.get((2, 60))) or ""
    if not re.fullmatch(r"\d{8}", day):
        return None
    clock = f" {time[:2]}:{time[2:4]}:{time[4:6]}" if re.match(r"\d{6}", time) else ""
    return f"{day[:4]}-{day[4:6]}-{day[6:]}{clock}"


def _xmp_bytes(image: Image.Image) -> bytes | None:
    for key in ("xmp", "XML:com.adobe.xmp"):
        value = image.info.get(key)
        if isinstance(value, str):
            value = value.encode("utf-8", "ignore")
        if isinstance(value, bytes) and value:
            return value
    return None


def _parse_xmp(packet: bytes | None) -> Element | None:
    """XMP packet to a tree; entities are refused."""
    from defusedxml.ElementTree import fromstring

    if not packet or len(packet) > MAX_XMP:
        return None
    root: Element | None = _quietly(lambda: fromstring(packet.rstrip(b"\x00 \r\n")), None)
    return root


def _xmp_value(xmp: Element, name: str) -> str | None:
    """A simple property, written as an attribute of rdf:Description or as an element."""
    for node in xmp.iter():
        if name in node.attrib:
            return node.attrib[name]
        if node.tag == name and node.text:
            return node.text
    return None


def _xmp_dates(xmp: Element) -> list[str | None]:
    return [_xmp_value(xmp, name) for name in _XMP_DATES]


def _xmp_subjects(xmp: Element) -> list[str | None]:
    items = (item for node in xmp.iter(_SUBJECT) for item in node.iter(_RDF + "li"))
    return [_text((item.text or "").encode("utf-8", "ignore")) for item in items]
