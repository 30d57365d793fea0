"""A minimal DNG: a JPEG preview and a small colour-filter mosaic, as a camera would lay them."""

from __future__ import annotations

import struct

import numpy as np

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 10: 8}
_CODES = {1: "B", 3: "H", 4: "I"}


def dng(
    width: int = 256, height: int = 192, *, preview: bytes | None = None, orientation: int = 1
) -> bytes:
    """A DNG whose sensor saw red on the left half and blue on the right.

    ``preview`` is put into the first directory as a JPEG strip.
    """
    mosaic = np.full((height, width), 2000, "<u2")
    mosaic[0::2, 0 : width // 2 : 2] = 40_000  # red sites, left
    mosaic[1::2, width // 2 + 1 :: 2] = 40_000  # blue sites, right
    sensor = mosaic.tobytes()
    identity = [(1, 1), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1), (0, 1), (0, 1), (1, 1)]
    colour = b"".join(struct.pack("<ii", *pair) for pair in identity)
    common = [
        (271, 2, b"Testmaker\x00"),
        (272, 2, b"Testmaker One\x00"),
        (274, 3, [orientation]),
        (50706, 1, [1, 4, 0, 0]),
        (50708, 2, b"Testmaker One\x00"),
        (50721, 10, colour),
        (50728, 5, struct.pack("<6I", 1, 1, 1, 1, 1, 1)),
        (36867, 2, b"2021:05:06 07:08:09\x00"),
    ]
    mosaic_tags = [
        (254, 4, [0]), (256, 4, [width]), (257, 4, [height]), (258, 3, [16]), (259, 3, [1]),
        (262, 3, [32803]), (273, 4, ["sensor"]), (277, 3, [1]), (278, 4, [height]),
        (279, 4, [len(sensor)]), (33421, 3, [2, 2]), (33422, 1, [0, 1, 1, 2]),
        (50717, 4, [65_535]),
    ]  # fmt: skip
    if preview is None:
        return _tiff([common + mosaic_tags], {"sensor": sensor})
    first = [
        *common,
        (254, 4, [1]), (256, 4, [width]), (257, 4, [height]), (258, 3, [8, 8, 8]), (259, 3, [7]),
        (262, 3, [6]), (273, 4, ["preview"]), (277, 3, [3]), (278, 4, [height]),
        (279, 4, [len(preview)]), (330, 4, ["directory"]),
    ]  # fmt: skip
    return _tiff([first, mosaic_tags], {"sensor": sensor, "preview": preview})


def _tiff(directories: list[list[tuple]], blocks: dict[str, bytes]) -> bytes:
    """Lay directories one after another, then long values, then the named blocks."""
    starts, at = [], 8
    for entries in directories:
        starts.append(at)
        at += 2 + 12 * len(entries) + 4
    values = bytearray()
    base = at

    def room(data: bytes) -> int:
        offset = base + len(values)
        values.extend(data + b"\x00" * (len(data) % 2))
        return offset

    places = {name: room(data) for name, data in blocks.items()}
    places["directory"] = starts[-1]
    out = bytearray(b"II*\x00" + struct.pack("<I", 8))
    for entries in directories:
        out += struct.pack("<H", len(entries))
        for tag, kind, value in sorted(entries, key=lambda e: e[0]):
            if isinstance(value, bytes):
                data = value
            else:
                numbers = [places[v] if isinstance(v, str) else v for v in value]
                data = struct.pack(f"<{len(numbers)}{_CODES[kind]}", *numbers)
            count = len(data) // _SIZES[kind]
            field = data.ljust(4, b"\x00") if len(data) <= 4 else struct.pack("<I", room(data))
            out += struct.pack("<HHI", tag, kind, count) + field
        out += struct.pack("<I", 0)
    return bytes(out + values)
