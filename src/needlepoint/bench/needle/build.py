"""Building a set of needle scenes with everything known about it."""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from needlepoint.bench.needle.assets import Assets, Background, Model, Stamp, find_assets
from needlepoint.bench.needle.paste import backdrop, compose, trim, vary
from needlepoint.bench.needle.recipes import Recipe, recipe_named
from needlepoint.bench.needle.truth import (
    Placed,
    SceneObject,
    ScenePicture,
    SceneQuery,
    Truth,
    View,
    positives_of,
)
from needlepoint.bench.needle.views import ViewCache
from needlepoint.errors import UsageError

_NEUTRAL = ((128, 128, 128), (236, 234, 230), (200, 205, 210), (90, 92, 96))
Generator = np.random.Generator


@dataclass(frozen=True)
class Source:
    """One object that can be pasted: its cut-outs for scenes and the ones for questions."""

    about: SceneObject
    gallery: tuple[tuple[Path, View | None], ...]
    asked: tuple[tuple[Path, View | None], ...]
    queryable: bool


def build(
    recipe: str,
    folder: str | Path,
    *,
    split: str = "dev",
    seed: int = 0,
    count: int | None = None,
    assets: Assets | None = None,
    views: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Truth:
    """Generate scenes, questions and ``truth.json`` into a folder.

    Args:
        recipe: ``2d`` or ``3d`` (see ``Recipe`` for what differs).
        folder: where ``pictures/``, ``queries/`` and ``truth.json`` go; made if missing.
        split: ``dev``, ``test`` or ``fit``; no object family and no background is in two of them.
        seed: the same seed, materials and library versions give the same bytes. Scene i does not
            depend on anything drawn for scene i - 1.
        count: number of scenes instead of the recipe's.
        assets: materials; ``None`` looks for installed packages.
        views: folder of the cache of renderings (``3d``); ``None`` puts it into ``folder``.
        progress: called with scenes done and in all.
        options: any other field of ``Recipe``.

    Returns:
        The truth, as saved.

    Raises:
        UsageError: unknown recipe, split or option, or materials that are missing or too few.
        ModelUnavailable: ``3d`` without pyvista.
    """
    if count is not None:
        options["count"] = count
    plan = recipe_named(recipe, **options)
    target = Path(folder)
    need = ("stamps", "backgrounds") if plan.name == "2d" else ("models", "backgrounds")
    found = (find_assets(need=need) if assets is None else assets).of(split)
    if plan.name == "2d":
        sources = [_stamp_source(stamp) for stamp in found.stamps]
    else:
        cache = ViewCache(views or target / "views")
        models = _few_of_a_kind(found.models, plan.family_cap)
        sources = _model_sources(models, cache, plan.views)
    if not found.backgrounds or len(sources) < 2:
        raise UsageError(
            f"split={split!r} holds {len(sources)} objects and {len(found.backgrounds)} "
            f"backgrounds; a set needs at least 2 and 1"
        )
    for sub in ("pictures", "queries"):
        (target / sub).mkdir(parents=True, exist_ok=True)
    salt = zlib.crc32(f"{plan.name}/{split}".encode())
    rng = np.random.default_rng([seed, salt])
    asked = _choose_asked(sources, plan, rng)
    decks = _deal(sources, asked, plan, rng)
    behind_scenes, behind_queries = _share_out(found.backgrounds)
    pictures = []
    for number, deck in enumerate(decks):
        scene_rng = np.random.default_rng([seed, salt, 1, number])
        chosen = [sources[index] for index in deck]
        pictures.append(_scene(target, number, chosen, behind_scenes, plan, scene_rng))
        if progress is not None:
            progress(number + 1, len(decks))
    queries = _queries(target, sources, asked, pictures, behind_queries, plan, [seed, salt, 2])
    used = {placed.object_id for picture in pictures for placed in picture.objects}
    listed = [source.about for source in sources if source.about.object_id in used]
    licences = {row.licence for row in listed} | {row.licence for row in found.backgrounds}
    truth = Truth(
        recipe=plan.name,
        split=split,
        seed=seed,
        licence=" AND ".join(sorted(licences)),
        options=json.loads(json.dumps(asdict(plan))),
        objects=tuple(listed),
        pictures=tuple(pictures),
        queries=tuple(queries),
    )
    truth.save(target)
    return truth


def _share_out(
    backgrounds: Sequence[Background],
) -> tuple[Sequence[Background], Sequence[Background]]:
    """Every fifth photograph goes behind questions only, so that none of them is in a scene."""
    if len(backgrounds) < 2:
        return backgrounds, backgrounds
    queries = backgrounds[::5]
    return [row for row in backgrounds if row not in queries], queries


def _stamp_source(stamp: Stamp) -> Source:
    cutouts: tuple[tuple[Path, View | None], ...] = ((stamp.path, None),)
    return Source(about(stamp), cutouts, cutouts, stamp.photo)


def _few_of_a_kind(models: Sequence[Model], cap: int) -> list[Model]:
    """At most ``cap`` models of a family, chosen by a hash, so that tables don't fill a set."""
    rank: dict[str, int] = {}
    count: dict[str, int] = defaultdict(int)
    for model in sorted(
        models, key=lambda row: (zlib.crc32(row.object_id.encode()), row.object_id)
    ):
        rank[model.object_id] = count[model.family]
        count[model.family] += 1
    return [model for model in models if rank[model.object_id] < cap]


def _model_sources(models: Sequence[Model], cache: ViewCache, count: int) -> list[Source]:
    sources = []
    for model in models:
        shots = tuple((row.path, row.shot.view) for row in cache.views(model, count))
        if shots:
            sources.append(Source(about(model), shots[1:], shots[:1], True))
    return sources


def about(thing: Stamp | Model) -> SceneObject:
    """What a truth file says of a stamp or a model."""
    return SceneObject(
        object_id=thing.object_id,
        name=thing.name,
        caption=thing.caption,
        family=thing.family,
        split=thing.split,
        licence=thing.licence,
    )


def _choose_asked(sources: Sequence[Source], plan: Recipe, rng: Generator) -> list[int]:
    """Which objects questions ask for: as many different ones as there are questions, if any."""
    able = [index for index, source in enumerate(sources) if source.queryable]
    return sorted(int(index) for index in rng.permutation(able)[: plan.queries])


def _deal(
    sources: Sequence[Source], asked: Sequence[int], plan: Recipe, rng: Generator
) -> list[list[int]]:
    """Deal objects to scenes: how often each appears is planned, where is drawn."""
    sizes = rng.integers(plan.objects[0], plan.objects[1] + 1, size=plan.count)
    total = int(sizes.sum())
    others = [index for index in range(len(sources)) if index not in set(asked)]
    cards: list[int] = []
    if plan.positives is not None and others:
        spread = plan.positives / 2
        for index in asked:
            times = float(rng.uniform(plan.positives - spread, plan.positives + spread))
            cards += [index] * max(1, round(times))
        cards = [cards[i] for i in rng.permutation(len(cards))[:total]]
        pool = others
    else:
        pool = list(range(len(sources)))
    fill: list[int] = []
    while len(cards) + len(fill) < total:
        fill += [pool[i] for i in rng.permutation(len(pool))]
    cards += fill[: total - len(cards)]
    cards = [cards[i] for i in rng.permutation(total)]
    scenes: list[list[int]] = [[] for _ in range(plan.count)]
    waiting: list[int] = []
    for number in rng.permutation(plan.count):
        scene = scenes[number]
        cards, waiting = waiting + cards, []
        while cards and len(scene) < sizes[number]:
            card = cards.pop()
            (waiting if card in scene else scene).append(card)
    _add_clutter(scenes, sources, others or pool, set(asked), plan, rng)
    return scenes


def _add_clutter(
    scenes: list[list[int]],
    sources: Sequence[Source],
    pool: Sequence[int],
    asked: set[int],
    plan: Recipe,
    rng: Generator,
) -> None:
    """Add objects nobody asks for, and swap some others for relatives of what is in the scene."""
    family: dict[str, list[int]] = defaultdict(list)
    for index, source in enumerate(sources):
        family[source.about.family].append(index)
    for scene in scenes:
        for _ in range(plan.clutter):
            scene.append(pool[int(rng.integers(len(pool)))])
        for place, card in enumerate(scene):
            if (card in asked and plan.positives is not None) or rng.random() >= plan.same_class:
                continue
            kin = sorted(
                {
                    other
                    for present in scene
                    if present != card
                    for other in family[sources[present].about.family]
                    if other not in scene
                }
            )
            if kin:
                scene[place] = kin[int(rng.integers(len(kin)))]
        scene[:] = list(dict.fromkeys(scene))


def _scene(
    target: Path,
    number: int,
    chosen: Sequence[Source],
    backgrounds: Sequence[Background],
    plan: Recipe,
    rng: Generator,
) -> ScenePicture:
    ground = backgrounds[int(rng.integers(len(backgrounds)))]
    base = backdrop(ground.path, plan.size, rng)
    space = plan.size[0] * plan.size[1]
    cutouts, shown = [], []
    for source in chosen:
        path, view = source.gallery[int(rng.integers(len(source.gallery)))]
        area = float(rng.uniform(*plan.area)) * space
        cutouts.append(vary(_load(path), rng, plan.look, area))
        shown.append(view)
    image, places = compose(base, cutouts, rng, occlusion=plan.occlusion)
    file = f"pictures/{number:04d}.jpg"
    quality = int(rng.integers(plan.quality[0], plan.quality[1] + 1))
    image.save(target / file, quality=quality)
    return ScenePicture(
        file=file,
        width=plan.size[0],
        height=plan.size[1],
        background=ground.name,
        objects=tuple(
            Placed(
                name=chosen[place.index].about.name,
                object_id=chosen[place.index].about.object_id,
                box=place.box,
                area_fraction=place.area_fraction,
                visible_fraction=place.visible_fraction,
                view=shown[place.index],
            )
            for place in places
        ),
    )


def _queries(
    target: Path,
    sources: Sequence[Source],
    asked: Sequence[int],
    pictures: Sequence[ScenePicture],
    backgrounds: Sequence[Background],
    plan: Recipe,
    seed: Sequence[int],
) -> list[SceneQuery]:
    """Questions about the objects in turn, until there are enough; each by another picture."""
    able = []
    for index in asked:
        positives = positives_of(pictures, sources[index].about.object_id, plan.min_visible)
        if positives:
            able.append((sources[index], positives))
    rows = []
    for number in range(plan.queries if able else 0):
        source, positives = able[number % len(able)]
        rng = np.random.default_rng([*seed, number])
        path, view = source.asked[(number // len(able)) % len(source.asked)]
        side = plan.query_side
        share = float(rng.uniform(0.25, 0.5))
        thing = vary(_load(path), rng, plan.query_look, share * side * side)
        thing.thumbnail((int(side * 0.9), int(side * 0.9)))
        if rng.random() < 0.5:
            base = Image.new("RGB", (side, side), _NEUTRAL[int(rng.integers(len(_NEUTRAL)))])
            ground = None
        else:
            place = backgrounds[int(rng.integers(len(backgrounds)))]
            base, ground = backdrop(place.path, (side, side), rng), place.name
        base.paste(thing, ((side - thing.width) // 2, (side - thing.height) // 2), thing)
        file, cutout = f"queries/{number:04d}.jpg", f"queries/{number:04d}.png"
        base.save(target / file, quality=92)
        thing.save(target / cutout, compress_level=6)
        rows.append(
            SceneQuery(
                file=file,
                object_id=source.about.object_id,
                name=source.about.name,
                positives=positives,
                cutout=cutout,
                background=ground,
                view=view,
            )
        )
    return rows


def _load(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return trim(image.convert("RGBA"))
