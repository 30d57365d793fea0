"""Indexing: what changed in the folders, described and written in small acknowledged batches."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from needlepoint.errors import PictureError
from needlepoint.intake.changes import Known, Plan, digest, plan
from needlepoint.intake.walk import Found, is_online, root_identity, split_root, walk
from needlepoint.library.describing import Described, describe_files
from needlepoint.parts import Encoder
from needlepoint.regions.describe import Describer, Description
from needlepoint.store.base import Entry, FileRecord, Space, VectorRow
from needlepoint.store.sqlite import SqliteStore

BATCH = 32
"""Pictures in one transaction."""
BATCH_SECONDS = 2.0
"""A batch is written after this time even when it is not full."""
NEVER_OPENED = (0, 0)
"""Size and mtime noted of a folder, pipe or link that is no file to be read."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: ``done`` of ``total`` pictures; ``resumed`` of them by an earlier run."""

    stage: str
    done: int
    total: int
    resumed: int = 0


@dataclass(slots=True)
class IndexReport:
    """What a run did, in pictures. ``skipped`` lists (path, reason); ``seconds`` is wall time."""

    added: int = 0
    updated: int = 0
    moved: int = 0
    unchanged: int = 0
    missing: int = 0
    copied: int = 0
    offline_roots: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    resumed_from: int = 0
    planned: int = 0
    seconds: float = 0.0
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Job:
    """One file to describe; ``id`` is 0 for a new one."""

    file: FileRecord
    path: str
    id: int


