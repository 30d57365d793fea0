"""Every error a user can meet, with the exit code the command gives it.

A message names the argument, the value received, what is allowed and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_HITS = 0
EXIT_NOTHING = 1
EXIT_USAGE = 2
EXIT_LIBRARY = 3
EXIT_MODEL = 4
EXIT_PARTIAL = 5
EXIT_INTERRUPTED = 130


class NeedlepointError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command returns."""

    exit_code: int = EXIT_USAGE


class UsageError(NeedlepointError, ValueError):
    """A question, filter, option or argument that cannot be understood (exit code 2)."""


class NoSuchItem(UsageError):
    """An id that no picture of the library has."""


class LibraryError(NeedlepointError):
    """The library is missing, damaged, locked, newer or made with other parts (exit code 3)."""

    exit_code = EXIT_LIBRARY


class LibraryMissing(LibraryError):
    """No library at this place."""


class LibraryIncompatible(LibraryError):
    """The library needs another version, encoder or method than the one offered."""


class LibraryBusy(LibraryError):
    """Another process is writing to the library."""


class ModelUnavailable(NeedlepointError):
    """Weights, tokenizer or an optional package are not on this machine (exit code 4)."""

    exit_code = EXIT_MODEL


class PictureError(NeedlepointError):
    """One picture cannot be read; ``reason`` is short enough for a table cell (exit code 5)."""

    exit_code = EXIT_PARTIAL

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class PictureGone(PictureError):
    """The file of a picture is not there: deleted, moved, or its disk is away."""


class PictureOutside(PictureError):
    """The file of a picture now lies outside the library's folders and is not what was indexed."""


def pointed(problem: str, text: str, position: int) -> UsageError:
    """A usage error that shows where in ``text`` (0-based ``position``) the problem is.

    The line of the text is repeated with a caret under the place, cut to a readable length.
    """
    position = min(max(position, 0), len(text))
    line = "".join(" " if c.isspace() or not c.isprintable() else c for c in text)
    start = max(0, position - 60)
    shown = ("… " if start else "") + line[start : start + 76]
    caret = " " * (position - start + (2 if start else 0)) + "^"
    return UsageError(f"{problem} (at position {position + 1})\n  {shown}\n  {caret}")


def nearest(name: str, names: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the closest of ``names``, or an empty string."""
    close = difflib.get_close_matches(name.casefold(), sorted(names), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
