"""What every verb shares: its common options, the settings of the run and the library."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from needlepoint.cli.config import KEYS, Settings
from needlepoint.cli.talk import Talk
from needlepoint.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


class Door:
    """One run of the command: settings, talk, and the way to the library."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.talk = Talk(quiet=self.settings["quiet"])
        self._warned = False

    def take(self, library: str | None, quiet: bool, verbose: int, offline: bool) -> None:
        """Common flags; they may stand before or after the verb."""
        if library is not None:
            self.settings.choose("library", os.path.expanduser(library))
        if quiet:
            self.settings.choose("quiet", True)
        if offline:
            self.settings.choose("offline", True)
        self.talk.quiet = bool(self.settings["quiet"])
        self.talk.verbose = max(self.talk.verbose, verbose)
        if self.settings["offline"]:
            for name in ("NEEDLEPOINT_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
                os.environ[name] = "1"

    def say_warnings(self) -> None:
        """Warn once about settings nobody knows."""
        if not self._warned:
            self._warned = True
            for warning in self.settings.warnings:
                self.talk.warn(warning)

    @property
    def library_path(self) -> Path:
        """The library of this run."""
        from needlepoint.library import default_library_path

        chosen = self.settings["library"]
        return Path(chosen) if chosen is not None else default_library_path()

    def open(self, *, create: bool = False, read_only: bool = False) -> Any:
        """The opened library, a context manager."""
        from needlepoint.library import Library

        return Library.open(self.library_path, create=create, read_only=read_only)


def reader(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A click callback that reads a flag as the setting ``name`` is read."""

    def read(_: click.Context, parameter: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        try:
            return KEYS[name].read(value)
        except ValueError as error:
            flag = parameter.opts[0]
            received = "a secret" if KEYS[name].secret else repr(value)
            raise UsageError(f"{flag} must be {error}. Received: {received}") from None

    return read


def common(function: F) -> F:
    """Give a verb ``--library --quiet -v --offline`` and pass it the ``Door`` first."""

    @click.option("--library", metavar="DIR", help="Folder of the library.")
    @click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr.")
    @click.option("-v", "--verbose", count=True, help="Say more on stderr.")
    @click.option("--offline", is_flag=True, help="Never use the network.")
    @functools.wraps(function)
    def wrapped(
        *args: Any, library: str | None, quiet: bool, verbose: int, offline: bool, **kwargs: Any
    ) -> Any:
        context = click.get_current_context()
        door = context.ensure_object(Door)
        door.take(library, quiet, verbose, offline)
        if context.invoked_subcommand is None:
            door.say_warnings()
        return function(door, *args, **kwargs)

    return wrapped  # type: ignore[return-value]
