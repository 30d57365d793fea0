"""One crowd: what is in it, where it goes, and the finished picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from needlepoint.bench.needle.assets import Background
from needlepoint.bench.needle.blend import FloatArray, adapt, cast_shadow, expose, grain_of, soften
from needlepoint.bench.needle.captions import describe, thing_caption
from needlepoint.bench.needle.colours import PAINTS, recolour
from needlepoint.bench.needle.crowd_recipes import CrowdRecipe
from needlepoint.bench.needle.masks import box_of, encode_at
from needlepoint.bench.needle.materials import Material, cutout
from needlepoint.bench.needle.paste import Look, open_rgb, vary
from needlepoint.bench.needle.truth import Placed, ScenePicture, View
from needlepoint.bench.needle.words import held_out

Generator = np.random.Generator
_TRIES = 40
_ROOM = 0.94  # of the picture's width and height that one thing may take
_MOST_LARGE = 0.55  # of the picture that all large things together may take


@dataclass(frozen=True)
class Shape:
    """One cut-out of a thing: its file, an emoji's letter, a model's view."""

    path: Path
    glyph: str = ""
    view: View | None = None


@dataclass(frozen=True)
class Stock:
    """Everything scenes of one split are drawn from.

    ``shapes`` holds the cut-outs of each object id; ``asked`` the object ids of each word that may
    be asked for, ``others`` those of the remaining things.
    """

    plan: CrowdRecipe
    split: str
    materials: Mapping[str, Material]
    shapes: Mapping[str, tuple[Shape, ...]]
    asked: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...]
    grounds: tuple[Background, ...]


@dataclass(frozen=True)
class Chosen:
    """A thing chosen for a scene: how it looks and the share of the picture its mask shall take."""

    material: Material
    shape: Shape
    colour: str | None
    area: float


def make_scene(stock: Stock, folder: Path, number: int, seed: Sequence[int]) -> ScenePicture:
    """Draw, compose and save scene ``number``; it depends on nothing drawn for any other."""
    rng = np.random.default_rng([*seed, number])
    plan = stock.plan
    ground = stock.grounds[int(rng.integers(len(stock.grounds)))]
    base = _ground(ground.path, plan.size, rng)
    chosen = _choose(stock, rng)
    scene, objects = _compose(base, chosen, plan, rng)
    image, quality = expose(scene, plan.camera, rng)
    file = f"pictures/{number:04d}.jpg"
    image.save(folder / file, quality=quality)
    picture = ScenePicture(file, *plan.size, ground.name, tuple(objects))
    caption, *_ = describe(picture, rng)
    return ScenePicture(file, *plan.size, ground.name, tuple(objects), caption)


def _choose(stock: Stock, rng: Generator) -> list[Chosen]:
    """The things of a scene in the order in which they are put down."""
    plan = stock.plan
    low, high = plan.objects
    total = int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))
    count = min(total, int(rng.integers(plan.large[0], plan.large[1] + 1)))
    large: list[Chosen] = []
    room = _MOST_LARGE
    for _ in range(30):
        if len(large) == count:
            break
        thing = _pick(stock, large, rng, sharing=False)
        most = min(plan.large_area[1], room, _reach(thing.shape, plan))
        if most > plan.large_area[0] * 1.05:
            area = float(rng.uniform(plan.large_area[0] * 1.05, most))
            large.append(Chosen(thing.material, thing.shape, thing.colour, area))
            room -= area
    small: list[Chosen] = []
    least, most = np.log(plan.small_area)
    for _ in range(total - count):
        thing = _pick(stock, [*large, *small], rng, sharing=True)
        area = min(float(np.exp(rng.uniform(least, most))), _reach(thing.shape, plan))
        if area > plan.small_area[0] * 0.9:
            small.append(Chosen(thing.material, thing.shape, thing.colour, area))
    behind = [thing for thing in small if rng.random() < plan.behind]
    return [*behind, *large, *(thing for thing in small if thing not in behind)]


def _pick(stock: Stock, present: Sequence[Chosen], rng: Generator, *, sharing: bool) -> Chosen:
    plan = stock.plan
    words = list(stock.asked)
    if sharing and present and rng.random() < plan.same_class:
        other = present[int(rng.integers(len(present)))].material
        ids = stock.asked.get(other.word, (other.object_id,))
    elif words and not (sharing and stock.others and rng.random() < plan.clutter):
        ids = stock.asked[words[int(rng.integers(len(words)))]]
    else:
        ids = stock.others or tuple(stock.materials)
    material = stock.materials[ids[int(rng.integers(len(ids)))]]
    shapes = stock.shapes[material.object_id]
    shape = shapes[int(rng.integers(len(shapes)))]
    return Chosen(material, shape, _colour(stock, material.word, rng), 0.0)


def _colour(stock: Stock, word: str, rng: Generator) -> str | None:
    if rng.random() >= stock.plan.coloured:
        return None
    names = [name for name in PAINTS if name != word]
    kept = [name for name in names if not held_out(word, name)]
    away = [name for name in names if held_out(word, name)]
    if stock.split != "train" and away and (not kept or rng.random() < stock.plan.held_out):
        kept = away
    return kept[int(rng.integers(len(kept)))] if kept else None


@lru_cache(maxsize=4000)
def _extent(path: Path, glyph: str) -> tuple[int, int, float]:
    """Width, height and the solid share of a cut-out."""
    image = cutout(path, glyph)
    solid = float((np.asarray(image.getchannel("A")) > 127).mean())
    return image.width, image.height, max(solid, 0.02)


def _reach(shape: Shape, plan: CrowdRecipe) -> float:
    """The greatest share of the picture that a cut-out's mask can take."""
    width, height, solid = _extent(shape.path, shape.glyph)
    turn = np.radians(plan.look.rotation)
    wide = width * np.cos(turn) + height * np.sin(turn)
    high = height * np.cos(turn) + width * np.sin(turn)
    scale = min(plan.size[0] * _ROOM / wide, plan.size[1] * _ROOM / high, plan.enlarge)
    return float(solid * width * height * scale**2 / (plan.size[0] * plan.size[1]))


