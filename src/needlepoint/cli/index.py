"""The verbs that take pictures in: index and watch."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.config import DETAILS
from needlepoint.cli.door import Door, common, reader
from needlepoint.errors import EXIT_HITS, EXIT_PARTIAL, LibraryMissing, UsageError

MANY = 20
"""Warnings printed one by one before the rest is only counted."""

_sources = click.argument("sources", nargs=-1, type=click.Path())


@click.command("index")
@_sources
@click.option("--model", metavar="ADDR", help="Encoder: builtin, open_clip:…, hf:…, onnx:….")
@click.option(
    "--method",
    metavar="NAME[:OPTIONS]",
    help="Index for this method (needlepoint methods), beside what the library has.",
)
@click.option(
    "--regions",
    metavar="POLICY",
    callback=reader("regions"),
    help="What is kept of places: none, dense[:R] or windows:N.",
)
@click.option(
    "--detail",
    metavar="|".join(DETAILS),
    callback=reader("detail"),
    help="Input size; 2x sees smaller things and takes about four times as long.",
)
@click.option("--keep-map", is_flag=True, help="Keep compressed maps, for heat without files.")
@click.option("--workers", metavar="N", callback=reader("workers"), help="Threads that decode.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@common
def index(
    door: Door,
    sources: tuple[str, ...],
    model: str | None,
    method: str | None,
    regions: str | None,
    detail: str | None,
    keep_map: bool,
    workers: int | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make folders of pictures searchable; again and again, only what changed is read.

    SOURCES are folders or single pictures; without any, the folders already in the library are
    looked at again. Pictures are only ever read. Interrupting is safe: the next run resumes.

    \b
    Examples:
      needlepoint index ~/Pictures
      needlepoint index ~/Pictures --detail 2x --regions dense:32
      needlepoint index ~/Pictures --model hf:google/siglip2-base-patch16-224
      needlepoint index ~/Pictures --method lare:n=7 --model hf:google/siglip2-base-patch16-224
      needlepoint index --dry-run ~/Pictures

    \b
    Exit codes: 0 done, 2 usage, 3 library cannot be used, 4 model not on this machine,
    5 done but some pictures were unreadable (needlepoint info --skipped), 130 interrupted.
    """
    settings = door.settings
    options = {
        "model": settings.choose("model", model),
        **_kept(door, method, regions, detail, keep_map),
        "workers": settings.choose("workers", workers),
    }
    with _opened(door, dry_run=dry_run, create=bool(sources)) as library:
        chosen = list(sources) or _known_roots(library)
        warnings = _Warnings(door)
        with door.talk.progress() as progress:
            report = library.index(
                chosen, dry_run=dry_run, progress=progress, warn=warnings.take, **options
            )
        warnings.end()
    told = report.to_dict()
    if as_json:
        output.write_json(told)
    _say(door, told, dry_run)
    return EXIT_PARTIAL if told["skipped"] else EXIT_HITS


@click.command("watch")
@_sources
@common
def watch(door: Door, sources: tuple[str, ...]) -> int:
    """Index folders, then follow their changes until Ctrl-C.

    New, changed, moved and deleted pictures are noticed as they happen.

    \b
    Example:
      needlepoint watch ~/Pictures
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with door.open(create=bool(sources)) as library:
        chosen = list(sources) or _known_roots(library)
        warnings = _Warnings(door)
        door.talk.note("watching; Ctrl-C ends")
        with door.talk.progress() as progress:
            library.watch(
                chosen,
                stop=stop,
                progress=progress if door.talk.lively else None,
                warn=warnings.take,
                report=lambda report: _say_changes(door, report.to_dict()),
            )
    return EXIT_HITS


def _kept(
    door: Door, method: str | None, regions: str | None, detail: str | None, keep_map: bool
) -> dict[str, Any]:
    """What is kept of a picture: flags, else settings.

    A method and a region policy exclude each other: a flag of the one silences settings of the
    other, and so does a method in the settings that keeps nothing of its own.
    """
    from needlepoint.methods.card import find_method

    settings = door.settings
    if method is None and regions is None and detail is None and not keep_map:
        method = settings["method"]
        if method is not None and find_method(method.partition(":")[0]).describer is None:
            method = None
    if method is None:
        regions = settings.choose("regions", regions)
        detail = settings.choose("detail", detail)
    return {"method": method, "regions": regions, "detail": detail, "keep_map": keep_map}


@contextmanager
def _opened(door: Door, *, dry_run: bool, create: bool) -> Iterator[Any]:
    """The library; for a dry run where there is none, an empty one that is thrown away."""
    if not (dry_run and create):
        with door.open(create=create) as library:
            yield library
        return
    try:
        opened = door.open(read_only=True)
    except LibraryMissing:
        with TemporaryDirectory(prefix="needlepoint-") as folder:
            door.settings.choose("library", folder)
            with door.open(create=True) as library:
                yield library
        return
    with opened as library:
        yield library


class _Warnings:
    """Prints the first warnings and counts the others; -v prints all."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.count = 0

    def take(self, text: str) -> None:
        self.count += 1
        if self.count <= MANY or self.door.talk.verbose:
            self.door.talk.warn(text)

    def end(self) -> None:
        if self.count > MANY and not self.door.talk.verbose:
            rest = self.count - MANY
            self.door.talk.warn(f"and {rest} more; needlepoint info --skipped lists all")


def _known_roots(library: Any) -> list[str]:
    roots = [root["path"] for root in library.info()["roots"]]
    if not roots:
        raise UsageError("no folder given; write for example: needlepoint index ~/Pictures")
    return roots


def _say_changes(door: Door, report: dict[str, Any]) -> None:
    """One line when something changed, none when nothing did."""
    if any(report.get(name) for name in ("added", "updated", "moved", "missing")):
        _say(door, report, dry_run=False)


def _say(door: Door, report: dict[str, Any], dry_run: bool) -> None:
    """One line about what was done."""
    names = ("added", "updated", "moved", "missing", "unchanged")
    counts = [f"{report[name]:,} {name}" for name in names if report.get(name)]
    if report["skipped"]:
        counts.append(f"{len(report['skipped']):,} unreadable")
    resumed = report.get("resumed_from")
    if resumed:
        counts.append(f"resumed from {resumed:,}")
    if dry_run:
        counts.insert(0, f"would read {report.get('planned', 0):,} pictures")
    done = ", ".join(counts) or "no pictures found"
    written = "; nothing was written" if dry_run else ""
    door.talk.note(f"{done} ({report['seconds']:.1f} s){written}")
