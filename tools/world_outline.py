"""Write the world's outline that the page draws behind places: land and borders, made small.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python tools/world_outline.py package src/needlepoint/server/page/world.json

The package is Natural Earth's 1:50 000 000 data (public domain) as TopoJSON. Lines are thinned to
``TOLERANCE`` degrees (north-south, and east-west at their latitude) and written as differences in
hundredths of a degree, six bits a character as base64 has them: five of the number, lowest first,
and one that tells that more follow; the sign is the number's lowest bit.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

UNIT = 0.01
TOLERANCE = 0.025
SPECK = 0.003
"""Islands of a smaller area, in square degrees, are left out."""
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

Point = tuple[float, float]


@click.command(help=__doc__)
@click.argument("package", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
def main(package: Path, target: Path) -> None:
    """Read the package's land and countries, write one file."""
    land = json.loads((package / "land-50m.json").read_text("utf-8"))
    countries = json.loads((package / "countries-50m.json").read_text("utf-8"))
    coast = [piece for ring in _rings(land) for piece in unroll(ring) if _area(piece) >= SPECK]
    told = {
        "source": "Natural Earth 1:50 000 000 (public domain), thinned",
        "unit": UNIT,
        "land": [pack(thin(ring)) for ring in coast],
        "borders": [pack(thin(line)) for line in _shared(countries) if len(line) > 1],
    }
    target.write_text(json.dumps(told, separators=(",", ":")) + "\n", "utf-8")
    click.echo(f"{target.name}: {target.stat().st_size} bytes, {len(coast)} pieces of land")


def arcs_of(topology: dict[str, Any]) -> list[list[Point]]:
    """The arcs of a TopoJSON file, in degrees (longitude, latitude)."""
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((x * sx + tx, y * sy + ty))
        arcs.append(points)
    return arcs


def _polygons(topology: dict[str, Any], name: str) -> Iterator[list[list[int]]]:
    for shape in topology["objects"][name]["geometries"]:
        if shape["type"] == "Polygon":
            yield shape["arcs"]
        elif shape["type"] == "MultiPolygon":
            yield from shape["arcs"]


def _rings(topology: dict[str, Any]) -> Iterator[list[Point]]:
    arcs = arcs_of(topology)
    for polygon in _polygons(topology, "land"):
        for ring in polygon:
            points: list[Point] = []
            for number in ring:
                arc = arcs[number] if number >= 0 else arcs[~number][::-1]
                points += arc[1 if points else 0 :]
            yield points


def _shared(topology: dict[str, Any]) -> list[list[Point]]:
    """The arcs that two countries have in common."""
    uses = Counter(
        number if number >= 0 else ~number
        for polygon in _polygons(topology, "countries")
        for ring in polygon
        for number in ring
    )
    arcs = arcs_of(topology)
    return [arcs[number] for number in sorted(uses) if uses[number] > 1]


def _area(ring: list[Point]) -> float:
    pairs = zip(ring, ring[1:] + ring[:1], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def unroll(ring: list[Point]) -> list[list[Point]]:
    """The pieces of a ring that may cross the 180th meridian or go around a pole, cut there."""
    turned = [ring[0]]
    for lon, lat in ring[1:]:
        turned.append((lon - 360 * round((lon - turned[-1][0]) / 360), lat))
    if abs(turned[-1][0] - turned[0][0]) > 180:  # around the pole: along it back to the beginning
        pole = math.copysign(90.0, turned[0][1])
        turned += [(turned[-1][0], pole), (turned[0][0], pole), turned[0]]
    pieces = []
    for shift in (-360, 0, 360):
        piece = [(lon + shift, lat) for lon, lat in turned]
        for edge, side in ((-180.0, 1), (180.0, -1)):
            piece = _cut(piece, edge, side)
        if len(piece) > 3:
            pieces.append(piece)
    return pieces


def _cut(ring: list[Point], edge: float, side: int) -> list[Point]:
    """The part of a closed ring on one side of a meridian (Sutherland and Hodgman)."""
    kept: list[Point] = []
    for a, b in itertools.pairwise(ring):
        inside = [(lon - edge) * side >= 0 for lon in (a[0], b[0])]
        if inside[0]:
            kept.append(a)
        if inside[0] != inside[1]:
            part = (edge - a[0]) / (b[0] - a[0])
            kept.append((edge, a[1] + part * (b[1] - a[1])))
    return [*kept, kept[0]] if kept else []


def thin(line: list[Point], tolerance: float = TOLERANCE) -> list[Point]:
    """Fewer points of a line, none further than ``tolerance`` from it (Douglas and Peucker).

    A closed line keeps its first point and the one farthest from it.
    """
    keep = {0, len(line) - 1}
    waiting = [(0, len(line) - 1)]
    if line[0] == line[-1]:
        middle = max(range(len(line)), key=lambda i: math.dist(line[0], line[i]))
        keep.add(middle)
        waiting = [(0, middle), (middle, len(line) - 1)]
    while waiting:
        first, last = waiting.pop()
        inner = range(first + 1, last)
        far = max(inner, key=lambda i: _from_chord(line[i], line[first], line[last]), default=None)
        if far is None or _from_chord(line[far], line[first], line[last]) <= tolerance:
            continue
        keep.add(far)
        waiting += [(first, far), (far, last)]
    return [line[i] for i in sorted(keep)]


def _from_chord(point: Point, a: Point, b: Point) -> float:
    """How far a point is from a line between two others, in degrees of latitude."""
    narrow = math.cos(math.radians(point[1]))
    px, py = (point[0] - a[0]) * narrow, point[1] - a[1]
    bx, by = (b[0] - a[0]) * narrow, b[1] - a[1]
    length = bx * bx + by * by
    along = 0.0 if length == 0 else min(max((px * bx + py * by) / length, 0.0), 1.0)
    return math.hypot(px - along * bx, py - along * by)


def pack(line: Iterable[Point]) -> str:
    """A line as differences in whole units, in the characters of ``ALPHABET``."""
    out = []
    before = (0, 0)
    for lon, lat in line:
        at = (round(lon / UNIT), round(lat / UNIT))
        for now, then in zip(at, before, strict=True):
            number = now - then
            number = number * 2 if number >= 0 else -number * 2 - 1
            while number > 31:
                out.append(ALPHABET[32 + number % 32])
                number //= 32
            out.append(ALPHABET[number])
        before = at
    return "".join(out)


if __name__ == "__main__":
    main()
