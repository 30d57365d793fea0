"""Make materials/edits: the small pack of cut-outs and grounds that needle edits are drawn from.

Only works that may be passed on freely: Open Clip Art (public domain), Noto Color Emoji (OFL),
models of the collection "Blend Swap CC-0", panoramas of Poly Haven (CC0) and photographs of
lomiri-wallpapers-16.04 (CC0 or CC BY). Run it with the packages unpacked below ROOT:

    python tools/build_edit_materials.py --root ROOT --panoramas NODE/@pmndrs/assets

It needs the extra "scenes" (pyvista) and OpenEXR. Splits are those of the crowds, dealt over all
their materials, so that a model trained on crowds has seen no instance of dev and test here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from needlepoint.bench.needle.assets import find_assets
from needlepoint.bench.needle.materials import (
    KINDS,
    Material,
    cutout,
    flat_materials,
    model_materials,
)
from needlepoint.bench.needle.paste import trim
from needlepoint.bench.needle.truth import View
from needlepoint.bench.needle.views import Shot, render
from needlepoint.bench.needle.words import is_word
from needlepoint.errors import PictureError
from sample_photos import LOMIRI, load_panorama, view_of

SIDE = 144
GROUND = (560, 420)
VIEWS = {"": View(25.0, 15.0), "back": View(205.0, 15.0), "above": View(25.0, 68.0)}
POLY_HAVEN = "Poly Haven, in the npm package @pmndrs/assets 1.7.0"
# panorama: its split, and where a picture taken there is "in" or "on"
PLACES = {
    "apartment": ("train", "in an empty room"),
    "hall": ("train", "in a hall"),
    "lobby": ("train", "in a lobby"),
    "warehouse": ("train", "in a warehouse"),
    "city": ("train", "in a city street"),
    "park": ("train", "on a meadow"),
    "dawn": ("train", "among rocky hills"),
    "lab": ("dev", "in a laboratory"),
    "forest": ("dev", "in a forest"),
    "workshop": ("test", "in a workshop"),
    "sunrise": ("test", "in a field"),
    "sunset": ("test", "in a square"),
    "venice": ("test", "by the sea"),
}
PHOTOGRAPHS = {
    "aitzgorri": ("dev", "aitzgorri_by_Aitzol_Berasategi.jpg", "CC-BY-4.0", "Aitzol Berasategi"),
    "picos": ("dev", "picosdeeuropa_by_Aitzol_Berasategi.jpg", "CC-BY-4.0", "Aitzol Berasategi"),
    "seeding": ("dev", "seeding_by_Clements_Engelhardt.jpg", "CC0-1.0", "Clemens Engelhardt"),
    "stream": ("test", "life_by_Aitzol_Berasategi.jpg", "CC-BY-4.0", "Aitzol Berasategi"),
    "evening": ("test", "sunset_by_Aitzol_Berasategi.jpg", "CC-BY-4.0", "Aitzol Berasategi"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="holds usr/share")
    parser.add_argument("--panoramas", type=Path, required=True, help="the npm package's folder")
    parser.add_argument("--out", type=Path, default=Path("materials/edits"))
    given = parser.parse_args()
    for sub in ("things", "grounds"):
        (given.out / sub).mkdir(parents=True, exist_ok=True)
    things = [row for row in _materials(given.root) if is_word(row.word)]
    with tempfile.TemporaryDirectory() as work:
        rows = [_thing(row, number, given.out, Path(work)) for number, row in enumerate(things)]
    index = {
        "version": 1,
        "things": [row for row in rows if row],
        "grounds": list(_grounds(given.out, given.root, given.panoramas)),
    }
    text = json.dumps(index, indent=0, ensure_ascii=False)
    (given.out / "index.json").write_text(text + "\n", encoding="utf-8")


def _materials(root: Path) -> list[Material]:
    assets = find_assets([root])
    flat = flat_materials(assets, [root], KINDS)
    models = [row for row in model_materials(assets.models) if row.licence == "CC0-1.0"]
    return [*(row for row in flat if row.kind in ("clipart", "emoji")), *models]


def _thing(row: Material, number: int, out: Path, work: Path) -> dict[str, Any] | None:
    """One row of the index, its cut-outs written; ``None`` for a model that cannot be drawn."""
    if row.model is None:
        assert row.path is not None
        shown = {"": cutout(row.path, row.glyph)}
    else:
        light = View(60.0, 50.0)
        shots = [Shot(view, light, key=0.85, fill=0.4) for view in VIEWS.values()]
        try:
            pictures = render(row.model, shots, size=320, work=work)
        except PictureError:
            return None
        shown = {name: trim(image) for name, image in zip(VIEWS, pictures, strict=True)}
    files = {}
    for name, image in shown.items():
        small = image.convert("RGBa")
        small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        files[name] = f"things/{number:03d}{'-' + name if name else ''}.webp"
        small.convert("RGBA").save(out / files[name], quality=82, method=6, exact=False)
    source = {
        "clipart": "Open Clip Art Library, Debian openclipart-png 1:0.18",
        "emoji": "Noto Color Emoji, Debian fonts-noto-color-emoji",
        "model": "Blend Swap CC-0, Debian sweethome3d-furniture",
    }[row.kind]
    return {
        "id": row.object_id,
        "word": row.word,
        "caption": row.caption,
        "kind": row.kind,
        "split": row.split,
        "licence": row.licence,
        "source": source,
        "files": files,
    }


def _grounds(out: Path, root: Path, panoramas: Path) -> Iterator[dict[str, str]]:
    for name, (split, place) in PLACES.items():
        panorama = load_panorama(panoramas, name)
        for turn in range(3):
            image = view_of(panorama, GROUND, azimuth=120 * turn, pitch=-4, field=62, blur=0.5)
            about = (split, place, "CC0-1.0", POLY_HAVEN)
            yield _ground(out, f"{name}-{turn}", image, *about)
    for name, (split, file, licence, author) in PHOTOGRAPHS.items():
        with Image.open(root / LOMIRI / file) as opened:
            image = opened.convert("RGB")
        image.thumbnail((640, 640), Image.Resampling.LANCZOS)
        source = f"{author}, Debian lomiri-wallpapers-16.04; reduced"
        yield _ground(out, name, image, split, "", licence, source)


def _ground(
    out: Path, name: str, image: Image.Image, split: str, place: str, licence: str, source: str
) -> dict[str, str]:
    file = f"grounds/{name}.jpg"
    image.save(out / file, quality=80)
    about = {"name": name, "place": place, "split": split, "licence": licence}
    return {**about, "source": source, "file": file}


if __name__ == "__main__":
    main()
