"""Words and pictures on the same pictures beside rclip: first result, warm query, memory.

    python -m venv R && R/bin/pip install rclip==3.3.0
    python benchmarks/peer_rclip_serve.py --rclip R

Both command lines are run as a user would, each time in a fresh process, on the sample pictures.
``same model``: ViT-B/32 at 256 pixels with the same random weights in both, as ONNX files
(``peer_clip.py`` makes them; there is no network to fetch rclip's own); answers mean nothing then,
times do. ``built-in``: needlepoint as it comes, with 32 places a picture, which rclip has no
equal of. rclip is its own released code.

``nothing indexed``: one run from an empty index to the first line of the answer; ``indexed``: a
fresh process; ``warm``: the median of ten questions in one process (needlepoint: over HTTP,
``serve``). Memory is the most resident memory of the process. Contenders take turns; medians over
rounds, and the ratio to rclip within each round. Writes ``results/peer-rclip-serve-HARDWARE.csv``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from pathlib import Path

from common import write_rows
from serving import CODE, serving

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
ASKED = {"words": "a red cup", "picture": str(SAMPLES / "pictures" / "photo-cat.jpg")}
PEER = "rclip 3.3.0, same model"
WARM = """
import json, os, sys, time
from rclip import db, main, model
folder, asked = sys.argv[1:]
seen = model.Model()
r = main.RClip(seen, db.DB(os.path.join(os.environ["RCLIP_DATADIR"], "db.sqlite3")), 8, None)
times = []
for n in range(12):
    t = time.perf_counter()
    assert len(r.search(asked, folder, 10)) == 10
    times.append(time.perf_counter() - t)
print(json.dumps(sorted(times[2:])[5] * 1e3))
"""


def run(command: list[str], **more: str) -> tuple[float, float, str]:
    """Seconds, most MB resident, and what a program says."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command, stdout=out, stderr=err, env={**os.environ, **more}, cwd=SAMPLES / "pictures"
        )
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        out.seek(0)
        err.seek(0)
        said = out.read()
        if os.waitstatus_to_exitcode(status) not in (0, 1):
            raise SystemExit(f"{command[:4]} failed:\n{err.read()[-2000:]}")
    return took, used.ru_maxrss / 1024, said


class Rclip:
    """The peer, in a data folder of its own that already holds its model."""

    def __init__(self, home: Path, work: Path) -> None:
        self._home, self._work = home, work
        self._data = work / "rclip"

    def _environment(self) -> dict[str, str]:
        return {"RCLIP_DATADIR": str(self._data)}

    def forget(self) -> None:
        (self._data / "db.sqlite3").unlink(missing_ok=True)

    def first(self, asked: str) -> tuple[float, float]:
        command = [str(self._home / "bin" / "rclip"), "-t", "10", asked]
        took, memory, said = run(command, **self._environment())
        assert ".jpg" in said, said
        return took, memory

    def again(self, asked: str) -> tuple[float, float]:
        command = [str(self._home / "bin" / "rclip"), "-n", "-t", "10", asked]
        took, memory, said = run(command, **self._environment())
        assert ".jpg" in said, said
        return took, memory

    def warm(self, asked: str) -> tuple[float, float]:
        command = [str(self._home / "bin" / "python"), "-c", WARM, str(SAMPLES / "pictures"), asked]
        _, memory, said = run(command, **self._environment())
        return float(said.strip().splitlines()[-1]) / 1e3, memory


class Mine:
    """needlepoint with a model and a region policy."""

    def __init__(self, work: Path, name: str, *index: str) -> None:
        self._library = work / f"library-{name}"
        self._index = index
        self._base = [sys.executable, "-c", CODE, "--library", str(self._library)]

    def forget(self) -> None:
        shutil.rmtree(self._library, ignore_errors=True)

    def first(self, asked: str) -> tuple[float, float]:
        indexing = [*self._base, "index", *self._index, str(SAMPLES / "pictures")]
        took, memory, _ = run(indexing)
        more, again = self.again(asked)
        return took + more, max(memory, again)

    def again(self, asked: str) -> tuple[float, float]:
        took, memory, said = run([*self._base, "search", "-k", "10", asked])
        assert ".jpg" in said, said
        return took, memory

    def warm(self, asked: str) -> tuple[float, float]:
        question = urllib.parse.quote(asked)
        with serving(self._library) as server:
            times = []
            for n in range(12):
                began = time.perf_counter()
                path = f"{server.address}/v1/search?limit={10 + n % 2}&q={question}"
                with urllib.request.urlopen(path, timeout=60) as answer:
                    assert len(json.load(answer)["hits"]) >= 10
                times.append(time.perf_counter() - began)
            return sorted(times[2:])[5], server.memory()["rss_mb"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rclip", type=Path, required=True, help="an environment with rclip 3.3.0")
    parser.add_argument("--work", type=Path, default=Path("/tmp/needlepoint-peer"))
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    # in a process of its own: what a parent once held counts as memory of its children
    prepare = "import sys, pathlib, peer_clip; peer_clip.make_models(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", prepare, str(args.work)]
    subprocess.run(command, check=True, cwd=Path(__file__).parent)
    contenders = {
        PEER: Rclip(args.rclip.resolve(), args.work),
        "needlepoint, same model": Mine(
            args.work, "same", "--model", f"onnx:{args.work / 'onnx'}", "--regions", "none"
        ),
        "needlepoint, built-in": Mine(args.work, "own"),
    }
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for _ in range(args.rounds):
        for kind, asked in ASKED.items():
            for name, contender in contenders.items():
                contender.forget()
                found[kind, "nothing indexed", name].append(contender.first(asked))
            for task in ("again", "warm"):
                told = "indexed, fresh process" if task == "again" else "warm"
                for name, contender in contenders.items():
                    found[kind, told, name].append(getattr(contender, task)(asked))
        print(f"round done, load {os.getloadavg()[0]:.1f}", flush=True)
    rows = []
    for (kind, task, name), seen in found.items():
        peer = found[kind, task, PEER]
        times = [took * 1e3 for took, _ in seen]
        ratios = [theirs[0] / mine[0] for theirs, mine in zip(peer, seen, strict=True)]
        rows.append(
            {
                "question": kind,
                "task": task,
                "contender": name,
                "rounds": len(seen),
                "ms": round(statistics.median(times), 1),
                "lowest_ms": round(min(times), 1),
                "highest_ms": round(max(times), 1),
                "times_faster_than_rclip": round(statistics.median(ratios), 2),
                "memory_mb": round(statistics.median(memory for _, memory in seen)),
                "load": round(os.getloadavg()[0], 1),
            }
        )
        print(rows[-1])
    print(write_rows("peer-rclip-serve", rows))


if __name__ == "__main__":
    main()
