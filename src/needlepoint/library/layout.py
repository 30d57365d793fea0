"""The map of a collection: made in the background, kept until the pictures change."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import blake2b
from pathlib import Path

import numpy as np

from needlepoint.errors import LibraryError, UsageError
from needlepoint.library.roster import Roster
from needlepoint.parts import Floats
from needlepoint.search.projection import project
from needlepoint.store.base import Ids, Space
from needlepoint.store.browsing import Browsing
from needlepoint.store.cache import NewCache, open_cache

VERSION = 1
"""Of the way places are found: a map of another is made anew."""
SOON = 0.5
"""Seconds to wait for a map that is only just being made: small ones are ready by then."""
REST = 4.0
"""A map of a library that keeps changing is made anew after so many times what it took."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each picture lies: ids int64 ``[N]``, places float32 ``[N, 2]`` from 0 to 1.

    ``space`` tells what is meant by alike, ``made`` when (ISO 8601, UTC), ``key`` names this map
    and no other; ``current`` is False while one is being made of pictures that came since.
    """

    ids: Ids
    places: Floats
    space: str
    made: str
    key: str
    current: bool = True

    @property
    def tag(self) -> str:
        """A short name that differs for every other answer."""
        told = f"{self.key} {self.made} {self.current} {len(self.ids)}"
        return blake2b(told.encode(), digest_size=16).hexdigest()


class _Stopped(Exception):
    """The library is being closed."""


class Layouts:
    """Makes the map of one library, one at a time; ``library.shelf.layouts``.

    Example:
        >>> found = library.shelf.layouts.get()  # doctest: +SKIP
        >>> found if isinstance(found, float) else found.places.shape  # doctest: +SKIP
        (82, 2)
    """

    def __init__(self, store: Browsing, roster: Roster) -> None:
        self._store, self._roster = store, roster
        self._guard = threading.Lock()
        self._last: Layout | None = None
        self._thread: threading.Thread | None = None
        self._share = 0.0
        self._failed: tuple[str, str] | None = None
        self._took, self._ended = 0.0, 0.0
        self._stop = False

    def get(self) -> Layout | float:
        """The map, or the share of the making that is done while there is none yet.

        While pictures come and go the last map is given, and a new one made now and then.

        Raises:
            LibraryError: it could not be made; says why.
        """
        try:
            space = self._roster.choice("image")
        except UsageError:  # nothing is indexed
            return Layout(np.empty(0, np.int64), np.empty((0, 2), np.float32), "", _now(), "empty")
        key = f"{VERSION} {self._store.generation_of(space)}"
        with self._guard:
            if self._last is None:
                self._last = self._read(space)
            if self._last is not None and self._last.key == key:
                return self._last
            if self._failed is not None and self._failed[0] == key:
                raise LibraryError(f"the map could not be made: {self._failed[1]}")
            rested = time.monotonic() - self._ended > REST * self._took
            if self._thread is None and not self._stop and (self._last is None or rested):
                self._share = 0.0
                self._thread = threading.Thread(
                    target=self._make, args=(space, key), name="needlepoint-map", daemon=True
                )
                self._thread.start()
            thread = self._thread
        if thread is not None:
            thread.join(SOON)
        with self._guard:
            if self._last is None:
                return self._share
            return self._last if self._last.key == key else self._still(self._last)

    def close(self) -> None:
        """Give up what is being made."""
        self._stop = True
        thread = self._thread
        if thread is not None:
            thread.join(10)

    def _still(self, old: Layout) -> Layout:
        """An older map without the pictures that are gone since."""
        here = np.isin(old.ids, self._store.query_facts("1", ()))
        return Layout(old.ids[here], old.places[here], old.space, old.made, old.key, False)

    # -- on the thread

    def _make(self, space: Space, key: str) -> None:
        began = time.monotonic()
        _step_back()
        made: Layout | None = None
        failed: tuple[str, str] | None = None
        try:
            ids, vectors = self._store.wholes(space)
            places = project(vectors, progress=self._tell)
            made = Layout(ids, places, f"{space.encoder} {space.name}", _now(), key)
            self._write(space, made)
        except _Stopped:
            pass
        except Exception as error:  # whatever it was, who asks is told and nobody waits
            failed = (key, f"{type(error).__name__}: {error}".rstrip(": "))
        with self._guard:
            self._last, self._failed = made or self._last, failed
            self._took, self._ended = time.monotonic() - began, time.monotonic()
            self._thread = None

    def _tell(self, share: float) -> None:
        if self._stop:
            raise _Stopped
        self._share = share

    # -- kept on disk

    def _path(self, space: Space) -> Path:
        return self._store.folder / "cache" / f"map-{space.id}.bin"

    def _read(self, space: Space) -> Layout | None:
        opened = open_cache(self._path(space), {"version": VERSION})
        if opened is None:
            return None
        facts, arrays = opened
        # copied out of the file, which the next map takes the place of
        ids, places = arrays["ids"].copy(), arrays["places"].copy()
        return Layout(ids, places, facts["space"], facts["made"], facts["key"])

    def _write(self, space: Space, made: Layout) -> None:
        if not self._store.writable:
            return
        facts = {"version": VERSION, "space": made.space, "made": made.made, "key": made.key}
        shapes = {"ids": ("<i8", made.ids.shape), "places": ("<f4", made.places.shape)}
        with contextlib.suppress(OSError):  # no room: it is made again next time
            new = NewCache(self._path(space), facts, shapes, list(shapes))
            try:
                new.arrays["ids"][:], new.arrays["places"][:] = made.ids, made.places
                new.finish()
            except BaseException:
                new.abandon()
                raise


def _step_back() -> None:
    """Let everything else go first, where a thread can have a priority of its own."""
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
