"""Indexing in the background: one at a time, followed, cancelled, and never outside."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from library_kit import flat

from needlepoint.errors import UsageError
from needlepoint.library import Library
from needlepoint.library.jobs import (
    REMEMBERED,
    WAITING,
    Jobs,
    NoSuchJob,
    SourceRefused,
    TooManyJobs,
)

MODEL = "onnx:/fake"
LONG = 60.0


class Gate:
    """Holds an encoder until it is opened; ``reached`` tells that a picture has come."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def hold(self, encoder) -> None:
        true = encoder.image_features

        def held(pictures, **options):
            self.reached.set()
            assert self.open.wait(LONG)
            return true(pictures, **options)

        encoder.image_features = held


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        flat(tmp_path / "p" / f"{number}.png", number)
    return tmp_path / "p"


@pytest.fixture
def library(open_library, fake, folder: Path) -> Library:
    library = open_library()
    library.index(folder / "0.png", model=MODEL)  # the model is known from now on
    return library


@pytest.fixture
def jobs(library: Library, tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(library, below=[str(tmp_path / "may")], workers=1)
    yield made
    assert made.close(LONG)


def test_a_job_runs_to_its_end_and_tells_what_it_did(jobs: Jobs, library: Library, folder) -> None:
    (folder / "bad.jpg").write_bytes(b"no")
    first = jobs.start([str(folder)])
    assert (first.state, first.sources) == ("waiting", (str(folder),))
    job = jobs.wait(first.id, seconds=LONG)
    assert (job.state, job.error, job.over) == ("done", None, True)
    assert (job.done, job.total, job.phase) == (6, 6, "indexing")
    assert job.report is not None
    assert (job.report["added"], job.report["skipped_total"]) == (5, 1)
    assert "bad.jpg" in job.warnings[0]
    assert job.started is not None
    assert job.ended is not None
    assert job.started <= job.ended
    assert jobs.all() == [job]
    assert len(library.search("x")) == 6


def test_no_sources_are_all_folders_of_the_library(jobs: Jobs, library: Library) -> None:
    roots = library.shelf.roots()
    job = jobs.wait(jobs.start().id, seconds=LONG)
    assert (job.state, list(job.sources)) == ("done", roots)


def test_without_any_folder_there_is_nothing_to_do(open_library) -> None:
    jobs = Jobs(open_library("empty"))
    with pytest.raises(UsageError, match="no folder yet"):
        jobs.start()


def test_jobs_take_turns_and_those_that_wait_can_be_cancelled(jobs, fake, folder) -> None:
    gate = Gate()
    gate.hold(fake)
    running, waiting, last = (jobs.start([str(folder)]) for _ in range(3))
    assert gate.reached.wait(LONG)
    assert jobs.get(running.id).state == "running"
    assert jobs.cancel(waiting.id).state == "cancelled"
    assert jobs.get(last.id).state == "waiting"
    assert [job.id for job in jobs.all()] == [last.id, waiting.id, running.id]
    gate.open.set()
    assert jobs.wait(last.id, seconds=LONG).state == "done"
    assert jobs.get(running.id).state == "done"
    assert jobs.get(waiting.id).state == "cancelled"
    assert jobs.cancel(running.id).state == "done"  # what is over stays so


def test_a_cancelled_job_keeps_its_batches_and_the_next_goes_on(
    jobs: Jobs, library: Library, fake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("needlepoint.library.indexing.BATCH", 1)
    monkeypatch.setattr("needlepoint.library.describing.BATCH", 1)
    for number in range(6, 40):
        flat(folder / f"{number}.png", number)
    gate = Gate()
    gate.hold(fake)
    job = jobs.start([str(folder)])
    assert gate.reached.wait(LONG)
    jobs.cancel(job.id)
    gate.open.set()
    job = jobs.wait(job.id, seconds=LONG)
    assert (job.state, job.error) == ("cancelled", None)
    assert job.total == 39
    kept = library.shelf.page().total - 1
    assert kept == job.done < 39
    again = jobs.wait(jobs.start([str(folder)]).id, seconds=LONG)
    assert (again.state, again.resumed, again.done) == ("done", kept, 39)
    assert library.shelf.page().total == 40


def test_what_is_written_is_found_while_the_job_goes_on(
    jobs: Jobs, library: Library, fake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("needlepoint.library.indexing.BATCH", 1)
    monkeypatch.setattr("needlepoint.library.describing.BATCH", 1)
    gate, true, seen = Gate(), fake.image_features, []

    def held(pictures, **options):
        seen.append(1)
        if len(seen) == 5:  # by now the first two have been handed on to be written
            gate.reached.set()
            assert gate.open.wait(LONG)
        return true(pictures, **options)

    fake.image_features = held
    job = jobs.start([str(folder)])
    assert gate.reached.wait(LONG)
    while jobs.get(job.id).done == 0:
        assert not jobs.wait(job.id, seen=jobs.get(job.id), seconds=LONG).over
    assert len(library.search("x", k=50)) >= 2
    library._store.set_meta("x", "y")  # others who write do not meet a lock
    gate.open.set()
    assert jobs.wait(job.id, seconds=LONG).state == "done"


def test_a_library_that_another_process_writes_to_fails_the_job(
    jobs: Jobs, library: Library, folder: Path
) -> None:
    with Library.open(library.path) as other, other._store.writing():
        job = jobs.wait(jobs.start([str(folder)]).id, seconds=LONG)
    assert job.state == "failed"
    assert "is being written by process" in str(job.error)
    assert jobs.wait(jobs.start([str(folder)]).id, seconds=LONG).state == "done"


def test_whatever_goes_wrong_the_next_job_runs(jobs: Jobs, fake, folder: Path) -> None:
    true = fake.image_features

    def broken(pictures, **options):
        raise RuntimeError("out of order")

    fake.image_features = broken
    job = jobs.wait(jobs.start([str(folder)]).id, seconds=LONG)
    assert (job.state, job.error) == ("failed", "unexpected: RuntimeError: out of order")
    fake.image_features = true
    assert jobs.wait(jobs.start([str(folder)]).id, seconds=LONG).state == "done"


def test_a_library_open_for_reading_fails_the_job(library: Library, folder: Path) -> None:
    with Library.open(library.path, read_only=True) as reader:
        jobs = Jobs(reader)
        job = jobs.wait(jobs.start([str(folder / "0.png")]).id, seconds=LONG)
        assert job.state == "failed"
        assert "reading only" in str(job.error)
        assert jobs.close(LONG)


def test_only_what_lies_inside_may_be_indexed(jobs: Jobs, folder: Path, tmp_path: Path) -> None:
    may, out = tmp_path / "may", tmp_path / "mayor"
    (may / "deep").mkdir(parents=True)
    out.mkdir()
    os.symlink(out, may / "link")
    os.symlink(may / "deep", out / "back")
    for source in (may, may / "deep", out / "back", folder / "1.png", may / "deep" / ".." / "deep"):
        assert jobs.start([str(source)]).state == "waiting"
    refused = [
        *(out, tmp_path, "/", "/etc", may / "link", may / ".." / "mayor", out / "none"),
        f"{may}/../../../../../etc/passwd",
    ]
    for source in refused:
        with pytest.raises(SourceRefused, match="may index"):
            jobs.start([str(source)])
    for source in ("", "relative", "a\0b", f"{may}/none", ".", "-"):
        with pytest.raises(UsageError):
            jobs.start([source])


def test_only_models_that_are_known_may_be_named(jobs: Jobs, folder: Path) -> None:
    for model in ("onnx:/etc", "hf:someone/something", "nonsense", "open_clip:"):
        with pytest.raises(UsageError, match="model"):
            jobs.start([str(folder)], model=model)
    job = jobs.wait(jobs.start([str(folder)], model=MODEL).id, seconds=LONG)
    assert job.state == "done"


def test_a_bounded_number_waits_and_is_remembered(jobs: Jobs, fake, folder: Path) -> None:
    gate = Gate()
    gate.hold(fake)
    first = jobs.start([str(folder)])
    assert gate.reached.wait(LONG)
    ids = [jobs.start([str(folder)]).id for _ in range(WAITING)]
    with pytest.raises(TooManyJobs):
        jobs.start([str(folder)])
    gate.open.set()
    for _ in range(REMEMBERED):
        jobs.wait(ids[-1], seconds=LONG)
        ids.append(jobs.start([str(folder)]).id)
    assert len(jobs.all()) <= REMEMBERED + 1
    with pytest.raises(NoSuchJob):
        jobs.get(first.id)
    with pytest.raises(NoSuchJob):
        jobs.cancel(10**9)


def test_closing_ends_what_runs_and_starts_nothing_new(jobs: Jobs, fake, folder: Path) -> None:
    gate = Gate()
    gate.hold(fake)
    running, waiting = jobs.start([str(folder)]), jobs.start([str(folder)])
    assert gate.reached.wait(LONG)
    assert not jobs.close(0.01)
    assert jobs.closing
    gate.open.set()
    assert jobs.close(LONG)
    assert jobs.get(running.id).state == "cancelled"
    assert jobs.get(waiting.id).state == "cancelled"
    with pytest.raises(TooManyJobs, match="closed"):
        jobs.start([str(folder)])
