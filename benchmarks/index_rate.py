"""Pictures indexed per second against the bare pipeline: decoding and the dense pass alone.

    python benchmarks/index_rate.py [--pictures 64] [--repeats 4]

Pictures are 1920 x 1440 JPEGs (quality 90), each four of the sample pictures side by side, so that
their detail is that of pictures of this size. The bare pipeline decodes each to a long side of at
least 1024 and runs the dense pass at 1024, on as many threads as there are cores, and does nothing
with the maps. The library does all it does: decode, small pass, dense pass, windows,
representatives, words, transactions. Ways alternate within a repeat, and the ratio is taken within
a repeat; ``of_cpu`` is the same ratio in processor time (user and system, all threads), which other
programs on the machine move less. Stages are processor time on one thread.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from common import hardware, write_rows
from needlepoint import Library
from needlepoint.encoders.builtin.encoder import BuiltinEncoder
from needlepoint.encoders.builtin.sight import input_shape, resize
from needlepoint.intake.decode import decode
from needlepoint.regions import dense
from needlepoint.regions.describe import WINDOW_SIZES
from needlepoint.search.codes import encode

SAMPLES = Path(__file__).parent.parent / "samples" / "pictures"
SIDE = 1024
COUNT = 32
WARM = 4


def make_pictures(folder: Path, count: int, seed: int) -> list[str]:
    """Write ``count`` mosaics of four sample pictures each; returns their paths."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    sources = sorted(SAMPLES.glob("*.jpg"))
    tiles = []
    for source in sources:
        with Image.open(source) as image:
            if image.size == (960, 720):
                tiles.append(image.convert("RGB"))
    paths = []
    for i in range(count):
        page = Image.new("RGB", (1920, 1440))
        for place, pick in enumerate(draw.choice(len(tiles), 4, replace=False)):
            page.paste(tiles[pick], (place % 2 * 960, place // 2 * 720))
        paths.append(str(folder / f"{i:03d}.jpg"))
        page.save(paths[-1], quality=90)
    return paths


def bare(encoder: BuiltinEncoder, paths: list[str], threads: int) -> None:
    """Decode and dense pass, nothing else."""

    def one(path: str) -> None:
        encoder.cells(decode(path, at_least=SIDE).pixels, SIDE)

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(one, paths):
            pass


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def stages(paths: list[str]) -> dict[str, float]:
    """Processor milliseconds of each stage of a picture, on one thread: medians."""
    encoder = BuiltinEncoder(threads=1)
    spent: dict[str, list[float]] = {}

    @contextlib.contextmanager
    def lap(name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        spent.setdefault(name, []).append((time.process_time() - started) * 1e3)

    for path in [*paths[:2], *paths]:
        with lap("decode"):
            pixels = decode(path, at_least=SIDE).pixels
        with lap("resize"):
            small = resize(pixels, *input_shape(pixels.shape[1], pixels.shape[0], SIDE))
        with lap("dense pass"):
            cells = encoder.cells(small, SIDE)
        with lap("small pass, both spaces"):
            encoder.image_features([pixels])
        with lap("dense pass and whitening"):
            lead = encoder.dense_features(small, long_side=SIDE).lead
        assert lead is not None
        with lap("windows"):
            spans = dense.window_spans(*cells.shape[:2], WINDOW_SIZES)
            windows = dense.window_means(lead, spans)
            windows /= np.linalg.norm(windows, axis=1, keepdims=True)
        with lap("representatives"):
            chosen = dense.representatives(windows, COUNT)
        with lap("words"):
            words = encoder.project(dense.window_means(cells, spans[chosen.nearest]), "words")
        with lap("codes"):
            encode(chosen.vectors, "b4")
            encode(words, "b4")
    return {name: statistics.median(past[2:]) for name, past in spent.items()}


@click.command(help=__doc__)
@click.option("--pictures", default=64, show_default=True)
@click.option("--repeats", default=4, show_default=True)
@click.option("--threads", default=2, show_default=True, help="threads of both ways")
@click.option("--seed", default=20261121, show_default=True)
def main(pictures: int, repeats: int, threads: int, seed: int) -> None:
    """Measure, print, and write the CSV."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        paths = make_pictures(root / "pictures", pictures, seed)
        warm = make_pictures(root / "warm", WARM, seed + 1)
        size = statistics.mean(Path(path).stat().st_size for path in paths)
        encoder = BuiltinEncoder(threads=1)
        bare(encoder, warm, threads)
        taken: dict[str, list[tuple[float, float]]] = {"bare": [], "library": []}
        for repeat in range(repeats):
            with Library.open(root / f"library-{repeat}", create=True) as library:
                library.index([root / "warm"], workers=threads)  # loads the networks
                ways: list[tuple[str, Callable[[], Any]]] = [
                    ("bare", lambda: bare(encoder, paths, threads)),
                    (
                        "library",
                        lambda here=library: here.index([root / "pictures"], workers=threads),
                    ),
                ]
                for name, work in ways if repeat % 2 else ways[::-1]:
                    taken[name].append(timed(work))
        with threadpool_limits(1, user_api="blas"):
            parts = stages(paths[:16])

    pairs = list(zip(taken["bare"], taken["library"], strict=True))
    facts = {"pictures": pictures, "kilobytes": round(size / 1000), "threads": threads}
    facts |= {"repeats": repeats, "seed": seed}
    rows: list[dict[str, Any]] = []
    for name, runs in taken.items():
        row = {
            "what": name,
            "pictures_per_s": round(pictures / statistics.median(w for w, _ in runs), 2),
            "ms_cpu": round(statistics.median(c for _, c in runs) / pictures * 1e3, 1),
        }
        if name == "library":
            ratios = [b[0] / lib[0] for b, lib in pairs]
            row["of_bare"] = round(statistics.median(ratios), 3)
            row["of_bare_low"], row["of_bare_high"] = round(min(ratios), 3), round(max(ratios), 3)
            row["of_cpu"] = round(statistics.median(b[1] / lib[1] for b, lib in pairs), 3)
        rows.append(row | facts)
    rows += [
        {"what": f"stage: {name}", "ms_cpu": round(spent, 1), "pictures": 16, "threads": 1}
        for name, spent in parts.items()
    ]
    for row in rows:
        click.echo("  ".join(f"{key}={value}" for key, value in row.items()))
    click.echo(f"{write_rows('index-rate', rows)} ({hardware()})")


if __name__ == "__main__":
    main()
