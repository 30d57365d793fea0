"""How true the map of a collection is, beside its two widest components, and what it costs.

    python benchmarks/collection_map.py --library /tmp/samples.library --library /tmp/big/library

*Trustworthiness* (1 is best) falls with every picture that lies among the ten nearest on the
plane and not among those of the vectors, by how far off it truly is; *kept* is the share of the
ten nearest that are the same. Both are taken over a thousand pictures drawn by seed 0. Seconds
are of one core's processor, memory is the peak of the process, with reading the vectors. Writes
``results/collection-map-HARDWARE.csv``.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from common import write_rows
from needlepoint.library import Library
from needlepoint.search import projection

NEAREST = 10


def truth(vectors: np.ndarray, places: np.ndarray) -> tuple[float, float]:
    """Trustworthiness and share of neighbours kept."""
    count = len(vectors)
    drawn = np.random.default_rng(0).choice(count, min(count, 1000), replace=False)
    astray, kept = 0, 0.0
    for rows in np.array_split(drawn, max(1, len(drawn) // 100)):
        order = _nearest(vectors, rows)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(count)[None].repeat(len(rows), 0), axis=1)
        near = _nearest(places, rows)[:, :NEAREST]
        found = np.take_along_axis(ranks, near, axis=1)
        kept += float((found < NEAREST).mean(axis=1).sum())
        astray += int(np.maximum(found - NEAREST + 1, 0).sum())
    most = len(drawn) * NEAREST * (2 * count - 3 * NEAREST - 1) / 2
    return 1 - astray / most, kept / len(drawn)


def _nearest(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    square = ((points[rows] ** 2).sum(1)[:, None] + (points**2).sum(1)[None]) - 2 * (
        points[rows] @ points.T
    )
    square[np.arange(len(rows)), rows] = np.inf
    return np.argsort(square, axis=1, kind="stable")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, action="append", required=True)
    args = parser.parse_args()
    rows = []
    for path in args.library:
        with Library.open(path, read_only=True) as library, threadpool_limits(1):
            store = library._store
            vectors = store.wholes(library._roster.choice("image"))[1]
            began = time.process_time()
            places = projection.project(vectors)
            seconds = time.process_time() - began
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
            flat = projection._components(vectors, np.arange(len(vectors)))[:, :2]
        row: dict[str, object] = {
            "library": path.name,
            "pictures": len(vectors),
            "dim": vectors.shape[1],
            "seconds": round(seconds, 2),
            "peak MB": peak,
        }
        for name, laid in (("map", places), ("two components", flat)):
            trust, kept = truth(vectors, laid)
            row |= {f"{name}: trustworthiness": round(trust, 4), f"{name}: kept": round(kept, 4)}
        rows.append(row)
        print(row)
    print(write_rows("collection-map", rows))


if __name__ == "__main__":
    main()
