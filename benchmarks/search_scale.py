"""How search behaves in a large library: time, recall, memory and disk.

    python benchmarks/search_scale.py --pictures 100000 --regions 32 --csv benchmarks/results/…

Pictures are made up, vectors are not quite: a region is a blend of a concept (of some thousands,
with frequencies like those of words), of its picture's scene and of its own, with the spread of
the numbers taken from a spectrum. ``--like FILE.npy`` takes the spectrum from real region
vectors float32 ``[n, D]``; the default was read off windows of 300 generated scenes under the
built-in encoder. Questions are fresh instances of concepts; the quantiles of their best cosine
in a picture are printed, so that the mixture can be compared with a real library.

Questions "of the other modality" share a direction of their own, orthogonal to the pictures, and
lean only weakly towards their concept, as texts do in a space shared with pictures.

Everything is measured in fresh processes on one core; wall time and processor time are given.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from needlepoint.picture import Facts
from needlepoint.store.base import Entry, FileRecord, Probe, Space, VectorRow
from needlepoint.store.sqlite import SqliteStore

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
CONCEPTS = 4000
BATCH = 250
#: variance of the numbers along their principal directions, times D, read off real regions at
#: these positions (out of 512)
SPECTRUM_AT = (0, 1, 10, 50, 100, 200, 300, 400, 511)
SPECTRUM = (6.52, 5.76, 4.04, 2.09, 1.42, 0.857, 0.572, 0.392, 0.191)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


class World:
    """A source of region vectors and questions, the same for the same seed."""

    def __init__(self, dim: int, like: str | None, seed: int, other: bool) -> None:
        rng = np.random.default_rng(seed)
        if like:
            real = np.load(like).reshape(-1, dim).astype(np.float64)
            spread = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(real.T))[::-1], 1e-9))
        else:
            at = np.linspace(0, 511, dim)
            spread = np.sqrt(np.exp(np.interp(at, SPECTRUM_AT, np.log(SPECTRUM))))
        turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
        self._mean = np.zeros(dim, np.float32)
        self._aside = np.zeros(dim, np.float32)
        if other:  # the last two directions hold the means of pictures and of texts alone
            spread[-2:] = 0
            self._mean, self._aside = turn[-2].astype(np.float32), turn[-1].astype(np.float32)
        self._basis = (spread[:, None] * turn).astype(np.float32)
        self._dim = dim
        self._concepts = self._draw(rng, CONCEPTS)
        often = 1 / (np.arange(CONCEPTS) + 50.0)
        self._often = often / often.sum()
        self._other = other

    def _draw(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        return unit(rng.standard_normal((*shape, self._dim)).astype(np.float32) @ self._basis)

    def pictures(self, rng: np.random.Generator, count: int, regions: int) -> np.ndarray:
        """Unit vectors [count, 1 + regions, D], the whole picture first."""
        concept = self._concepts[rng.choice(CONCEPTS, (count, regions), p=self._often)]
        share = rng.beta(0.7, 3, (count, regions, 1)).astype(np.float32)
        scene = self._draw(rng, count, 1)
        own = 0.5 * scene + 0.866 * self._draw(rng, count, regions)
        x = unit(np.sqrt(share) * concept + np.sqrt(1 - share) * own)
        whole = unit(x.mean(axis=1, keepdims=True) + 0.3 * scene)
        return unit(np.concatenate([whole, x], axis=1) + 0.75 * self._mean)

    def questions(self, rng: np.random.Generator, count: int) -> np.ndarray:
        concept = self._concepts[rng.choice(CONCEPTS, count)]
        own = self._draw(rng, count)
        if self._other:
            return unit(0.85 * self._aside + 0.3 * concept + 0.35 * own)
        return unit(0.75 * concept + 0.66 * own)


def build(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    world = World(args.dim, args.like, args.seed, args.other)
    rng = np.random.default_rng(args.seed + 1)
    writing = 0.0
    shuffle = np.random.default_rng(args.seed + 3)
    orders = [shuffle.permutation(args.dim) for _ in range(args.copies)]
    boxes = rng.integers(0, 1500, (args.regions, 4)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    with SqliteStore.open(folder, create=True) as store:
        card = {"title": "made up"}
        space = Space("look", "made-up", "0" * 16, args.dim, args.codec, "dense", card)
        number = store.ensure_space(space).id
        root = store.add_root("/pictures")
        with store.writing():
            for start in range(0, args.pictures, BATCH):
                count = min(BATCH, args.pictures - start)
                turn = (start // BATCH) % args.copies
                if turn == 0:
                    fresh = world.pictures(rng, count, args.regions)
                x = fresh[:count] if turn == 0 else fresh[:count, :, orders[turn]]
                entries = [
                    Entry(
                        FileRecord(
                            root,
                            f"{(start + i) // 1000:04}/IMG_{start + i:07}.JPG",
                            2_500_000 + i,
                            1_700_000_000_000_000_000 + start + i,
                            (start + i).to_bytes(16, "little"),
                        ),
                        Facts(1920, 1440, "JPEG", f"20{start % 25:02}-06-01T12:00:00", "Camera X"),
                        (VectorRow(number, one[0], one[1:], boxes),),
                    )
                    for i, one in enumerate(x)
                ]
                began = time.perf_counter()
                store.upsert(entries)
                writing += time.perf_counter() - began
        began = time.perf_counter()
        store.optimize()
        caching = time.perf_counter() - began
        sizes = store.stats()["bytes"]
    disk = {f"{name}_mb": size / 1e6 for name, size in sizes.items()}
    return {"write_s": writing, "cache_s": caching, **disk, "disk_mb": sum(disk.values())}


def peak_mb() -> float:
    """Most memory this program has held; getrusage would count what its parent held as well."""
    status = Path("/proc/self/status")
    if status.exists():
        told = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if told:
            return int(told.group(1)) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ask(folder: Path, args: argparse.Namespace) -> dict[str, object]:
    """In a fresh process: open and first question, then many, with memory; no exact ones."""
    questions = np.load(folder / "questions.npy")
    before = peak_mb()
    began = time.perf_counter()
    with SqliteStore.open(folder) as store:
        number = store.spaces()[0].id
        store.search([Probe(number, questions[0])], 10)
        cold = time.perf_counter() - began
        wall, busy, ids, scanned = [], [], [], []
        for question in questions:
            began, worked = time.perf_counter(), time.process_time()
            hits = store.search([Probe(number, question)], 10)
            wall.append(time.perf_counter() - began)
            busy.append(time.process_time() - worked)
            ids.append(hits.ids.tolist())
            scanned.append(hits.scanned)
    return {
        "mode": hits.mode,
        "cold_ms": cold * 1e3,
        "p50_ms": float(np.median(wall)) * 1e3,
        "p95_ms": float(np.quantile(wall, 0.95)) * 1e3,
        "p50_cpu_ms": float(np.median(busy)) * 1e3,
        "p95_cpu_ms": float(np.quantile(busy, 0.95)) * 1e3,
        "max_rss_mb": peak_mb(),
        "rss_at_start_mb": before,
        "scanned": float(np.median(scanned)),
        "ids": ids,
    }


def judge(folder: Path, args: argparse.Namespace, found: list[list[int]]) -> dict[str, float]:
    """Recall of the answers given, against exact mode, and the shape of the scores."""
    questions = np.load(folder / "questions.npy")
    kept, shares = [], []
    with SqliteStore.open(folder) as store:
        number = store.spaces()[0].id
        began = time.perf_counter()
        for ids, question in list(zip(found, questions, strict=True))[: args.judged]:
            exact = store.search([Probe(number, question)], args.pictures, mode="exact")
            shares.append(len(set(ids) & set(exact.ids[:10].tolist())) / 10)
            at = (np.array([0.5, 0.1, 0.01, 0.001]) * len(exact.score)).astype(int)
            kept.append(exact.score[[0, 9, *at]])
        each = (time.perf_counter() - began) / args.judged
    names = ("top1", "top10", "q50", "q90", "q99", "q999")
    shape = dict(zip(names, np.mean(kept, axis=0).round(4).tolist(), strict=True))
    return {"recall_at_10": float(np.mean(shares)), "exact_s": each, **shape}


def child(part: str, folder: Path, args: argparse.Namespace) -> dict[str, object]:
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), *args.passed]
    if shutil.which("taskset"):
        command = ["taskset", "-c", str(args.core), *command]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | ONE_THREAD)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--regions", type=int, default=32)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--codec", default="b4", choices=("b4", "i8", "f16"))
    parser.add_argument("--other", action="store_true", help="questions of another modality")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--judged", type=int, default=20, help="questions also answered exactly")
    parser.add_argument(
        "--copies",
        type=int,
        default=1,
        help="make only every n-th batch; the others are it with its numbers in another order: "
        "as much to scan, sooner made, with no more of what is asked for",
    )
    parser.add_argument("--like", help="real region vectors, float32 [n, D], .npy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--folder", help="where the library is made; a temporary one if absent")
    parser.add_argument("--csv", help="file a row is appended to")
    parser.add_argument("--part", choices=("ask", "judge"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.passed = [
        *("--pictures", str(args.pictures), "--regions", str(args.regions)),
        *("--dim", str(args.dim), "--codec", args.codec, "--questions", str(args.questions)),
        *("--judged", str(args.judged), "--seed", str(args.seed)),
        *(["--like", args.like] if args.like else []),
        *(["--other"] if args.other else []),
    ]
    if args.part == "ask":
        print(json.dumps(ask(Path(args.folder), args)))
        return
    if args.part == "judge":
        print(json.dumps(judge(Path(args.folder), args, json.load(sys.stdin))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.folder or temporary)
        told: dict[str, object] = {
            "pictures": args.pictures,
            "regions": args.regions,
            "dim": args.dim,
            "codec": args.codec,
            "questions": "other modality" if args.other else "same modality",
            "seed": args.seed,
            "copies": args.copies,
            "machine": f"{os.cpu_count()}-core-{platform.machine()}",
            "load": round(os.getloadavg()[0], 2),
        }
        built = folder / "built.json"
        if not built.exists():
            built.write_text(json.dumps(build(folder, args)))
        told |= json.loads(built.read_text())
        world = World(args.dim, args.like, args.seed, args.other)
        questions = world.questions(np.random.default_rng(args.seed + 2), args.questions)
        np.save(folder / "questions.npy", questions)
        del world
        asked = child("ask", folder, args)
        found = asked.pop("ids")
        told |= asked
        command = [sys.executable, __file__, "--part", "judge", "--folder", str(folder)]
        judged = subprocess.run(
            [*command, *args.passed],
            check=True,
            input=json.dumps(found).encode(),
            stdout=subprocess.PIPE,
        )
        told |= json.loads(judged.stdout)
    for name, value in told.items():
        print(f"{name:>14}  {round(value, 3) if isinstance(value, float) else value}")
    if args.csv:
        path = Path(args.csv)
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(told), lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerow(
                {k: round(v, 4) if isinstance(v, float) else v for k, v in told.items()}
            )


if __name__ == "__main__":
    main()
