"""Small libraries for tests."""

from __future__ import annotations

import numpy as np

from needlepoint.picture import Facts
from needlepoint.search.fusion import Fusion
from needlepoint.store.base import Entry, FileRecord, Probe, Space, VectorRow
from needlepoint.store.sqlite import SqliteStore


def space(codec: str = "b4", dim: int = 32, name: str = "look", recipe: str = "dense:3") -> Space:
    return Space(name, "test", "f" * 16, dim, codec, recipe, {"title": "test"})


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def vectors(rng: np.random.Generator, number: int, dim: int, regions: int) -> VectorRow:
    boxes = rng.integers(0, 500, (regions, 4)).astype(np.float32) + 1
    return VectorRow(number, unit(rng, dim), unit(rng, regions, dim).reshape(regions, dim), boxes)


def entry(
    root: int,
    path: str,
    rows: tuple[VectorRow, ...] = (),
    *,
    digest: bytes | None = None,
    facts: Facts | None = None,
) -> Entry:
    if digest is None:
        digest = path.encode("utf-8", "surrogateescape")
    file = FileRecord(root, path, 1000, 1_700_000_000_000_000_000, digest)
    return Entry(file, facts or Facts(640, 480, "JPEG"), rows)


def filled(
    store: SqliteStore, count: int, *, codec: str = "b4", dim: int = 32, regions: int = 3
) -> tuple[Space, list[int]]:
    rng = np.random.default_rng(count)
    made = store.ensure_space(space(codec, dim))
    root = store.add_root("/pictures")
    every = [
        entry(root, f"{i:05}.jpg", (vectors(rng, made.id, dim, regions),)) for i in range(count)
    ]
    return made, store.upsert(every)


def probe(number: int, vector: np.ndarray, **more: float | Fusion) -> Probe:
    return Probe(number, vector.astype(np.float32), **more)
