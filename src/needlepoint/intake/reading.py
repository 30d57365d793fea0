"""Getting the bytes of a file safely: nothing special is opened, nothing is unbounded."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import BinaryIO

from needlepoint.errors import PictureError
from needlepoint.intake.container import HEAD_BYTES

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_CHUNK = 4 << 20

_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


def special_kind(mode: int) -> str | None:
    """Say what a mode is when it is not a regular file, else None."""
    if stat.S_ISREG(mode):
        return None
    return next((talk for test, talk in _KINDS if test(mode)), "is not a regular file")


def os_reason(error: OSError) -> str:
    """A short, stable reason for a system error."""
    known = {
        errno.ENOENT: "file is gone",
        errno.ENOTDIR: "file is gone",
        errno.EACCES: "no permission to read",
        errno.EPERM: "no permission to read",
        errno.ELOOP: "symbolic link loop",
        errno.ENAMETOOLONG: "path too long",
        errno.EIO: "disk read error",
        errno.ESTALE: "network folder is gone",
    }
    return known.get(error.errno or 0, (error.strerror or type(error).__name__).lower())


def open_regular(path: str) -> int:
    """Open a regular file for reading and return its descriptor; others are never opened.

    Raises:
        PictureError: it is a pipe, socket, device or folder, or it cannot be opened.
    """
    try:
        kind = special_kind(os.stat(path).st_mode)
        if kind:
            raise PictureError(path, kind)
        fd = os.open(path, _FLAGS)
    except OSError as error:
        raise PictureError(path, os_reason(error)) from None
    except ValueError:
        raise PictureError(path, "path holds a NUL character") from None
    # the name may have been given to something else between the two calls
    kind = special_kind(os.fstat(fd).st_mode)
    if kind:
        os.close(fd)
        raise PictureError(path, kind)
    return fd


def read_head(path: str, count: int = HEAD_BYTES) -> bytes:
    """First ``count`` bytes of a regular file; raises PictureError."""
    fd = open_regular(path)
    try:
        return os.read(fd, count)
    except OSError as error:
        raise PictureError(path, os_reason(error)) from None
    finally:
        os.close(fd)


def read_file(
    path: str, max_bytes: int, *, accept_head: Callable[[bytes], None] | None = None
) -> bytes:
    """All bytes of a regular file of at most ``max_bytes``.

    ``accept_head`` is called with the first bytes and may raise to stop early. The file is read
    into memory, not mapped, so that another program that shortens it cannot crash this one.

    Raises:
        PictureError: not regular, unreadable, empty, too large, or changed while being read.
    """
    fd = open_regular(path)
    try:
        before = os.fstat(fd)
        if before.st_size == 0:
            raise PictureError(path, "empty file")
        if before.st_size > max_bytes:
            raise PictureError(path, f"file larger than {_human(max_bytes)}")
        chunks = [os.read(fd, min(_CHUNK, max(HEAD_BYTES, before.st_size)))]
        if accept_head is not None:
            accept_head(chunks[0])
        total = len(chunks[0])
        while total < before.st_size:
            chunk = os.read(fd, min(_CHUNK, before.st_size - total))
            if not chunk:
                break
            chunks.append(chunk)
            total += len(chunk)
        after = os.fstat(fd)
    except OSError as error:
        raise PictureError(path, os_reason(error)) from None
    finally:
        os.close(fd)
    if total != before.st_size or (after.st_size, after.st_mtime_ns) != (
        before.st_size,
        before.st_mtime_ns,
    ):
        raise PictureError(path, "changed while being read")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def read_stream(stream: BinaryIO, name: str, max_bytes: int) -> bytes:
    """Rest of an open binary stream, at most ``max_bytes``; raises PictureError."""
    try:
        data = stream.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise PictureError(name, f"stream cannot be read: {error}") from None
    if len(data) > max_bytes:
        raise PictureError(name, f"file larger than {_human(max_bytes)}")
    return data


def _human(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
