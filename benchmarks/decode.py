"""Pictures decoded per second of processor time: Pillow at full size against DCT-scaled ``decode``.

Run:  python benchmarks/decode.py [--repeats 7] [--out benchmarks/results]

The pictures are seeded synthetic scenes with the spectrum of photographs (random noise whose
amplitude falls with frequency), saved as JPEG at quality 90 with 4:2:0 colour. Every repeat runs
all ways once, in an order that turns from repeat to repeat, and ratios are taken within a repeat.
Time is the process's own (user and system), so that other programs on the machine count little;
every way works on one thread. Files are in the page cache.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from needlepoint.intake.decode import decode

SIZES = ((800, 600), (1920, 1440), (4000, 3000))
SEED = 20_261_121


def scene(width: int, height: int, seed: int) -> Image.Image:
    """A colour field with falling spectrum, the same for the same seed."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    fall = np.maximum(np.hypot(fx, fy), 1.0 / max(width, height)) ** -1.1
    shared = rng.standard_normal((height, width))
    planes = []
    for _ in range(3):
        noise = 0.9 * shared + 0.2 * rng.standard_normal((height, width))
        plane = np.fft.irfft2(np.fft.rfft2(noise) * fall, s=(height, width))
        planes.append(127.5 + 50.0 * plane / plane.std())
    return Image.fromarray(np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8))


def pillow_full(path: str) -> object:
    """What a plain loop does: open, decode every pixel, hand over an array."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def pillow_draft(path: str, at_least: int) -> object:
    """Scaled decoding and nothing else: no facts, no hash, no colour management, no bounds."""
    with Image.open(path) as image:
        long = max(image.size)
        shrink = next(s for s in (8, 4, 2, 1) if s == 1 or -(-long // s) >= at_least)
        image.draft("RGB", (image.width // shrink, image.height // shrink))
        return np.asarray(image.convert("RGB"))


def rate(way: Callable[[str], object], paths: list[str]) -> float:
    """Pictures per second of processor time over one pass."""
    start = time.process_time()
    for path in paths:
        way(path)
    return len(paths) / (time.process_time() - start)


def main() -> None:
    """Measure, print, and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="work per way and repeat")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    ways: dict[str, Callable[[str], object]] = {
        "pillow full": pillow_full,
        "decode full": lambda path: decode(path),
    }
    for at_least in (512, 1024):
        ways[f"pillow draft {at_least}"] = lambda path, n=at_least: pillow_draft(path, n)
        ways[f"decode {at_least}"] = lambda path, n=at_least: decode(path, at_least=n)

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for width, height in SIZES:
            paths = []
            for i in range(4):
                paths.append(os.path.join(folder, f"{width}-{i}.jpg"))
                scene(width, height, SEED + i).save(paths[-1], quality=90)
            once = len(paths) / rate(pillow_full, paths)
            passes = paths * max(1, round(options.seconds / once))
            rates: dict[str, list[float]] = {name: [] for name in ways}
            names = list(ways)
            for repeat in range(options.repeats):
                turn = repeat % len(names)
                for name in names[turn:] + names[:turn]:
                    rates[name].append(rate(ways[name], passes))
            for name in names:
                pairs = zip(rates[name], rates["pillow full"], strict=True)
                rows.append(
                    {
                        "width": width,
                        "height": height,
                        "kilobytes": round(sum(map(os.path.getsize, paths)) / len(paths) / 1000),
                        "way": name,
                        "pictures_per_s": round(statistics.median(rates[name]), 1),
                        "times_pillow_full": round(statistics.median(a / b for a, b in pairs), 2),
                        "repeats": options.repeats,
                        "pictures_a_repeat": len(passes),
                        "seed": SEED,
                    }
                )
                print(
                    f"{width}x{height}  {name:18} {rows[-1]['pictures_per_s']:8} pictures/s  "
                    f"x{rows[-1]['times_pillow_full']}"
                )
    options.out.mkdir(parents=True, exist_ok=True)
    machine = f"{os.cpu_count()}-core-{platform.machine().lower()}"
    target = options.out / f"decode-{machine}.csv"
    with open(target, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(target)


if __name__ == "__main__":
    main()
