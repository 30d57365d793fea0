"""One picture of needle edits: laying its things, painting it, and saying where all ended."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from needlepoint.bench.needle.blend import (
    Blend,
    Camera,
    FloatArray,
    Grain,
    adapt,
    expose,
    grain_of,
    soften,
)
from needlepoint.bench.needle.colours import recolour
from needlepoint.bench.needle.edit_captions import caption_of
from needlepoint.bench.needle.edit_graph import Thing
from needlepoint.bench.needle.edit_looks import painted_ground, seen_box, styled, viewed
from needlepoint.bench.needle.edit_pack import EditPack, Ground
from needlepoint.bench.needle.edit_plan import Shot
from needlepoint.bench.needle.edit_truth import EditPicture, Laid
from needlepoint.bench.needle.masks import box_of
from needlepoint.bench.needle.materials import cutout
from needlepoint.bench.needle.paste import Look, open_rgb, vary

Generator = np.random.Generator
SIZE = (480, 360)
_BLEND = Blend(light=0.2, cast=0.1, fringe=0)
_CAMERA = Camera(blur=0.0, noise=2.0, light=0.08, warmth=0.04, quality=(82, 92))
_LOOK = Look(rotation=0.0, flip=False, blur=0.0, light=0.06)
_SIZES = {"": 1.0, "bigger": 2.2, "smaller": 0.35}
_SEVERAL = 0.6  # of its area that each of several large things gets
_BIGGER_IN_CROWD = 4.0
_SMALL = 0.03
_VIEWS = {"closer": 1.8, "farther": 0.45}
_MOST = {"": (0.52, 0.56), "bigger": (0.72, 0.76), "smaller": (0.52, 0.56)}
_PAINTED = Grain(edge=0.68, noise=0.0)  # of grounds that nobody photographed
_HIDDEN = 0.12  # of a thing that others may hide, where there is room
_TRIES = 60
# Where the middle of a thing may be, as shares of width and height.
_SIDES = {
    "middle": (0.42, 0.58, 0.42, 0.58),
    "left": (0.0, 0.3, 0.2, 0.8),
    "right": (0.7, 1.0, 0.2, 0.8),
    "top": (0.15, 0.85, 0.0, 0.3),
    "bottom": (0.15, 0.85, 0.7, 1.0),
}


def make_picture(pack: EditPack, folder: Path, shot: Shot, seed: Sequence[int]) -> EditPicture:
    """Compose and save one picture; it depends on nothing made before."""
    rng = np.random.default_rng([*seed, shot.family, shot.number])
    content = shot.content
    canvas = _ground(pack.grounds[content.ground], content.view, rng)
    laid = _lay(pack, shot, canvas, rng)
    image = Image.fromarray(np.clip(np.rint(canvas), 0, 255).astype(np.uint8), "RGB")
    image = viewed(styled(image, content.style), content.view)
    image, quality = expose(np.asarray(image, dtype=np.float32), _CAMERA, rng)
    image.save(folder / shot.file, quality=quality)
    things = tuple(
        Laid(row.thing, seen_box(row.box, content.view, SIZE), row.area, row.visible)
        for row in laid
    )
    place = pack.grounds[content.ground].place
    text = caption_of(content, place, rng)
    return EditPicture(
        shot.file, shot.family, content.ground, content.style, content.view, things, text
    )


def _lay(pack: EditPack, shot: Shot, canvas: FloatArray, rng: Generator) -> list[Laid]:
    """Paste the things into ``canvas``; returned in the order of the content."""
    width, height = SIZE
    photograph = pack.grounds[shot.content.ground].path is not None
    grain = grain_of(canvas) if photograph else _PAINTED
    owner = np.full((height, width), -1, dtype=np.int16)
    copies: dict[str, int] = {}
    order = []
    for place, thing in enumerate(shot.content.things):
        copy = copies[thing.word] = copies.get(thing.word, -1) + 1
        order.append((thing.word not in shot.sides, -thing.area, place, copy))
    totals: list[int] = []
    rows: dict[int, tuple[Thing, tuple[int, int, int, int], int]] = {}
    for _, _, place, copy in sorted(order):
        thing = shot.content.things[place]
        several = copies[thing.word] > 0
        image = soften(_prepared(pack, thing, shot.content.view, several, rng), grain)
        pixels = np.asarray(image, dtype=np.float32)
        alpha = pixels[..., 3] / 255
        solid = alpha > 0.5
        where = np.random.default_rng([shot.layout, zlib.crc32(thing.word.encode()), copy])
        x, y = _spot(solid, owner, totals, where, shot.sides.get(thing.word, ""))
        h, w = solid.shape
        spot = canvas[y : y + h, x : x + w]
        spot += (adapt(pixels[..., :3], alpha, spot, _BLEND, grain, rng) - spot) * alpha[..., None]
        owner[y : y + h, x : x + w][solid] = len(totals)
        bx, by, bw, bh = box_of(solid)
        rows[place] = thing, (x + bx, y + by, bw, bh), len(totals)
        totals.append(int(solid.sum()))
    shown = np.bincount(owner[owner >= 0], minlength=len(totals))
    return [
        Laid(
            thing,
            box,
            round(totals[row] / (width * height), 5),
            round(float(shown[row]) / totals[row], 3),
        )
        for thing, box, row in (rows[place] for place in range(len(rows)))
    ]


def _prepared(
    pack: EditPack, thing: Thing, view: str, several: bool, rng: Generator
) -> Image.Image:
    """The cut-out of a thing at its size, a little turned and lit, and painted."""
    cut = pack.things[thing.object_id].cuts[thing.turned]
    image = cutout(cut.path, cut.glyph)
    solid = _solid(cut.path, cut.glyph)
    times = _SIZES[thing.size] * _VIEWS.get(view, 1.0)
    if thing.size == "bigger" and thing.area < _SMALL:
        times *= _BIGGER_IN_CROWD / _SIZES["bigger"]
    if several and thing.area > _SMALL:
        times *= _SEVERAL
    pixels = thing.area * times * float(rng.uniform(0.93, 1.07)) * SIZE[0] * SIZE[1] / solid
    most = _MOST["bigger" if view == "closer" else thing.size]
    scale = np.sqrt(pixels / (image.width * image.height))
    scale = min(scale, most[0] * SIZE[0] / image.width, most[1] * SIZE[1] / image.height)
    image = vary(image, rng, _LOOK, float(scale**2 * image.width * image.height))
    return image if thing.colour is None else recolour(image, thing.colour, rng)


@lru_cache(maxsize=2000)
def _solid(path: Path, glyph: str) -> float:
    """The share of a cut-out's box that is solid."""
    return max(0.05, float((np.asarray(cutout(path, glyph).getchannel("A")) > 127).mean()))


