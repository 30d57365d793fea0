"""One writer at a time, across processes: a lock on a file that dies with its holder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from needlepoint.errors import LibraryBusy, LibraryError

_NAME = "writer.lock"


class WriterLock:
    """The right to write to one library folder. The file says which process has it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            LibraryBusy: another process, or another object in this one, has it.
            LibraryError: the folder cannot be written.
        """
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise LibraryError(
                f"library {self._path.parent} cannot be written: {error.strerror}. Searching "
                "works; to index, make it writable or choose another with --library"
            ) from error
        try:
            _lock(handle)
        except OSError:
            os.lseek(handle, 1, os.SEEK_SET)
            holder = os.read(handle, 20).decode("ascii", "replace").strip()
            os.close(handle)
            raise LibraryBusy(
                f"library {self._path.parent} is being written by process {holder or 'unknown'}; "
                "wait until it has finished, or end it"
            ) from None
        os.ftruncate(handle, 1)
        os.lseek(handle, 1, os.SEEK_SET)
        os.write(handle, f"{os.getpid()}\n".encode())
        self._handle = handle

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            _unlock(handle)  # said aloud: a forked child may still hold a copy of the handle
            os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
