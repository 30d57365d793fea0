"""Invented dates, places, cameras and keywords for the rendered samples.

They exist so that filters have something to filter; the licence file says that they are invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image

from needlepoint.bench.needle.truth import Placed

CAMERAS = (
    ("Needlepoint", "Invented 35", "Invented 35mm F2"),
    ("Needlepoint", "Pocket Two", "Pocket 24mm F2.8"),
    ("Needlepoint", "Invented 50", "Invented 50mm F1.8"),
)
PLACES = ((48.2082, 16.3738), (52.5200, 13.4050), (45.4375, 12.3358), (-33.8688, 151.2093))
FIRST = datetime(2018, 3, 4, 9, 30)


def invented_exif(number: int, placed: Sequence[Placed]) -> dict[str, Any]:
    """Arguments for saving picture ``number`` as JPEG; every fourth one carries nothing."""
    if number % 4 == 3:
        return {}
    make, model, lens = CAMERAS[number % 3]
    taken = FIRST + timedelta(days=41 * number, minutes=37 * number)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = make, model
    exif[0x013B] = "rendered; date, place and camera are invented"
    details = exif.get_ifd(0x8769)
    details[0x9003] = taken.strftime("%Y:%m:%d %H:%M:%S")
    details[0xA434] = lens
    if number % 2 == 0:
        latitude, longitude = PLACES[(number // 2) % len(PLACES)]
        place = exif.get_ifd(0x8825)
        place[1], place[2] = ("N" if latitude >= 0 else "S"), _sexagesimal(latitude)
        place[3], place[4] = ("E" if longitude >= 0 else "W"), _sexagesimal(longitude)
    words = sorted({item.name for item in placed if item.area_fraction > 0.01})[:6]
    return {"exif": exif, "xmp": _xmp(words, 1 + number % 5)}


def _sexagesimal(value: float) -> tuple[float, float, float]:
    degrees = abs(value)
    minutes = degrees % 1 * 60
    return float(int(degrees)), float(int(minutes)), round(minutes % 1 * 60, 2)


def _xmp(words: Sequence[str], rating: int) -> bytes:
    items = "".join(f"<rdf:li>{escape(word)}</rdf:li>" for word in words)
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="{rating}">'
        f"<dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()
