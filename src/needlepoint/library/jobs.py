"""Indexing in the background: one job at a time, followed and cancelled from elsewhere."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Literal

from needlepoint.encoders.address import known_models, parse
from needlepoint.errors import LibraryBusy, NeedlepointError, UsageError
from needlepoint.library.browse import below, shown
from needlepoint.library.core import Library
from needlepoint.library.indexing import IndexReport, Progress
from needlepoint.methods.card import find_method

State = Literal["waiting", "running", "done", "failed", "cancelled"]
WAITING = 16
"""Jobs that may wait."""
REMEMBERED = 50
"""Jobs that are told of after they have ended."""
WARNINGS = 50
"""The last warnings of a job that are kept."""


@dataclass(frozen=True, slots=True)
class Job:
    """Where a job stands at one moment.

    ``phase`` is ``looking`` or ``indexing`` while it runs; ``done`` of ``total`` pictures are
    kept for good, ``resumed`` of them by an earlier run that was interrupted. ``report`` is
    that of ``Library.index``; ``error`` says why a job has failed; ``warnings`` are the last of
    those told, and the report lists as many of ``skipped_total``. Times are ISO 8601 in UTC.
    """

    id: int
    sources: tuple[str, ...]
    model: str | None = None
    method: str | None = None
    state: State = "waiting"
    phase: str = ""
    done: int = 0
    total: int = 0
    resumed: int = 0
    report: dict[str, Any] | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    started: str | None = None
    ended: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed", "cancelled")


class NoSuchJob(UsageError):
    """An id that no job has, or one that ended long ago."""


class SourceRefused(UsageError):
    """A source that lies outside the folders that may be indexed."""


class TooManyJobs(NeedlepointError):
    """Too many jobs are waiting already."""


class _Cancelled(Exception):
    """Raised between two batches of a job that is not wanted any more."""


class Jobs:
    """The indexing jobs of one library; they run one after the other on a thread of their own.

    Pictures are found as soon as their batch is written, while the job goes on. A job that ends
    early, whatever the reason, keeps every batch; the next job over the same folders goes on
    from there.

    Example:
        >>> jobs = Jobs(library, below=["/home/me/Pictures"])  # doctest: +SKIP
        >>> job = jobs.start(["/home/me/Pictures/2024"])  # doctest: +SKIP
        >>> jobs.get(job.id).done  # doctest: +SKIP
    """

    def __init__(
        self, library: Library, *, below: Sequence[str] = (), workers: int | None = None
    ) -> None:
        """Begin without any job.

        Args:
            library: where to index into; it must stay open until :meth:`close` has returned.
            below: folders that may be indexed besides those that the library has.
            workers: threads of a job; None leaves one core to those who ask meanwhile.
        """
        self._library, self._below = library, tuple(below)
        self._workers = workers or max(1, (os.cpu_count() or 1) - 1)
        self._changed = threading.Condition()
        self._jobs: dict[int, Job] = {}
        self._waiting: deque[int] = deque()
        self._unwanted: set[int] = set()
        self._thread: threading.Thread | None = None
        self._closing = False

    def start(
        self,
        sources: Sequence[str] = (),
        *,
        model: str | None = None,
        method: str | None = None,
    ) -> Job:
        """Index some folders or pictures as soon as it is their turn.

        Args:
            sources: they must lie in a folder of the library or in one of ``below``, links
                followed; none for all folders of the library.
            model, method: see ``Library.index``.

        Raises:
            SourceRefused: a source lies elsewhere.
            UsageError: a source does not exist, there is none, the model is neither one of the
                library's nor one that needlepoint knows by name, or the method is unknown or
                would open files.
            TooManyJobs: others wait already.
        """
        if model is not None:
            self._check(model)
        if method is not None:
            _check_method(method)
        given = self._allowed(sources)
        with self._changed:
            if self._closing:
                raise TooManyJobs("no job can be started: the library is being closed")
            if len(self._waiting) >= WAITING:
                raise TooManyJobs(f"{WAITING} jobs wait already: cancel one, or wait")
            job = Job(max(self._jobs, default=0) + 1, given, model, method)
            self._jobs[job.id] = job
            self._waiting.append(job.id)
            self._forget()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="needlepoint-jobs", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()
        return job

    def all(self) -> list[Job]:
        """Every job that is remembered, the newest first."""
        with self._changed:
            return list(reversed(self._jobs.values()))

    def get(self, number: int) -> Job:
        """A job as it stands.

        Raises:
            NoSuchJob: none has this id.
        """
        with self._changed:
            if number not in self._jobs:
                raise NoSuchJob(f"there is no job {number}, or it ended long ago")
            return self._jobs[number]

    def cancel(self, number: int) -> Job:
        """End a job after the batch it is at; what is written stays. One that is over stays so.

        Raises:
            NoSuchJob: none has this id.
        """
        with self._changed:
            job = self.get(number)
            if job.state == "waiting":
                self._waiting.remove(number)
                self._set(number, state="cancelled", ended=_now())
            elif job.state == "running":
                self._unwanted.add(number)
            return self.get(number)

    def wait(self, number: int, seen: Job | None = None, seconds: float | None = None) -> Job:
        """The job as soon as it is over, or is another than the one ``seen``, or time is up.

        Raises:
            NoSuchJob: none has this id.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self.get(number).over or (seen is not None and self.get(number) != seen),
                seconds,
            )
            return self.get(number)

    @property
    def closing(self) -> bool:
        """Whether :meth:`close` was called: who follows a job may go."""
        return self._closing

    def close(self, seconds: float = 30.0) -> bool:
        """Cancel all jobs; returns whether the one that ran has ended within some seconds."""
        with self._changed:
            self._closing = True
            for number in [number for number, job in self._jobs.items() if not job.over]:
                self.cancel(number)
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    # -- on the thread

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return
                number = self._waiting.popleft()
                self._set(number, state="running", started=_now())
            self._run(self.get(number))

    def _run(self, job: Job) -> None:
        def progress(at: Progress) -> None:
            with self._changed:
                self._set(job.id, phase=at.stage, done=at.done, total=at.total, resumed=at.resumed)
                if job.id in self._unwanted:
                    raise _Cancelled

        def warn(said: str) -> None:
            with self._changed:
                kept = (*self.get(job.id).warnings, shown(said))[-WARNINGS:]
                self._set(job.id, warnings=kept)

        end: dict[str, Any]
        try:
            report = self._library.index(
                job.sources,
                model=job.model,
                method=job.method,
                progress=progress,
                warn=warn,
                workers=self._workers,
            )
            end = {"state": "done", "report": _told(report)}
        except _Cancelled:
            end = {"state": "cancelled"}
        except LibraryBusy as error:
            end = {"state": "failed", "error": f"{error}. Start the job again after that"}
        except NeedlepointError as error:
            end = {"state": "failed", "error": str(error)}
        except OSError as error:
            end = {"state": "failed", "error": f"{error.strerror or type(error).__name__}"}
        except BaseException as error:  # the thread must live on for the next job
            end = {"state": "failed", "error": f"unexpected: {type(error).__name__}: {error}"}
        with self._changed:
            self._unwanted.discard(job.id)
            self._set(job.id, ended=_now(), **end)

    def _set(self, number: int, **changes: Any) -> None:
        self._jobs[number] = replace(self._jobs[number], **changes)
        self._changed.notify_all()

    def _forget(self) -> None:
        over = [number for number, job in self._jobs.items() if job.over]
        for number in over[: max(0, len(over) - REMEMBERED)]:
            del self._jobs[number]

    # -- what may be indexed

    def _check(self, model: str) -> None:
        """Whoever may start a job may not thereby have any file of this machine opened."""
        known = {str(one["address"]) for one in known_models()}
        known |= {str(one["address"]) for one in self._library.models()}
        if str(parse(model)) not in known:
            raise UsageError(
                f"`model` is one of {', '.join(sorted(known))}. Received: {model!r}. Index with "
                "another from the command line: needlepoint index --model"
            )

    def _allowed(self, sources: Sequence[str]) -> tuple[str, ...]:
        roots = self._library.shelf.roots()
        if not sources:
            if not roots:
                raise UsageError("`sources` is empty, and the library has no folder yet")
            return tuple(roots)
        homes = [os.path.realpath(path) for path in (*roots, *self._below)]
        given = []
        for source in sources:
            if not source or "\0" in source or not os.path.isabs(os.path.expanduser(source)):
                raise UsageError(
                    f"`sources` are absolute paths of folders or pictures. Received: {source!r}."
                )
            path = os.path.abspath(os.path.expanduser(source))
            real = path
            with suppress(OSError):
                real = os.path.realpath(path)
            # a folder that may not be indexed is not told from one that is not there
            if not any(below(real, home) for home in homes):
                raise SourceRefused(
                    f"`sources` names {shown(source)!r}, which is in no folder of the library nor "
                    "in one that this server was told it may index"
                )
            if not os.path.exists(path) and path not in roots:
                raise UsageError(f"`sources` names {shown(source)!r}, which does not exist.")
            given.append(path)
        return tuple(given)


def _told(report: IndexReport) -> dict[str, Any]:
    """A report fit to be sent many times: of what was skipped only the first are listed."""
    return {
        **report.to_dict(),
        "skipped": [(shown(path), reason) for path, reason in report.skipped[:WARNINGS]],
        "skipped_total": len(report.skipped),
        "offline_roots": [shown(path) for path in report.offline_roots],
    }


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _check_method(method: str) -> None:
    """As for models: an option that names a file is for the command line."""
    name, _, options = method.partition(":")
    find_method(name)
    if any(":" in value for value in options.split("=")[1:]) or "/" in options or "\\" in options:
        raise UsageError(
            f"`method` is {method!r}, of which an option names a file. Index so from the command "
            "line: needlepoint index --method"
        )
