"""Real processes: writers that are killed, readers that watch, and a second writer."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from needlepoint.errors import LibraryBusy
from needlepoint.store.cache import open_cache
from needlepoint.store.sqlite import SqliteStore
from store_kit import probe, space, unit

TESTS = Path(__file__).parent.parent

# acknowledges each batch on its own line, and makes caches in between
WRITER = """
import sys
import numpy as np
from store_kit import entry, space, vectors
from needlepoint.store import view
from needlepoint.store.sqlite import SqliteStore
view._FILE_FROM = 1
folder, turn = sys.argv[1], int(sys.argv[2])
with SqliteStore.open(folder, create=True) as store:
    made = store.ensure_space(space(dim=128))
    root = store.add_root("/pictures")
    print("ready", flush=True)
    with store.writing():
        for batch in range(100000):
            rng = np.random.default_rng([turn, batch])
            names = [f"{turn}/{batch}-{i}.jpg" for i in range(8)]
            store.upsert([entry(root, n, (vectors(rng, made.id, 128, 16),)) for n in names])
            print(turn, batch, flush=True)
            if batch % 7 == 6:
                store.optimize()
"""

READER = """
import sys, time
import numpy as np
from store_kit import probe, unit
from needlepoint.store.sqlite import SqliteStore
least, asked = 0, 0
with SqliteStore.open(sys.argv[1], read_only=True) as store:
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        hits = store.search([probe(1, unit(np.random.default_rng(asked), 128))], 100000)
        assert len(hits.ids) % 8 == 0, "half a batch is visible"
        assert len(hits.ids) >= least, "a picture has vanished"
        assert (np.diff(hits.score) <= 0).all()
        least, asked = len(hits.ids), asked + 1
print(asked, least)
"""

HOLDER = """
import sys, time
from needlepoint.store.sqlite import SqliteStore
with SqliteStore.open(sys.argv[1]) as store, store.writing():
    print("holding", flush=True)
    time.sleep(60)
"""


def start(script: str, *values: object) -> subprocess.Popen[str]:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, values)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def killed(process: subprocess.Popen[str]) -> list[str]:
    """Kill at once; returns the lines said before."""
    process.kill()
    said, _ = process.communicate()
    # a line without its end was not finished saying
    return [line for line in said.split("\n")[:-1] if line]


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(20)
    acknowledged: set[str] = set()
    for turn in range(12):
        process = start(WRITER, tmp_path, turn)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.5))
        for line in killed(process):
            told, batch = line.split()
            acknowledged |= {f"{told}/{batch}-{i}.jpg" for i in range(8)}
        with SqliteStore.open(tmp_path) as store:
            assert store.check() == []
            files = store.files(1)
            assert acknowledged <= set(files)
            assert len(files) % 8 == 0, "half a batch was kept"
            question = [probe(1, unit(np.random.default_rng(turn), 128))]
            hits = store.search(question, 100_000)
            assert sorted(hits.ids.tolist()) == sorted(row[0] for row in files.values())
            best = int(hits.ids[0])
            kept = store.fetch_vectors([best], 1)[best]
            every = np.concatenate([kept.whole[None], kept.regions]) @ question[0].vector
            assert hits.score[0] == pytest.approx(every.max(), abs=1e-6)
    assert len(acknowledged) > 100
    with SqliteStore.open(tmp_path) as store:
        store.optimize()
        assert open_cache(tmp_path / "cache" / "space-1.bin", {}) is not None
        assert set(store.files(1)) >= acknowledged


def test_readers_see_whole_batches_while_a_writer_writes(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        store.ensure_space(space(dim=128))
        store.add_root("/pictures")
    writer = start(WRITER, tmp_path, 0)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    readers = [start(READER, tmp_path, 3) for _ in range(3)]
    try:
        for reader in readers:
            said, _ = reader.communicate(timeout=60)
            assert reader.returncode == 0
            asked, seen = map(int, said.split())
            assert asked > 1
            assert seen > 0
    finally:
        killed(writer)


def test_a_second_writer_is_told_who_writes_and_may_after_it_died(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        store.add_root("/pictures")
        holder = start(HOLDER, tmp_path)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "holding\n"
            with pytest.raises(LibraryBusy, match=f"process {holder.pid}"):
                store.add_root("/more")
            assert len(store.roots()) == 1
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.communicate()
        store.add_root("/more")
        assert len(store.roots()) == 2
