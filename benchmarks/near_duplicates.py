"""Where the limits of folding lie: copies, cuts and bursts of the samples against other pictures.

    python benchmarks/near_duplicates.py --folder /tmp/near [--scenes PICTURES]

Of every sample are made: copies (quality 40, half and quarter size, lighter), cuts (3 and 5 % off
every side, one corner), and bursts (the camera moved by up to 4 %, light by 7 %, and a piece of
the picture displaced). Pairs are an original with one of these, and every two pictures of which
neither is made of what the other is. ``--scenes`` adds a folder of pictures that are all
different. Whole vectors of the built-in encoder are compared, as folding does. For every limit
the share of each kind of pair that lies above it is written, and with ``one shape`` that of pairs
that have one aspect ratio besides, to ``results/near-duplicates-HARDWARE.csv``.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from common import write_rows
from needlepoint.library import Library
from needlepoint.library.folding import NEAR, SAME

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "pictures"
LIMITS = (0.80, 0.82, 0.84, 0.86, 0.88, 0.90, 0.92, 0.95, 0.97, 0.98, 0.985, 0.99)
KINDS = {
    "copies": ("q40", "half", "quarter", "bright"),
    "cuts": ("crop3", "crop5", "shake"),
    "bursts": ("burst0", "burst1"),
}


def variants(image: Image.Image, draw: random.Random) -> Iterator[tuple[str, Image.Image, int]]:
    """Name, picture and JPEG quality of each."""
    wide, high = image.size
    yield "orig", image, 95
    yield "q40", image, 40
    yield "half", image.resize((wide // 2, high // 2), Image.Resampling.LANCZOS), 85
    yield "quarter", image.resize((wide // 4, high // 4), Image.Resampling.LANCZOS), 80
    for percent in (3, 5):
        c = percent / 100
        box = (int(wide * c), int(high * c), int(wide * (1 - c)), int(high * (1 - c)))
        yield f"crop{percent}", image.crop(box), 90
    yield "bright", ImageEnhance.Brightness(image).enhance(1.15), 90
    for turn in range(2):
        corners: list[float] = []
        for x, y in ((0.06, 0.06), (0.06, 0.94), (0.94, 0.94), (0.94, 0.06)):
            corners += [wide * (x + draw.uniform(-0.04, 0.04))]
            corners += [high * (y + draw.uniform(-0.04, 0.04))]
        moved = image.transform(image.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
        w, h = int(wide * 0.18), int(high * 0.18)
        x, y = draw.randrange(wide - w), draw.randrange(high - h)
        there = draw.randrange(wide - w), draw.randrange(high - h)
        moved.paste(moved.crop((x, y, x + w, y + h)), there)
        yield f"burst{turn}", ImageEnhance.Brightness(moved).enhance(draw.uniform(0.93, 1.07)), 90
    x, y = int(wide * draw.uniform(0.02, 0.04)), int(high * draw.uniform(0.02, 0.04))
    yield "shake", image.crop((x, y, wide, high)), 90


def make(folder: Path) -> None:
    """Write the variants, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)
    for path in sorted(SAMPLES.iterdir()):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        for name, made, quality in variants(image, draw):
            target = folder / f"{path.stem}__{name}.jpg"
            if not target.exists():
                made.save(target, quality=quality)


def read(pictures: Path, library: Path) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Vectors, names without suffix, and aspect ratios of a folder's pictures."""
    with Library.open(library, create=True) as opened:
        opened.index(pictures)
        store = opened._store
        ids, vectors = store.wholes(store.spaces()[0])
        facts = store.facts(ids.tolist())
    known = [facts[number] for number in ids.tolist()]
    ratios = np.array([fact.width / fact.height for _, fact in known])
    return vectors, [Path(file.path).stem for file, _ in known], ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scenes", type=Path)
    args = parser.parse_args()
    make(args.folder / "variants")
    vectors, names, ratios = read(args.folder / "variants", args.folder / "library")
    first, second = np.triu_indices(len(names), 1)
    cosines = (vectors @ vectors.T)[first, second]
    shape = np.abs(ratios[first] / ratios[second] - 1) <= 0.01
    base = np.array([name.partition("__")[0] for name in names])
    how = np.array([name.partition("__")[2] for name in names])
    one = base[first] == base[second]
    pairs = {"different": ~one}
    for kind, ways in KINDS.items():
        made = np.isin(how[first], ways) & (how[second] == "orig")
        pairs[kind] = one & (made | (np.isin(how[second], ways) & (how[first] == "orig")))
    told = {kind: (cosines[mask], shape[mask]) for kind, mask in pairs.items()}
    if args.scenes is not None:
        others, _, ratios = read(args.scenes, args.folder / "scenes-library")
        first, second = np.triu_indices(len(others), 1)
        shape = np.abs(ratios[first] / ratios[second] - 1) <= 0.01
        told["scenes"] = ((others @ others.T)[first, second], shape)
    rows = []
    for limit in sorted({*LIMITS, NEAR, SAME}):
        row: dict[str, object] = {"limit": limit}
        for kind, (values, shapes) in told.items():
            row[f"{kind} pairs"] = len(values)
            row[kind] = round(float((values >= limit).mean()), 4)
            row[f"{kind}, one shape"] = round(float(((values >= limit) & shapes).mean()), 4)
        rows.append(row)
        print(row)
    print(write_rows("near-duplicates", rows))


if __name__ == "__main__":
    main()
