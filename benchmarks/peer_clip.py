"""Indexing rate and query latency beside rclip and a plain open_clip loop, same architecture.

Everybody runs CLIP ViT-B/32 at 256 pixels (``ViT-B-32-256``, the one rclip is built for) with the
same random weights on two threads: values do not change speed. rclip is its own released code in
an environment of its own, with its two ONNX files replaced by these weights; where that
environment is not given, its rows are left out.

    python -m venv R && R/bin/pip install rclip==3.3.0
    python benchmarks/peer_clip.py --rclip R/bin/python

Each contender is a fresh process, warmed on eight other pictures; rounds go round all contenders
in turn, and the median over rounds counts. ``highest_load`` above about 3 tells that others used
the machine meanwhile: then only processor times say something.
Writes ``results/peer-clip-2-core-x86_64.csv``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ARCH = "ViT-B-32-256"
DIM = 512
os.environ["HF_HUB_OFFLINE"] = "1"


# -- what everybody shares


def make_pictures(folder: Path, count: int, seed: int) -> None:
    """JPEGs of 1920 x 1440 with the detail of a photograph (about 0.7 MB each)."""
    import numpy as np
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        path = folder / f"{i:04d}.jpg"
        if path.exists():
            continue
        layers = np.zeros((1440, 1920, 3), np.float32)
        for side, gain in ((6, 60), (40, 40), (240, 25), (960, 12)):
            noise = rng.normal(0, gain, (side * 3 // 4, side, 3)).astype(np.float32)
            planes = [Image.fromarray(noise[..., c]).resize((1920, 1440)) for c in range(3)]
            layers += np.stack([np.asarray(p) for p in planes], -1)
        Image.fromarray(np.clip(layers + 128, 0, 255).astype(np.uint8)).save(path, quality=88)


def allow_torchvision() -> None:
    sys.path.insert(0, str(HERE.parent / "tests" / "encoders"))
    import torchvision_stub

    torchvision_stub.declare()


def make_models(work: Path) -> None:
    """Random weights as an open_clip folder, as our export, and as the two files of rclip."""
    allow_torchvision()
    import onnx
    import open_clip
    import torch
    from safetensors.torch import save_file

    from needlepoint.encoders.export import export

    folder = work / "model"
    if not (folder / "open_clip_model.safetensors").exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        model = open_clip.create_model(ARCH)
        state = {k: v.contiguous() for k, v in model.state_dict().items()}
        config = {"model_cfg": open_clip.get_model_config(ARCH), "preprocess_cfg": {}}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        save_file(state, folder / "open_clip_model.safetensors")
    if not (work / "onnx" / "card.json").exists():
        export(f"open_clip:local-dir:{folder}", work / "onnx")
    for ours, theirs in (("image", "visual"), ("text", "textual")):
        target = work / "rclip" / "ViT-B-32-256-datacomp_s34b_b86k" / f"{theirs}.onnx"
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        graph = onnx.load(work / "onnx" / f"{ours}.onnx")
        old = {graph.graph.input[0].name: "input", "vector": "output"}
        for node in graph.graph.node:
            node.input[:] = [old.get(n, n) for n in node.input]
            node.output[:] = [old.get(n, n) for n in node.output]
        graph.graph.input[0].name = "input"
        kept = [o for o in graph.graph.output if o.name == "vector"]
        kept[0].name = "output"
        del graph.graph.output[:]
        graph.graph.output.extend(kept)
        onnx.save(graph, target)
    vocabulary = work / "rclip" / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz"
    vocabulary.parent.mkdir(parents=True, exist_ok=True)
    vocabulary.write_bytes(Path(open_clip.tokenizer.default_bpe()).read_bytes())


# -- the contenders: each prints one JSON line


def index_needlepoint(work: Path, address: str) -> dict[str, float]:
    allow_torchvision()
    import shutil

    from needlepoint.library import Library

    shutil.rmtree(work / "library", ignore_errors=True)
    with Library.open(work / "library", create=True) as library:
        library.index([work / "warm"], model=address, regions="none")
        used = time.process_time()
        report = library.index([work / "pictures"], model=address, regions="none")
        used = time.process_time() - used
    return {"pictures": report.added, "seconds": report.seconds, "cpu": used}


def index_pipeline(work: Path, address: str) -> dict[str, float]:
    """Decoding and encoding in batches of four, a thread a batch, one core a thread; no store."""
    allow_torchvision()
    from concurrent.futures import ThreadPoolExecutor

    from needlepoint.encoders.address import open_encoder
    from needlepoint.intake.decode import decode

    encoder = open_encoder(address, threads=1)
    side = 2 * encoder.card.input_size

    def job(chunk: list[Path]) -> int:
        encoder.image_features([decode(str(p), at_least=side).pixels for p in chunk])
        return len(chunk)

    def run(folder: Path) -> int:
        paths = sorted(folder.iterdir())
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return sum(pool.map(job, [paths[i : i + 4] for i in range(0, len(paths), 4)]))

    run(work / "warm")
    started, used = time.monotonic(), time.process_time()
    count = run(work / "pictures")
    seconds = time.monotonic() - started
    return {"pictures": count, "seconds": seconds, "cpu": time.process_time() - used}


def index_loop(work: Path, batch: int) -> dict[str, float]:
    allow_torchvision()
    import open_clip
    import torch
    from PIL import Image

    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{work / 'model'}")
    model.eval()

    def run(folder: Path) -> int:
        paths = sorted(folder.iterdir())
        for start in range(0, len(paths), batch):
            chunk = [transform(Image.open(p)) for p in paths[start : start + batch]]
            with torch.inference_mode():
                model.encode_image(torch.stack(chunk), normalize=True).numpy()
        return len(paths)

    run(work / "warm")
    started, used = time.monotonic(), time.process_time()
    count = run(work / "pictures")
    seconds = time.monotonic() - started
    return {"pictures": count, "seconds": seconds, "cpu": time.process_time() - used}


RCLIP = """
import json, os, sys, time, sqlite3
from pathlib import Path
from rclip import db, main, model
work, what = Path(sys.argv[1]), sys.argv[2]
name = work / "rclip" / ("index.sqlite3" if what == "index" else "query.sqlite3")
if what == "index" and name.exists():
    name.unlink()