def _spot(
    solid: npt.NDArray[np.bool_],
    owner: npt.NDArray[np.int16],
    totals: Sequence[int],
    where: Generator,
    side: str,
) -> tuple[int, int]:
    """Left and top of the first place where little is hidden, else of the best that was tried."""
    height, width = owner.shape
    h, w = solid.shape
    left, right, top, bottom = _SIDES.get(side, (0.0, 1.0, 0.0, 1.0))
    best, harm = (0, 0), 2.0
    for _ in range(_TRIES):
        x = _along(left, right, w, width, float(where.random()))
        y = _along(top, bottom, h, height, float(where.random()))
        covered = np.bincount(owner[y : y + h, x : x + w][solid] + 1, minlength=len(totals) + 1)[1:]
        hidden = max((lost / total for lost, total in zip(covered, totals, strict=True)), default=0)
        if hidden < harm:
            best, harm = (x, y), hidden
        if harm <= _HIDDEN:
            break
    return best


def _along(low: float, high: float, length: int, room: int, share: float) -> int:
    """The start of a piece whose middle lies between two shares of the room, all of it inside."""
    first = min(max(0, round(low * room - length / 2)), room - length)
    last = max(first, min(room - length, round(high * room - length / 2)))
    return first + int(share * (last - first + 1) * 0.999)


@lru_cache(maxsize=64)
def _photograph(path: Path) -> Image.Image:
    return open_rgb(path, (SIZE[0] * 2, SIZE[1] * 2))


def _ground(ground: Ground, view: str, rng: Generator) -> FloatArray:
    """A piece of the ground, as [H, W, 3] in 0 to 255; a narrower one from closer up."""
    if ground.path is None:
        return np.asarray(painted_ground(ground.name, SIZE, rng), dtype=np.float32).copy()
    image = _photograph(ground.path)
    share = float(rng.uniform(0.78, 1.0)) * (0.65 if view == "closer" else 1.0)
    fit = min(image.width / SIZE[0], image.height / SIZE[1]) * share
    w, h = int(SIZE[0] * fit), int(SIZE[1] * fit)
    x, y = int(rng.integers(0, image.width - w + 1)), int(rng.integers(0, image.height - h + 1))
    piece = image.resize(SIZE, Image.Resampling.BICUBIC, box=(x, y, x + w, y + h))
    return np.asarray(piece, dtype=np.float32).copy()
