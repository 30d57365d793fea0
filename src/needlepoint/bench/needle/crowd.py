"""Building a set of crowds: scenes, questions by words and by picture, and pairs for training."""

from __future__ import annotations

import json
import multiprocessing
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from needlepoint.bench.needle.asking import instance_boxes, thing_questions, whole_questions
from needlepoint.bench.needle.assets import Assets, find_assets
from needlepoint.bench.needle.captions import SMALL, write_captions
from needlepoint.bench.needle.crowd_recipes import CrowdRecipe, crowd_named
from needlepoint.bench.needle.crowd_scene import Chosen, Shape, Stock, make_scene, prepared
from needlepoint.bench.needle.materials import (
    Material,
    flat_materials,
    grounds_of,
    model_materials,
)
from needlepoint.bench.needle.truth import (
    TRUTH_VERSION,
    SceneObject,
    ScenePicture,
    SceneQuery,
    Truth,
)
from needlepoint.bench.needle.views import ViewCache
from needlepoint.bench.needle.words import CROWD_SPLITS, is_word
from needlepoint.errors import UsageError

_NEUTRAL = ((128, 128, 128), (236, 234, 230), (200, 205, 210), (90, 92, 96))
_working: list[tuple[Stock, Path, list[int]]] = []


def build_crowd(
    recipe: str,
    folder: str | Path,
    *,
    split: str = "dev",
    seed: int = 0,
    count: int | None = None,
    roots: Sequence[str | Path] = ("/",),
    assets: Assets | None = None,
    views: str | Path | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Truth:
    """Generate crowds, their questions and ``truth.json`` into a folder.

    Args:
        recipe: ``crowd-2d`` or ``crowd-3d`` (see ``CrowdRecipe``).
        folder: where ``pictures/``, ``queries/``, ``truth.json`` and, for training,
            ``captions.jsonl`` go; made if missing.
        split: ``train``, ``dev`` or ``test``; no instance of a thing and no background is in two of
            them, and some pairs of word and colour occur in ``dev`` and ``test`` only.
        seed: the same seed, materials and library versions give the same bytes.
        count: number of scenes instead of the recipe's.
        roots: folders that hold a ``usr/share`` with the materials.
        assets: stamps, models and photographs; ``None`` finds them below ``roots``.
        views: folder of the cache of renderings (``crowd-3d``); ``None`` puts it into ``folder``.
        workers: processes that make scenes; changes nothing but the time.
        progress: called with scenes done and in all.
        options: any other field of ``CrowdRecipe``.

    Returns:
        The truth, as saved.

    Raises:
        UsageError: unknown recipe, split or option, or materials that are missing or too few.
        ModelUnavailable: ``crowd-3d`` without pyvista.
    """
    if count is not None:
        options["count"] = count
    plan = crowd_named(recipe, **options)
    if split not in CROWD_SPLITS:
        raise UsageError(f"split={split!r} is not known (allowed: {', '.join(CROWD_SPLITS)})")
    if workers < 1:
        raise UsageError(f"workers={workers!r} must be at least 1")
    target = Path(folder)
    stock, first = _stock(plan, split, roots, assets, Path(views or target / "views"))
    for sub in ("pictures", "queries"):
        (target / sub).mkdir(parents=True, exist_ok=True)
    salt = zlib.crc32(f"{plan.name}/{split}".encode())
    pictures = []
    for picture in _scenes(stock, target, [seed, salt, 1], workers):
        pictures.append(picture)
        if progress is not None:
            progress(len(pictures), plan.count)
    rng = np.random.default_rng([seed, salt, 2])
    words = frozenset(stock.asked)
    things = thing_questions(pictures, words, plan.things, plan.min_visible, rng)
    wholes = whole_questions(pictures, words, plan.wholes, rng)
    queries = list(_queries(target, stock, first, pictures, [seed, salt, 3]))
    if plan.export or (plan.export is None and split == "train"):
        write_captions(target, pictures, [seed, salt, 4], plan.min_visible)
    used = {placed.object_id for picture in pictures for placed in picture.objects}
    listed = [_about(row) for row in stock.materials.values() if row.object_id in used]
    licences = {row.licence for row in listed} | {row.licence for row in stock.grounds}
    truth = Truth(
        recipe=plan.name,
        split=split,
        seed=seed,
        licence=" AND ".join(sorted(licences)),
        options=json.loads(json.dumps(asdict(plan))),
        objects=tuple(listed),
        pictures=tuple(pictures),
        queries=tuple(queries),
        version=TRUTH_VERSION,
        questions=(*things, *wholes),
    )
    truth.save(target)
    return truth


def _stock(
    plan: CrowdRecipe,
    split: str,
    roots: Sequence[str | Path],
    assets: Assets | None,
    views: Path,
) -> tuple[Stock, dict[str, Shape]]:
    """What scenes of a split are drawn from, and the shape of each thing that questions show."""
    flat = plan.name == "crowd-2d"
    need = ("stamps" if flat else "models", "backgrounds")
    found = find_assets(roots, need=need) if assets is None else assets
    shapes: dict[str, tuple[Shape, ...]] = {}
    first: dict[str, Shape] = {}
    if flat:
        every = flat_materials(found, roots, plan.materials)
        for row in every:
            assert row.path is not None
            first[row.object_id] = Shape(row.path, row.glyph)
            shapes[row.object_id] = (first[row.object_id],)
    else:
        every = model_materials(found.models)
        cache = ViewCache(views, size=plan.view_side)
        for row in every:
            assert row.model is not None
            if row.split == split:
                shots = cache.views(row.model, plan.renderings)
                rendered = [Shape(shot.path, view=shot.shot.view) for shot in shots]
                if rendered:
                    first[row.object_id], shapes[row.object_id] = rendered[0], tuple(rendered[1:])
    learnt = {row.word for row in every if row.split == "train" and is_word(row.word)}
    mine = {row.object_id: row for row in every if row.split == split and row.object_id in shapes}
    asked: dict[str, list[str]] = defaultdict(list)
    for object_id, row in mine.items():
        if row.word in learnt:
            asked[row.word].append(object_id)
    others = tuple(object_id for object_id, row in mine.items() if row.word not in learnt)
    grounds = tuple(grounds_of(found.backgrounds, split))
    if len(mine) < 2 or not grounds or not asked:
        raise UsageError(
            f"split={split!r} holds {len(mine)} things ({len(asked)} words) and {len(grounds)} "
            "backgrounds; a set needs at least 2 things, 1 word of the vocabulary and 1 background"
        )
    words = {word: tuple(ids) for word, ids in sorted(asked.items())}
    return Stock(plan, split, mine, shapes, words, others, grounds), first


def _scenes(stock: Stock, target: Path, seed: list[int], workers: int) -> Iterator[ScenePicture]:
    numbers = range(stock.plan.count)
    if workers == 1:
        yield from (make_scene(stock, target, number, seed) for number in numbers)
        return
    with ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(stock, target, seed),
    ) as pool:
        yield from pool.map(_work, numbers, chunksize=8)


