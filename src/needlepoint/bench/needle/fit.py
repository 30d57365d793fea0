"""Material of the ``fit`` split: for whitening and calibration, never for a reported figure."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from needlepoint.bench.needle.assets import Assets, Background, Stamp
from needlepoint.bench.needle.build import about
from needlepoint.bench.needle.truth import Placed, SceneObject, ScenePicture, Truth
from needlepoint.bench.needle.views import ViewCache


def build_fit(
    folder: str | Path,
    *,
    assets: Assets,
    views: str | Path,
    per_model: int = 12,
    size: int = 256,
) -> Truth:
    """Write renderings of every model of the ``fit`` split, and lists of its stamps and photos.

    Args:
        folder: gets ``pictures/``, ``truth.json``, ``stamps.json`` and ``backgrounds.json``.
        assets: all materials; only those of the split are used.
        views: folder of the cache of renderings.
        per_model: renderings of each model.
        size: longest side of a rendering in pixels.

    Returns:
        A truth with one picture per rendering: RGBA, cut to the object, transparent around it.
    """
    target = Path(folder)
    (target / "pictures").mkdir(parents=True, exist_ok=True)
    found = assets.of("fit")
    cache = ViewCache(views)
    objects: list[SceneObject] = []
    pictures: list[ScenePicture] = []
    for model in found.models:
        for number, row in enumerate(cache.views(model, per_model)):
            with Image.open(row.path) as opened:
                image = opened.convert("RGBa")
            image.thumbnail((size, size), Image.Resampling.LANCZOS)
            file = f"pictures/{model.object_id.replace('/', '-')}-{number:02d}.png"
            image.convert("RGBA").save(target / file, compress_level=6)
            share = float((np.asarray(image.getchannel("a")) > 127).mean())
            placed = Placed(
                name=model.name,
                object_id=model.object_id,
                box=(0, 0, image.width, image.height),
                area_fraction=round(share, 6),
                visible_fraction=1.0,
                view=row.shot.view,
            )
            pictures.append(ScenePicture(file, image.width, image.height, "", (placed,)))
            if number == 0:
                objects.append(about(model))
    _list(target / "stamps.json", found.stamps)
    _list(target / "backgrounds.json", found.backgrounds)
    licences = {row.licence for row in objects}
    truth = Truth(
        recipe="views",
        split="fit",
        seed=cache.seed,
        licence=" AND ".join(sorted(licences)),
        options={"per_model": per_model, "size": size},
        objects=tuple(objects),
        pictures=tuple(pictures),
    )
    truth.save(target)
    return truth


def _list(path: Path, rows: tuple[Stamp, ...] | tuple[Background, ...]) -> None:
    listed = [{**asdict(row), "path": str(row.path)} for row in rows]
    path.write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
