"""Batches that have come to rest, from real folders."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from needlepoint.errors import UsageError
from needlepoint.intake.watch import _matters, watch


class Follower:
    """Collects batches on a thread."""

    def __init__(self, *roots: Path, settle_ms: int = 150) -> None:
        self.batches: list[set[str]] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(roots, settle_ms), daemon=True)
        self.thread.start()
        time.sleep(0.5)  # until the system's watch is in place

    def _run(self, roots: tuple[Path, ...], settle_ms: int) -> None:
        for batch in watch(roots, stop=self.stop, settle_ms=settle_ms):
            self.batches.append(batch)

    def until(self, path: Path, *, seconds: float = 20) -> set[str]:
        """The first batch with this path; fails after a long wait."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for batch in list(self.batches):
                if str(path) in batch:
                    return batch
            time.sleep(0.02)
        pytest.fail(f"{path} was not reported; batches: {self.batches}")

    def close(self) -> None:
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def follow() -> Iterator[type[Follower]]:
    made: list[Follower] = []

    def make(*roots: Path, **options: int) -> Follower:
        made.append(Follower(*roots, **options))
        return made[-1]

    yield make
    for follower in made:
        follower.close()


def test_new_changed_and_deleted_pictures(tmp_path: Path, follow) -> None:
    follower = follow(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.jpg").write_text("x")
    (tmp_path / "a.jpg").write_text("x")
    batch = follower.until(tmp_path / "a.jpg")
    assert not {str(tmp_path / "notes.txt"), str(tmp_path / ".hidden.jpg")} & batch
    follower.batches.clear()
    (tmp_path / "a.jpg").unlink()
    follower.until(tmp_path / "a.jpg")


def test_new_folders_are_followed(tmp_path: Path, follow) -> None:
    follower = follow(tmp_path)
    (tmp_path / "2020").mkdir()
    follower.until(tmp_path / "2020")
    time.sleep(0.3)
    (tmp_path / "2020" / "a.png").write_text("x")
    follower.until(tmp_path / "2020" / "a.png")


def test_a_slow_copy_is_one_batch(tmp_path: Path, follow) -> None:
    follower = follow(tmp_path, settle_ms=600)
    with open(tmp_path / "a.jpg", "wb", buffering=0) as file:
        for _ in range(12):
            file.write(b"x" * 100)
            time.sleep(0.1)
    follower.until(tmp_path / "a.jpg")
    time.sleep(0.8)
    assert len(follower.batches) == 1


def test_noise_does_not_hold_a_batch_back(tmp_path: Path, follow) -> None:
    follower = follow(tmp_path)
    (tmp_path / "a.jpg").write_text("x")
    end = time.monotonic() + 20
    with open(tmp_path / "server.log", "w", buffering=1) as log:
        while not follower.batches and time.monotonic() < end:
            log.write("line\n")
            time.sleep(0.02)
    assert follower.batches[0] == {str(tmp_path / "a.jpg")}


def test_a_root_that_vanishes_and_returns(tmp_path: Path, follow) -> None:
    lost, kept = tmp_path / "lost", tmp_path / "kept"
    lost.mkdir()
    kept.mkdir()
    follower = follow(lost, kept)
    shutil.rmtree(lost)
    follower.until(lost)
    time.sleep(0.5)
    follower.batches.clear()
    (kept / "a.jpg").write_text("x")
    follower.until(kept / "a.jpg")
    follower.batches.clear()
    lost.mkdir()
    follower.until(lost)
    time.sleep(0.5)
    (lost / "b.jpg").write_text("x")
    follower.until(lost / "b.jpg")


def test_a_root_that_is_not_there_yet(tmp_path: Path, follow) -> None:
    follower = follow(tmp_path / "later")
    (tmp_path / "later").mkdir()
    follower.until(tmp_path / "later")


def test_a_single_file(tmp_path: Path, follow) -> None:
    (tmp_path / "a.jpg").write_text("x")
    follower = follow(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_text("x")
    (tmp_path / "new.jpg").write_text("y")
    os.replace(tmp_path / "new.jpg", tmp_path / "a.jpg")
    assert follower.until(tmp_path / "a.jpg") == {str(tmp_path / "a.jpg")}


def test_polling_when_the_system_has_no_watches_left(
    tmp_path: Path, follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    import watchfiles

    real, modes = watchfiles.watch, []

    def scarce(*roots: str, force_polling: bool | None = None, **options: object) -> object:
        modes.append(force_polling)
        if not force_polling:
            raise OSError(28, "OS file watch limit reached")
        return real(*roots, force_polling=True, **options)

    monkeypatch.setattr(watchfiles, "watch", scarce)
    follower = follow(tmp_path)
    (tmp_path / "a.jpg").write_text("x")
    follower.until(tmp_path / "a.jpg")
    assert modes[:2] == [None, True]


def test_what_matters(tmp_path: Path) -> None:
    (tmp_path / "folder.v2").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    places = [(str(tmp_path), None)]
    assert _matters(str(tmp_path), places)
    assert _matters(str(tmp_path / "a.jpg"), places)
    assert _matters(str(tmp_path / "folder.v2"), places)
    assert _matters(str(tmp_path / "gone.v2"), places)
    assert not _matters(str(tmp_path / "notes.txt"), places)
    assert not _matters(str(tmp_path / ".cache" / "a.jpg"), places)
    assert not _matters(str(tmp_path.parent / "a.jpg"), places)


@pytest.mark.parametrize(
    ("roots", "settle", "talk"),
    [([], 1000, "none"), (["/tmp"], 5, "5"), (["/tmp/\udcff"], 1000, "UTF-8")],
)
def test_usage(roots: list[str], settle: int, talk: str) -> None:
    with pytest.raises(UsageError, match=talk):
        next(watch(roots, stop=threading.Event(), settle_ms=settle))
