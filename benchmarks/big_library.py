"""A library of many pictures with places, whose files are there: what the server is loaded with.

    python benchmarks/big_library.py --folder /tmp/big --pictures 100000

The samples are indexed, and every picture of the library is a hard link to one of them, so that
small pictures and pieces can be asked for. Vectors are not those of the file: every region blends
a concept, which is a region of the samples (frequencies like those of words), with its picture's
scene and its own noise of the samples' covariance. Both spaces of the built-in encoder get the
same blends, so words and pictures find things as in a real library of this size.
``FOLDER/library`` is the library, ``FOLDER/pictures`` the files.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from needlepoint.library import Library
from needlepoint.parts import Floats
from needlepoint.picture import Facts
from needlepoint.store.base import Entry, FileRecord, VectorRow
from needlepoint.store.sqlite import SqliteStore

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "pictures"
REGIONS = 32
BATCH = 500
IN_FOLDER = 1000
CAMERAS = ("Camera A", "Camera B", "Camera C", "Camera D", "Camera E")


def unit(x: Floats) -> Floats:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


class Space:
    """One vector space: concepts ``[C, D]`` and noise, both from real regions."""

    def __init__(self, concepts: Floats) -> None:
        self.concepts = concepts
        values, turn = np.linalg.eigh(np.cov(concepts.T.astype(np.float64)))
        self._basis = (np.sqrt(np.maximum(values, 1e-9))[:, None] * turn.T).astype(np.float32)
        self._mean = concepts.mean(axis=0)

    def noise(self, rng: np.random.Generator, *shape: int) -> Floats:
        wide = rng.standard_normal((*shape, len(self._basis)), np.float32)
        return unit(wide @ self._basis + self._mean)

    def pictures(self, rng: np.random.Generator, chosen: np.ndarray, share: Floats) -> Floats:
        """Unit vectors ``[n, 1 + R, D]``, the whole first, for concepts int ``[n, R]``."""
        scene = self.noise(rng, len(chosen), 1)
        own = 0.5 * scene + 0.866 * self.noise(rng, *chosen.shape)
        x = unit(np.sqrt(share) * self.concepts[chosen] + np.sqrt(1 - share) * own)
        return unit(np.concatenate([x.mean(axis=1, keepdims=True) + 0.3 * scene, x], axis=1))


def facts_of(sample: Facts, number: int) -> Facts:
    """Facts spread over years, cameras and places, the rest as the sample's."""
    taken = f"{2005 + number % 20}-{1 + number % 12:02}-{1 + number % 28:02}T12:{number % 60:02}:00"
    place = {"lat": (number * 7) % 140 - 70.0, "lon": (number * 11) % 340 - 170.0}
    where = place if number % 3 == 0 else {"lat": None, "lon": None}
    return replace(sample, taken=taken, camera=CAMERAS[number % 5], rating=number % 6, **where)


def make(folder: Path, count: int, seed: int = 0) -> Path:
    """Make the library unless it is there; returns its folder."""
    library = folder / "library"
    ready = folder / f"made-{count}-{seed}"
    if ready.exists():
        return library
    with Library.open(library, create=True) as made:
        made.index([SAMPLES])
    rng = np.random.default_rng(seed)
    with SqliteStore.open(library) as store:
        known = sorted(store.facts(range(1, 1 + store.stats()["pictures"])).items())
        numbers = [space.id for space in store.spaces()]
        spaces = []
        for number in numbers:
            rows = store.fetch_vectors([picture for picture, _ in known], number)
            spaces.append(Space(np.concatenate([rows[p].regions for p, _ in known])))
        boxes = [rows[picture].boxes for picture, _ in known]  # the same in both spaces
        often = 1 / (np.arange(len(spaces[0].concepts)) + 50.0)
        often /= often.sum()
        shuffled = rng.permutation(len(often))
        root = store.add_root(folder.resolve() / "pictures")
        with store.writing():
            for start in range(0, count, BATCH):
                many = min(BATCH, count - start)
                chosen = shuffled[rng.choice(len(often), (many, REGIONS), p=often)]
                share = rng.beta(0.7, 3, (many, REGIONS, 1)).astype(np.float32)
                found = [space.pictures(rng, chosen, share) for space in spaces]
                entries = []
                for i in range(many):
                    number = start + i
                    file, facts = known[number % len(known)][1]
                    name = f"{number // IN_FOLDER:03}/IMG_{number:06}.jpg"
                    target = folder / "pictures" / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if not target.exists():
                        os.link(SAMPLES / file.path, target)
                    rows = tuple(
                        VectorRow(space, x[i, 0], x[i, 1:], boxes[number % len(known)])
                        for space, x in zip(numbers, found, strict=True)
                    )
                    told = target.stat()
                    record = FileRecord(
                        root, name, told.st_size, told.st_mtime_ns, number.to_bytes(16, "little")
                    )
                    entries.append(Entry(record, facts_of(facts, number), rows))
                store.upsert(entries)
        store.optimize()
    ready.touch()
    return library


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=100_000)
    args = parser.parse_args()
    began = time.perf_counter()
    print(make(args.folder, args.pictures), f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