base, seen = db.DB(name), model.Model()
r = main.RClip(seen, base, 8, None)
if what == "index":
    r.ensure_index(str(work / "warm"))
    t, c = time.monotonic(), time.process_time()
    r.ensure_index(str(work / "pictures"))
    told = {"seconds": time.monotonic() - t, "cpu": time.process_time() - c}
    sql = "select count(*) from images where filepath like '%/pictures/%'"
    told["pictures"] = base._con.execute(sql).fetchone()[0]
else:
    import numpy as np
    count = int(sys.argv[3])
    if base._con.execute("select count(*) from images").fetchone()[0] != count:
        base._con.execute("delete from images")
        rng = np.random.default_rng(1)
        for i in range(count):
            v = rng.normal(size=512).astype(np.float32)
            v /= np.linalg.norm(v)
            base.upsert_image(
                db.NewImage(
                    filepath=f"/p/{i:06d}.jpg", modified_at=0.0, size=1,
                    vector=v.tobytes(), hash=str(i),
                ),
                commit=False,
            )
        base.commit()
    times = []
    for n in range(12):
        t = time.perf_counter()
        assert len(r.search(f"a red bicycle {n}", "/p", 10)) == 10
        times.append(time.perf_counter() - t)
    told = {"ms": sorted(times[2:])[5] * 1e3}
