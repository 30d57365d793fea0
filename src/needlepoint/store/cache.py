"""Files of arrays beside the database, mapped into memory, thrown away whenever in doubt.

A file holds one segment of one space: a header of JSON, then the arrays, each at a multiple of
64 bytes. It is written under another name and moved into place, so a reader sees the old file,
the new one, or none.
"""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import os
import secrets
import shutil
import struct
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shapes = Mapping[str, tuple[str, tuple[int, ...]]]

_MAGIC = b"needlepoint cache 1\n"
_HEAD = struct.Struct("<20sQQII")  # magic, file size, header length, crc of header, of small arrays
_ALIGN = 64
_ABANDONED = 3600.0  # seconds


class NewCache:
    """A cache file being written: fill ``arrays``, then :meth:`finish`.

    The arrays named in ``checked`` are covered by a checksum, which every opening reads through.
    """

    def __init__(
        self, path: Path, facts: Mapping[str, Any], shapes: Shapes, checked: Sequence[str]
    ) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        self._checked = list(checked)
        layout, place = {}, 0
        for name, (kind, shape) in shapes.items():
            layout[name] = [kind, list(shape), place]
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
            place = -(-(place + size) // _ALIGN) * _ALIGN
        self._header = json.dumps(
            {"facts": dict(facts), "arrays": layout, "checked": self._checked}, sort_keys=True
        ).encode()
        self._start = -(-(_HEAD.size + len(self._header)) // _ALIGN) * _ALIGN
        self._size = self._start + place
        path.parent.mkdir(exist_ok=True)
        try:
            with self._part.open("w+b") as file:
                _reserve(file, self._size)
                self._map = mmap.mmap(file.fileno(), self._size)
        except OSError:
            self.abandon()
            raise
        self.arrays = _views(self._map, self._start, layout)

    def finish(self) -> None:
        """Seal the file with its checksums and move it into place."""
        self._map[_HEAD.size : _HEAD.size + len(self._header)] = self._header
        self._map[: _HEAD.size] = _HEAD.pack(
            _MAGIC,
            self._size,
            len(self._header),
            zlib.crc32(self._header),
            _checksum(self.arrays, self._checked),
        )
        self._map.flush()
        os.replace(self._part, self._path)
        sweep(self._path.parent)

    def abandon(self) -> None:
        """Remove what has been written."""
        with contextlib.suppress(OSError):
            self._part.unlink()


def _reserve(file: BinaryIO, size: int) -> None:
    """Claim the room now: a mapped file that finds none while it is filled ends the process."""
    file.truncate(size)
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    elif shutil.disk_usage(Path(file.name).parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def open_cache(
    path: Path, facts: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Array]] | None:
    """Facts and arrays of a cache file, or None unless it is whole and agrees with ``facts``."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, size, length, header_crc, arrays_crc = _HEAD.unpack_from(mapped)
        if magic != _MAGIC or size != len(mapped):
            return None
        header = mapped[_HEAD.size : _HEAD.size + length]
        if zlib.crc32(header) != header_crc:
            return None
        told = json.loads(header)
        if any(told["facts"].get(key) != value for key, value in facts.items()):
            return None
        start = -(-(_HEAD.size + length) // _ALIGN) * _ALIGN
        arrays = _views(mapped, start, told["arrays"])
        if _checksum(arrays, told["checked"]) != arrays_crc:
            return None
    except (OSError, ValueError, KeyError, struct.error):
        return None
    return told["facts"], arrays


def _views(mapped: mmap.mmap, start: int, layout: Mapping[str, Any]) -> dict[str, Array]:
    views = {}
    for name, (kind, shape, place) in layout.items():
        count = int(np.prod(shape, dtype=np.int64))
        flat = np.frombuffer(mapped, kind, count, start + place) if count else np.empty(0, kind)
        views[name] = flat.reshape(shape)
    return views


def _checksum(arrays: Mapping[str, Array], names: Sequence[str]) -> int:
    crc = 0
    for name in names:
        crc = zlib.crc32(arrays[name].reshape(-1).view(np.uint8).data, crc)
    return crc


def sweep(folder: Path) -> None:
    """Remove what builders that were interrupted have left, an hour after."""
    for part in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED:
                part.unlink()
