"""``needlepoint index`` in real processes: killed, interrupted, in each other's way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "pictures"
COMMAND = Path(sysconfig.get_path("scripts")) / "needlepoint"
# the same command with batches of three, so that there is something between two of them
SMALL_BATCHES = (
    "from needlepoint.library import indexing; indexing.BATCH = 3; "
    "from needlepoint.cli.main import main; main()"
)
COUNT = 60

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Sixty different small pictures: crops of the samples."""
    folder = tmp_path_factory.mktemp("world") / "pictures"
    folder.mkdir()
    chance = np.random.default_rng(0)
    files = sorted(SAMPLES.glob("*.jpg"))
    for number in range(COUNT):
        with Image.open(files[number % len(files)]) as image:
            x, y = (int(v) for v in chance.integers(0, 60, 2))
            small = image.convert("RGB").resize((320, 240))
            small.crop((x, y, x + 240, y + 180)).save(folder / f"{number:02}.jpg", quality=90)
    return folder


class World:
    """A library and the command, in an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.library = folder / "library"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("NEEDLEPOINT_", "HF_"))},
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "NEEDLEPOINT_LIBRARY": str(self.library),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *args: object, small: bool = True) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SMALL_BATCHES] if small else [str(COMMAND)]
        return subprocess.Popen(
            [*command, *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            start_new_session=True,
        )

    def run(self, *args: object) -> tuple[int, str, str]:
        """The installed command: its exit code, stdout and stderr."""
        process = self.start(*args, small=False)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def rows(self, question: object) -> list[dict]:
        code, out, err = self.run("search", question, "-k", "100", "--format", "jsonl")
        assert code in (0, 1), err
        return [json.loads(line) for line in out.splitlines()]

    def pictures(self) -> int:
        code, out, err = self.run("info", "--json")
        assert code == 0, err
        return json.loads(out)["pictures"]

    def wait_for(self, least: int, process: subprocess.Popen[str]) -> None:
        """Until so many pictures are written (or the process has ended)."""
        from needlepoint.errors import LibraryError
        from needlepoint.library import Library

        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            try:
                with Library.open(self.library, read_only=True) as library:
                    if library.info()["pictures"] >= least:
                        return
            except LibraryError:
                pass
            time.sleep(0.01)


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="module")
def complete(pictures, tmp_path_factory) -> list[dict]:
    """What a search answers after a run that nobody disturbed."""
    world = World(tmp_path_factory.mktemp("complete"))
    code, _, err = world.run("index", pictures)
    assert code == 0, err
    return world.rows(pictures / "07.jpg")


def place(row: dict) -> tuple:
    return Path(row["path"]).name, row["score"], tuple(row["box"] or ())


def test_killed_at_any_moment_it_resumes_and_ends_as_if_nothing_had_been(world, pictures, complete):
    chance = random.Random(7)
    kept = 0
    for _ in range(5):
        if kept > COUNT // 2:
            break  # the last run must find something left to do
        process = world.start("index", pictures)
        world.wait_for(kept + chance.randint(0, 9), process)
        time.sleep(chance.uniform(0, 0.03))
        process.kill()
        process.communicate()
        if not world.library.exists():
            continue
        now = world.pictures()
        assert now >= kept, "what was acknowledged is lost"
        kept = now
        if kept:
            # what is there is already found, each picture as it will be found in the end
            rows = world.rows(pictures / "07.jpg")
            final = {place(row) for row in complete}
            assert len(rows) == kept
            assert {place(row) for row in rows} <= final
    assert 0 < kept < COUNT, "the test must catch it at work"
    code, _, err = world.run("index", pictures)
    assert code == 0, err
    assert f"resumed from {kept:,}" in err
    assert f"{COUNT - kept:,} added" in err
    rows = world.rows(pictures / "07.jpg")
    assert sorted(map(place, rows)) == sorted(map(place, complete))
    assert [row["score"] for row in rows] == [row["score"] for row in complete]
    code, _, err = world.run("index", pictures)
    assert code == 0
    assert f"{COUNT} unchanged" in err
    assert "resumed" not in err


def test_interrupted_by_the_user_it_ends_with_130_and_keeps_what_it_said(world, pictures):
    process = world.start("index", pictures)
    world.wait_for(3, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert 3 <= world.pictures() < COUNT
    code, _, err = world.run("index", pictures)
    assert code == 0
    assert "resumed from" in err


def test_two_at_once_the_second_is_told_who_writes_and_readers_may_ask(world, pictures):
    first = world.start("index", pictures)
    world.wait_for(1, first)
    os.killpg(first.pid, signal.SIGSTOP)  # it holds the library for as long as we like
    try:
        code, out, err = world.run("index", pictures)
        assert (code, out) == (3, "")
        assert f"process {first.pid}" in err
        assert "Traceback" not in err
        assert world.rows(pictures / "07.jpg")
    finally:
        os.killpg(first.pid, signal.SIGCONT)
    seen = [len(world.rows(pictures / "07.jpg"))]
    while first.poll() is None:
        seen.append(len(world.rows("text:a cat")))
    _, err = first.communicate()
    assert first.returncode == 0, err
    assert seen == sorted(seen), "a picture has vanished"
    assert len(world.rows("text:a cat")) == COUNT
