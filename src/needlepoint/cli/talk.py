"""What a command says to people, on stderr; data goes to stdout and never passes here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from needlepoint.results import printable

SPARSE_SECONDS = 20.0


class Step(Protocol):
    """Progress as the library reports it."""

    stage: str
    done: int
    total: int
    resumed: int


class Talk:
    """Notes, warnings and progress. ``quiet`` keeps only warnings and errors."""

    def __init__(self, *, quiet: bool = False, verbose: int = 0) -> None:
        self.quiet = quiet
        self.verbose = verbose

    @property
    def lively(self) -> bool:
        """Whether stderr is a terminal that can be redrawn."""
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not self.quiet

    def note(self, text: str) -> None:
        """Something worth knowing."""
        if not self.quiet:
            say(text)

    def detail(self, text: str) -> None:
        """Something for -v only."""
        if self.verbose:
            say(text)

    def warn(self, text: str) -> None:
        """Something that went wrong without ending the run."""
        say(f"warning: {text}")

    @contextmanager
    def progress(self) -> Iterator[Any]:
        """A callback for ``Library.index``: a bar on a terminal, else sparse lines."""
        if self.quiet:
            yield None
        elif self.lively:
            with _bar(self) as report:
                yield report
        else:
            yield _Sparse().report


def say(text: str) -> None:
    """One line on stderr; a closed stderr is no reason to fail."""
    safe = "\n".join(map(printable, text.split("\n")))
    try:
        sys.stderr.write(f"needlepoint: {safe}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


class _Sparse:
    """A plain line when a stage begins and ends, and every 20 seconds between."""

    def __init__(self) -> None:
        self.stage = ""
        self.last = 0.0
        self.ended = False

    def report(self, step: Step) -> None:
        now = time.monotonic()
        first = step.stage != self.stage
        ended = step.total > 0 and step.done >= step.total
        if first or (ended and not self.ended) or now - self.last >= SPARSE_SECONDS:
            say(_line(step))
            self.stage, self.last = step.stage, now
        self.ended = ended


def _line(step: Step) -> str:
    if not step.done and not step.total:
        return f"{step.stage} …"
    resumed = f", resumed from {step.resumed:,}" if step.resumed else ""
    total = f" of {step.total:,}" if step.total else ""
    return f"{step.stage}: {step.done:,}{total}{resumed}"


@contextmanager
def _bar(talk: Talk) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, Any] = {}

        def report(step: Step) -> None:
            if step.stage not in tasks:
                name = step.stage
                if step.resumed:
                    name += f" (resuming: {step.resumed:,} of {step.total:,})"
                for past in tasks.values():
                    progress.update(past, visible=False)
                tasks[step.stage] = progress.add_task(name, total=step.total or None)
            progress.update(tasks[step.stage], completed=step.done, total=step.total or None)

        yield report
