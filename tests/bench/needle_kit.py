"""Tiny stand-ins for the packages that scenes are made of."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from needlepoint.bench.needle.assets import Assets, find_assets
from needlepoint.bench.needle.families import SPLITS, split_of

NOUNS = """acorn anvil apple axe badge bell brick broom bucket button candle carrot clock cloud coin
comb crown cube dart dice drum egg fan flag fork gate glove hat hook jar key kite knot ladder leaf
lemon lock loom mask moon mug nail nest oar onion pan pear pen pin plum pot ring rope sack saw shell
shoe spade spoon star sword tent tile torch vase wheel whistle yarn""".split()  # noqa: SIM905
CUBE = """mtllib shape.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 0 0 {depth}
v 1 0 {depth}
v 1 1 {depth}
v 0 1 {depth}
usemtl paint
f 1 4 3 2
f 5 6 7 8
f 1 2 6 5
f 2 3 7 6
usemtl other side
f 3 4 8 7
f 4 1 5 8
"""


def nouns(split: str, count: int) -> list[str]:
    """The first ``count`` nouns whose family belongs to a split."""
    return [noun for noun in NOUNS if split_of(noun) == split][:count]


def make_assets(root: Path, *, stamps: int = 0, models: int = 0, photographs: int = 3) -> Assets:
    """Stamps, models and photographs for each split, below ``root``, found like packages."""
    folder = root / "usr/share/tuxpaint/stamps/things"
    for split in SPLITS:
        for number, noun in enumerate(nouns(split, stamps)):
            make_stamp(folder / f"{noun}.png", f"A {noun}.", number)
    if models:
        chosen = [noun for split in SPLITS for noun in nouns(split, models)]
        make_catalogue(root / "usr/share/sweethome3d/furniture/BlendSwap-CC-0.sh3f", chosen)
    photos = root / "photographs"
    photos.mkdir(parents=True)
    for number in range(photographs * len(SPLITS)):
        rng = np.random.default_rng(number)
        small = rng.integers(0, 255, size=(6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((400, 300), Image.Resampling.BICUBIC).save(
            photos / f"photo{number}.png"
        )
    need = [kind for kind, wanted in (("stamps", stamps), ("models", models)) if wanted]
    return find_assets([root], need=[*need, "backgrounds"], photographs=[photos])


def make_stamp(path: Path, caption: str, number: int) -> None:
    """A coloured ellipse on nothing, with its caption beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[-1:1:50j, -1:1:70j]
    pixels = np.zeros((50, 70, 4), dtype=np.uint8)
    pixels[...] = (40 * number % 256, 200, 90 * number % 256, 0)
    pixels[rows**2 + columns**2 < 0.9, 3] = 255
    Image.fromarray(pixels).save(path)
    path.with_suffix(".txt").write_text(f"{caption}\nde.utf8=Ein Ding.\n", encoding="utf-8")


def make_catalogue(path: Path, names: list[str]) -> None:
    """A catalogue archive with a box of another depth for each name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["id=Test", "license=Public domain"]
    with zipfile.ZipFile(path, "w") as bundle:
        for number, name in enumerate(names, start=1):
            lines += [
                f"name#{number}={name.capitalize()}",
                f"model#{number}=/models/{name}/shape{number}.obj",
                f"category#{number}=Kitchen",
                f"height#{number}=10",
                f"doorOrWindow#{number}=false",
            ]
            home = f"models/{name}/"
            bundle.writestr(home + f"shape{number}.obj", CUBE.format(depth=1 + number % 3))
            bundle.writestr(
                home + "shape.mtl",
                f"newmtl paint\nKa 1 1 1\nKd 0.{number % 9 + 1} 0.2 0.6\nd 1\n"
                "newmtl other side\nKd 0.1 0.8 0.1\nmap_Kd C:\\nowhere\\lost.jpg\n",
            )
        bundle.writestr("PluginFurnitureCatalog.properties", "\n".join(lines))