def prepared(thing: Chosen, plan: CrowdRecipe, rng: Generator, look: Look) -> Image.Image:
    """The cut-out of a thing at its size, turned, lit and painted."""
    width, height, solid = _extent(thing.shape.path, thing.shape.glyph)
    space = plan.size[0] * plan.size[1]
    scale = float(np.sqrt(thing.area * space / (solid * width * height)))
    halvings = max(0, int(np.log2(1 / (1.3 * scale))))  # still larger than what is needed
    image = cutout(thing.shape.path, thing.shape.glyph, halvings)
    if plan.blend.fringe and thing.material.kind in {"photo", "drawn"} and min(image.size) > 40:
        alpha = image.getchannel("A").filter(ImageFilter.MinFilter(2 * plan.blend.fringe + 1))
        image = image.copy()
        image.putalpha(alpha)
    image = vary(image, rng, look, thing.area * space / solid)
    return image if thing.colour is None else recolour(image, thing.colour, rng)


def _compose(
    base: FloatArray, chosen: Sequence[Chosen], plan: CrowdRecipe, rng: Generator
) -> tuple[FloatArray, list[Placed]]:
    height, width = base.shape[:2]
    canvas = base.copy()
    grain = grain_of(base)
    owner = np.full((height, width), -1, dtype=np.int16)
    totals: list[int] = []
    visible: list[int] = []
    kept: list[tuple[Chosen, tuple[int, int, int, int], str]] = []
    for thing in chosen:
        image = prepared(thing, plan, rng, plan.look)
        if plan.blend.soften:
            image = soften(image, grain)
        pixels = np.asarray(image, dtype=np.float32)
        alpha = pixels[..., 3] / 255
        solid = alpha > 0.5
        h, w = solid.shape
        least = 0.9 * plan.small_area[0] * width * height  # thin things fade when softened
        if w >= width or h >= height or solid.sum() < least:
            continue
        for _ in range(_TRIES):
            x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            window = owner[y : y + h, x : x + w]
            hidden = np.bincount(window[solid] + 1, minlength=len(kept) + 1)[1:]
            if all(
                1 - (left - lost) / total <= plan.occlusion
                for left, lost, total in zip(visible, hidden.tolist(), totals, strict=True)
                if lost
            ):
                break
        else:
            continue
        if plan.blend.shadow:
            darkness = plan.blend.shadow * float(rng.uniform(0.5, 1.0))
            cast_shadow(canvas, alpha, (x, y), darkness)
        place = canvas[y : y + h, x : x + w]
        colours = adapt(pixels[..., :3], alpha, place, plan.blend, grain, rng)
        place += (colours - place) * alpha[..., None]
        window[solid] = len(kept)
        visible = [left - lost for left, lost in zip(visible, hidden.tolist(), strict=True)]
        totals.append(int(solid.sum()))
        visible.append(totals[-1])
        bx, by, bw, bh = box_of(solid)
        kept.append((thing, (x + bx, y + by, bw, bh), encode_at(solid, (x, y), (width, height))))
    return canvas, [
        Placed(
            name=thing.material.name,
            object_id=thing.material.object_id,
            box=box,
            area_fraction=round(totals[row] / (width * height), 6),
            visible_fraction=round(visible[row] / totals[row], 4),
            view=thing.shape.view,
            caption=thing_caption(thing.material.word, thing.colour),
            word=thing.material.word,
            colour=thing.colour,
            mask=mask,
        )
        for row, (thing, box, mask) in enumerate(kept)
    ]


@lru_cache(maxsize=64)
def _photograph(path: Path, around: tuple[int, int]) -> Image.Image:
    return open_rgb(path, around)


def _ground(path: Path, size: tuple[int, int], rng: Generator) -> FloatArray:
    """A random piece (40 to 100 % of what fits) of a photograph, as [H, W, 3] in 0 to 255."""
    image = _photograph(path, (size[0] * 2, size[1] * 2))
    share = float(rng.uniform(0.4, 1.0))
    fit = min(image.width / size[0], image.height / size[1]) * share
    w, h = max(1, int(size[0] * fit)), max(1, int(size[1] * fit))
    x, y = int(rng.integers(0, image.width - w + 1)), int(rng.integers(0, image.height - h + 1))
    piece = image.resize(size, Image.Resampling.BICUBIC, box=(x, y, x + w, y + h))
    if rng.random() < 0.5:
        piece = ImageOps.mirror(piece)
    piece = ImageEnhance.Color(piece).enhance(float(rng.uniform(0.5, 1.2)))
    return np.asarray(piece, dtype=np.float32)
