"""The world's outline: what the tool packs comes out again, and the file is the world."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from world_outline import ALPHABET, UNIT, pack, thin  # noqa: E402

WORLD = ROOT / "src" / "needlepoint" / "server" / "page" / "world.json"


def unpack(text: str) -> list[tuple[float, float]]:
    """The points of a packed line, as the page reads them."""
    numbers, number, shift = [], 0, 0
    for character in text:
        bits = ALPHABET.index(character)
        number |= (bits & 31) << shift
        shift += 5
        if bits < 32:
            numbers.append(-(number + 1) // 2 if number & 1 else number // 2)
            number, shift = 0, 0
    points, lon, lat = [], 0, 0
    for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
        lon, lat = lon + dx, lat + dy
        points.append((lon * UNIT, lat * UNIT))
    return points


def on_land(lon: float, lat: float, rings: list[list[tuple[float, float]]]) -> bool:
    """Whether an odd number of shores lie to the east."""
    inside = False
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
            if (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) / (y2 - y1) * (x2 - x1):
                inside = not inside
    return inside


def test_a_packed_line_comes_out_again():
    line = [(-179.99, 0.0), (180.0, -89.99), (0.01, 12.34), (0.01, 12.34)]
    assert unpack(pack(line)) == [pytest.approx(point) for point in line]


def test_thinning_keeps_corners_and_drops_what_lies_between():
    corner = [(0.0, 0.0), (1.0, 0.001), (2.0, 0.0), (2.0, 2.0)]
    assert thin(corner) == [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0)]
    square = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)]
    assert thin(square) == square


@pytest.mark.parametrize(
    ("name", "lon", "lat", "land"),
    [
        ("Paris", 2.35, 48.85, True),
        ("Alice Springs", 133.88, -23.7, True),
        ("Palma", 2.9, 39.65, True),
        ("Reykjavik's country", -18.5, 64.8, True),
        ("the Atlantic", -40.0, 30.0, False),
        ("the Caspian", 50.5, 41.5, False),
    ],
)
def test_the_outline_is_the_world(name: str, lon: float, lat: float, land: bool):
    world = json.loads(WORLD.read_text("utf-8"))
    assert world["unit"] == UNIT
    assert on_land(lon, lat, [unpack(line) for line in world["land"]]) is land, name


def test_the_outline_is_small():
    assert WORLD.stat().st_size <= 120_000