class Indexer:
    """One run over some sources with one encoder and one describer."""

    def __init__(
        self,
        store: SqliteStore,
        encoder: Encoder,
        describer: Describer,
        spaces: Sequence[Space],
        *,
        progress: Callable[[Progress], None],
        warn: Callable[[str], None],
        workers: int,
        dry_run: bool,
    ) -> None:
        self._store, self._encoder, self._describer = store, encoder, describer
        self._spaces = {space.name: space for space in spaces}
        self._progress, self._warn = progress, warn
        self._workers, self._dry = workers, dry_run
        self.report = IndexReport(dry_run=dry_run)

    def run(self, sources: Iterable[str | os.PathLike[str]]) -> IndexReport:
        """Index the sources; returns the report. Interrupting keeps every written batch."""
        started = time.monotonic()
        jobs: list[_Job] = []
        for folder, only in self._sources(sources):
            jobs += self._look(folder, only)
        self.report.planned = len(jobs)
        if not self._dry and jobs:
            self._describe(jobs)
        if not self._dry:
            self._store.optimize()
        self.report.seconds = time.monotonic() - started
        return self.report

    # -- what there is to do

    def _sources(self, given: Iterable[str | os.PathLike[str]]) -> list[tuple[str, str]]:
        """Distinct (root folder, path below it or "") pairs; parts of a known root stay parts.

        A file belongs to the innermost known root above it. Of new folders inside one another the
        outermost becomes a root.
        """
        known = [path for path, _ in self._store.roots().values()]
        split = [split_root(source) for source in given]
        fresh = [folder for folder, only in split if only is None]
        found: dict[tuple[str, str], None] = {}
        for folder, only in split:
            target = os.path.join(folder, only) if only else folder
            above = [root for root in known if _inside(target, root)]
            outer = [root for root in fresh if _inside(target, root)]
            home = max(above, key=len) if above else min(outer, key=len, default=folder)
            below = os.path.relpath(target, home)
            found[(home, "" if below == "." else below)] = None
            found.update({(r, ""): None for r in known if r != home and _inside(r, target)})
        return [
            (home, below)
            for home, below in found
            if not any(r == home and b != below and _below(below, b) for r, b in found)
        ]

    def _look(self, folder: str, below: str) -> list[_Job]:
        """Compare one root (or a part of it) with the store; note moves and losses, give jobs."""
        self._progress(Progress("looking", 0, 0))
        key = f"identity:{folder}"
        known_roots = {path: number for number, (path, _) in self._store.roots().items()}
        root = known_roots.get(folder)
        files = self._store.files(root) if root is not None else {}
        if root is not None and files:
            witnesses = [p for _, p in zip(range(20), files, strict=False)]
            if not is_online(folder, self._store.get_meta(key), witnesses):
                self.report.offline_roots.append(folder)
                self._warn(f"{folder} is not reachable: its {len(files)} pictures are kept")
                if not self._dry:
                    self._store.set_root_online(root, False)
                return []
        skips: dict[str, str] = {}
        others = [r for r in known_roots if r != folder and _inside(r, folder)]
        found = [
            f
            for f in self._walk(folder, below, skips)
            if not any(_inside(os.path.join(folder, f.path), r) for r in others)
        ]
        if not self._dry:
            root = self._store.add_root(folder)
            if self._store.get_meta(key) != (identity := root_identity(folder)):
                self._store.set_meta(key, identity)
        todo = plan(
            {p: Known(*facts) for p, facts in files.items() if _below(p, below)},
            found,
            lambda f: digest(os.path.join(folder, f.path)),
        )
        number = root if root is not None else 0
        states = self._store.states([facts[0] for facts in files.values()])
        gone = {picture for picture, state in states.items() if state == "gone"}
        here = {files[f.path][0] for f in found if f.path in files}
        # What lies in a folder that cannot be looked into is not known to be lost.
        dark = tuple(f"{path}/" for path in skips)
        hidden = {facts[0] for path, facts in files.items() if path.startswith(dark)}
        todo.missing = [i for i in todo.missing if i not in gone and i not in hidden]
        # What has other content than before comes back when it has been read.
        back = (here & gone).difference(picture for picture, _ in todo.changed)
        self._settle(number, folder, below, todo, skips, back=sorted(back))
        return self._jobs(number, folder, found, files, todo)

    def _walk(self, folder: str, below: str, skips: dict[str, str]) -> list[Found]:
        prefix = PurePosixPath(below.replace(os.sep, "/")) if below else None
        single = bool(below) and os.path.isfile(os.path.join(folder, below))
        if prefix is not None and single:
            prefix = prefix.parent
        lead = "" if prefix is None or str(prefix) == "." else f"{prefix}/"
        return [
            Found(lead + f.path, f.size, f.mtime_ns)
            for f in walk(
                os.path.join(folder, below),
                on_skip=lambda path, reason: skips.__setitem__(lead + path, reason),
            )
        ]

    def _settle(
        self,
        root: int,
        folder: str,
        below: str,
        todo: Plan,
        skips: dict[str, str],
        *,
        back: list[int],
    ) -> None:
        """Write what needs no encoding: moves, losses, returns, files that cannot be looked at."""
        self.report.moved += len(todo.moved)
        self.report.missing += len(todo.missing)
        self.report.unchanged += todo.unchanged + len(todo.touched)
        for path, reason in sorted(skips.items()):
            self._skip(root, folder, Found(path, *NEVER_OPENED), reason)
        if self._dry:
            return
        with self._store.writing():
            if back:
                self._store.mark_present(back)
            if todo.missing:
                self._store.mark_missing(todo.missing)
            lost = [
                old["path"]
                for old in self._store.skipped()
                if old["root"] == root
                and _below(old["path"], below)
                and old["path"] not in skips
                and (
                    (old["size"], old["mtime_ns"]) == NEVER_OPENED
                    or not os.path.lexists(_join(folder, old["path"]))
                )
            ]
            if lost:
                self._store.forget_skipped(root, lost)
            for number, file in [*todo.moved, *todo.touched]:
                content = self._store.facts([number])[number][0].digest
                self._store.move(
                    number, FileRecord(root, file.path, file.size, file.mtime_ns, content)
                )

    def _jobs(
        self,
        root: int,
        folder: str,
        found: Sequence[Found],
        files: dict[str, tuple[int, int, int, bytes]],
        todo: Plan,
    ) -> list[_Job]:
        """New and changed files, and known ones that this encoder has not seen."""
        changed = {file.path: number for number, file in todo.changed}
        moved = {file.path: number for number, file in todo.moved}
        new = {file.path for file in todo.new}
        space = next(iter(self._spaces.values())).id  # 0 in a dry run that would make it
        described = set(self._store.described(space).tolist()) if space else set()
        past = {
            old["path"]: (old["size"], old["mtime_ns"], old["reason"])
            for old in self._store.skipped()
            if old["root"] == root
        }
        jobs = []
        for file in found:
            if past.get(file.path, ())[:2] == (file.size, file.mtime_ns):
                self.report.skipped.append((_join(folder, file.path), past[file.path][2]))
                continue
            fresh = file.path in new or file.path in changed
            number = changed.get(file.path, moved.get(file.path, files.get(file.path, (0,))[0]))
            if fresh or number not in described:
                record = FileRecord(root, file.path, file.size, file.mtime_ns)
                jobs.append(
                    _Job(record, _join(folder, file.path), 0 if file.path in new else number)
                )
        return jobs

    # -- doing it

    def _describe(self, jobs: list[_Job]) -> None:
        detail = {"recipe": self._describer.recipe, "encoder": self._encoder.card.address}
        before = self._store.unfinished_job("index")
        resumed = 0
        if before is not None and before["detail"] == detail:
            resumed = max(0, before["total"] - len(jobs))
        self.report.resumed_from = resumed
        total = len(jobs) + resumed
        job = self._store.begin_job("index", total, detail)
        self._progress(Progress("indexing", resumed, total, resumed))
        first = next(iter(self._spaces.values())).id
        known = self._store.digests(first)
        batch: list[tuple[_Job, Described]] = []
        written = time.monotonic()
        done = resumed
        outcomes = describe_files(
            self._encoder,
            self._describer,
            [one.path for one in jobs],
            known=known,
            workers=self._workers,
        )
        with self._store.writing():
            try:
                for one, outcome in zip(jobs, outcomes, strict=True):
                    batch.append((one, outcome))
                    if len(batch) >= BATCH or time.monotonic() - written > BATCH_SECONDS:
                        done += self._write(batch)
                        batch, written = [], time.monotonic()
                        self._progress(Progress("indexing", done, total, resumed))
            finally:
                done += self._write(batch)
                self._progress(Progress("indexing", done, total, resumed))
        self._store.finish_job(job)

    def _write(self, batch: list[tuple[_Job, Described]]) -> int:
        """Write a batch in one transaction; returns how many files it settled."""
        entries = []
        for job, outcome in batch:
            if outcome.picture is None:
                self._skip(job.file.root, job.path[: -len(job.file.path)], job.file, outcome.reason)
                if job.id:
                    self._store.mark_missing([job.id])
                continue
            content: bytes = outcome.picture.extra["digest"]
            rows = tuple(map(self._row, outcome.descriptions)) or self._copied(job.path, content)
            file = job.file
            entries.append(
                Entry(
                    FileRecord(file.root, file.path, file.size, file.mtime_ns, content),
                    outcome.picture.facts,
                    rows,
                    tuple((f"map:{d.space}", d.map) for d in outcome.descriptions if d.map),
                )
            )
            self.report.copied += not outcome.descriptions
            if job.id:
                self.report.updated += 1
            else:
                self.report.added += 1
        if entries:
            self._store.upsert(entries)
        return len(batch)

    def _copied(self, path: str, content: bytes) -> tuple[VectorRow, ...]:
        """The vectors of another picture with the same content."""
        found = [self._store.vectors_by_digest(content, s.id) for s in self._spaces.values()]
        if None not in found:
            return tuple(row for row in found if row is not None)
        # The other picture has changed since this run began, and its vectors with it.
        (again,) = describe_files(
            self._encoder, self._describer, [path], known=frozenset(), workers=1
        )
        return tuple(self._row(one) for one in again.descriptions)

    def _row(self, one: Description) -> VectorRow:
        return VectorRow(self._spaces[one.space].id, one.whole, one.regions, one.boxes)

    def _skip(self, root: int, folder: str, file: Found | FileRecord, reason: str) -> None:
        path = _join(folder, file.path)
        self.report.skipped.append((path, reason))
        self._warn(str(PictureError(path, reason)))
        if not self._dry:
            self._store.skip(root, file.path, file.size, file.mtime_ns, reason)


def _join(folder: str, path: str) -> str:
    return os.path.join(folder, path)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _below(path: str, below: str) -> bool:
    return not below or _inside(path, below.replace(os.sep, "/"))