print(json.dumps(told))
"""


def query_needlepoint(work: Path, address: str, count: int) -> dict[str, float]:
    allow_torchvision()
    import numpy as np

    from needlepoint.library import Library
    from needlepoint.parts import Floats
    from needlepoint.picture import Facts
    from needlepoint.store.base import Entry, FileRecord, VectorRow
    from needlepoint.store.sqlite import SqliteStore

    folder = work / f"library-{count}"
    if not folder.exists():
        with Library.open(folder, create=True) as library:
            library.index([work / "warm"], model=address, regions="none")
        store = SqliteStore.open(folder)
        space, root = store.spaces()[0], next(iter(store.roots()))
        rng = np.random.default_rng(1)
        none: Floats = np.zeros((0, 4), np.float32)
        bare: Floats = np.zeros((0, DIM), np.float32)
        present = store.stats()["pictures"]
        for start in range(0, count - present, 5000):
            entries = []
            for i in range(start, min(start + 5000, count - present)):
                v = rng.normal(size=DIM).astype(np.float32)
                row = VectorRow(space.id, v / np.linalg.norm(v), bare, none)
                file = FileRecord(root, f"{i:06d}.jpg", 1, 1, i.to_bytes(16, "big"))
                entries.append(Entry(file, Facts(1920, 1440, "JPEG"), (row,)))
            store.upsert(entries)
        store.close()
    times = []
    with Library.open(folder) as library:
        for n in range(12):
            started = time.perf_counter()
            found = library.search(f"a red bicycle {n}", k=10, model=address)
            assert len(found) == 10
            times.append(time.perf_counter() - started)
    return {"ms": sorted(times[2:])[5] * 1e3}


# -- the rounds


def contenders(work: Path, rclip: str | None) -> dict[str, list[str]]:
    model = f"open_clip:local-dir:{work / 'model'}"
    mine = [sys.executable, __file__, "--work", str(work), "--run"]
    found = {
        "needlepoint float32": [*mine, "index_needlepoint", model],
        "needlepoint bf16": [*mine, "index_needlepoint", model + "+bf16"],
        "needlepoint onnx float32": [*mine, "index_needlepoint", f"onnx:{work / 'onnx'}"],
        "needlepoint pipeline float32": [*mine, "index_pipeline", model],
        "needlepoint pipeline bf16": [*mine, "index_pipeline", model + "+bf16"],
        "needlepoint pipeline onnx": [*mine, "index_pipeline", f"onnx:{work / 'onnx'}"],
        "open_clip loop, batch 1": [*mine, "index_loop", "1"],
        "open_clip loop, batch 32": [*mine, "index_loop", "32"],
    }
    if rclip:
        found["rclip 3.3.0 (its own code)"] = [rclip, "-c", RCLIP, str(work), "index"]
    return found


def ask(command: list[str], work: Path) -> dict[str, float]:
    environment = {**os.environ, "RCLIP_DATADIR": str(work / "rclip")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{command[:3]} failed:\n{done.stderr[-2000:]}")
    told: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def measure(arguments: argparse.Namespace) -> None:
    work = arguments.work
    make_pictures(work / "warm", 8, 1)
    make_pictures(work / "pictures", arguments.pictures, 2)
    make_models(work)
    rates: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for name, command in contenders(work, arguments.rclip).items():
            told = ask(command, work)
            assert told["pictures"] == arguments.pictures, (name, told)
            rates.setdefault(name, []).append(told["pictures"] / told["seconds"])
            arguments.load = max(getattr(arguments, "load", 0.0), os.getloadavg()[0])
            costs.setdefault(name, []).append(told["cpu"] / told["pictures"] * 1e3)
            print(
                f"{name}: {rates[name][-1]:.2f} pictures/s, {costs[name][-1]:.0f} ms of processor "
                f"a picture (load {os.getloadavg()[0]:.1f})",
                file=sys.stderr,
            )
    model = f"open_clip:local-dir:{work / 'model'}"
    mine = [sys.executable, __file__, "--work", str(work), "--run", "query_needlepoint"]
    queries = {
        "needlepoint float32": [*mine, model, str(arguments.gallery)],
        "needlepoint float32, OMP_NUM_THREADS=1": [
            "env", "OMP_NUM_THREADS=1", *mine, model, str(arguments.gallery)
        ],
    }  # fmt: skip
    if arguments.rclip:
        queries["rclip 3.3.0 (its own code)"] = [
            arguments.rclip, "-c", RCLIP, str(work), "query", str(arguments.gallery)
        ]  # fmt: skip
    times: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for name, command in queries.items():
            times.setdefault(name, []).append(ask(command, work)["ms"])
            print(f"{name}: {times[name][-1]:.1f} ms", file=sys.stderr)
    write(arguments, rates, costs, times)


def write(
    arguments: argparse.Namespace,
    rates: dict[str, list[float]],
    costs: dict[str, list[float]],
    times: dict[str, list[float]],
) -> None:
    peer = "rclip 3.3.0 (its own code)"
    rows = []
    for task, unit, count, table, more_is_better in (
        ("index", "pictures/s", arguments.pictures, rates, True),
        ("index, processor time", "ms/picture", arguments.pictures, costs, False),
        ("warm query in words", "ms", arguments.gallery, times, False),
    ):
        for name, found in table.items():
            middle = statistics.median(found)
            beside = middle / statistics.median(table[peer]) if peer in table else float("nan")
            beside = beside if more_is_better else 1 / beside
            numbers = [f"{v:.2f}" for v in (middle, min(found), max(found), beside)]
            rows.append([task, name, count, unit, *numbers, f"{arguments.load:.1f}"])
    target = HERE / "results" / f"peer-clip-{os.cpu_count()}-core-{platform.machine()}.csv"
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["task", "contender", "pictures", "unit", "median", "lowest", "highest",
                      "times_better_than_rclip", "highest_load"])  # fmt: skip
        out.writerows(rows)
    print(target.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("/tmp/needlepoint-peer"))
    parser.add_argument("--rclip", help="a Python interpreter with rclip 3.3.0")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--gallery", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.run:
        measure(arguments)
        return
    name, *given = arguments.run
    values = [int(g) if g.isdigit() else g for g in given]
    print(json.dumps(globals()[name](arguments.work, *values)))


if __name__ == "__main__":
    main()