def _start(stock: Stock, target: Path, seed: list[int]) -> None:
    _working[:] = [(stock, target, seed)]


def _work(number: int) -> ScenePicture:
    stock, target, seed = _working[0]
    return make_scene(stock, target, number, seed)


def _queries(
    target: Path,
    stock: Stock,
    first: dict[str, Shape],
    pictures: Sequence[ScenePicture],
    seed: Sequence[int],
) -> Iterator[SceneQuery]:
    """Questions by picture: a thing that is small wherever it counts, cut out and on plain grey."""
    plan = stock.plan
    rng = np.random.default_rng(seed)
    able = sorted(
        {
            (row.object_id, row.colour or "")
            for picture in pictures
            for row in picture.objects
            if row.area_fraction <= SMALL
        }
    )
    number = 0
    for place in rng.permutation(len(able)):
        if number == plan.instances:
            return
        object_id, colour = able[int(place)][0], able[int(place)][1] or None
        boxes, junk = instance_boxes(pictures, object_id, colour, plan.min_visible)
        large = {
            picture.file
            for picture in pictures
            for row in picture.objects
            if row.object_id == object_id and row.area_fraction > SMALL
        }
        positives = tuple(file for file in boxes if file not in large)
        if not positives:
            continue
        junk = tuple(sorted({*junk, *(file for file in boxes if file in large)}))
        yield _query(target, stock, first, number, (object_id, colour), positives, junk, seed)
        number += 1


def _query(
    target: Path,
    stock: Stock,
    first: dict[str, Shape],
    number: int,
    asked: tuple[str, str | None],
    positives: tuple[str, ...],
    junk: tuple[str, ...],
    seed: Sequence[int],
) -> SceneQuery:
    plan, side = stock.plan, stock.plan.query_side
    material, shape = stock.materials[asked[0]], first[asked[0]]
    rng = np.random.default_rng([*seed, number])
    space = plan.size[0] * plan.size[1]
    area = float(rng.uniform(0.15, 0.3)) * side * side / space
    thing: Image.Image = prepared(
        Chosen(material, shape, asked[1], area), plan, rng, plan.query_look
    )
    thing.thumbnail((int(side * 0.9), int(side * 0.9)))
    base = Image.new("RGB", (side, side), _NEUTRAL[int(rng.integers(len(_NEUTRAL)))])
    base.paste(thing, ((side - thing.width) // 2, (side - thing.height) // 2), thing)
    file, cut = f"queries/{number:04d}.jpg", f"queries/{number:04d}.png"
    base.save(target / file, quality=92)
    thing.save(target / cut, compress_level=6)
    return SceneQuery(
        file=file,
        object_id=material.object_id,
        name=material.name,
        positives=positives,
        cutout=cut,
        view=shape.view,
        colour=asked[1],
        junk=junk,
    )


def _about(row: Material) -> SceneObject:
    return SceneObject(
        object_id=row.object_id,
        name=row.name,
        caption=row.caption,
        family=row.word,
        split=row.split,
        licence=row.licence,
        word=row.word,
        kind=row.kind,
        names=dict(row.names),
    )
