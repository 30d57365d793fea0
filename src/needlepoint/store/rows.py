"""Between the nouns of the store and what stands in its tables (shapes: R regions, D dim)."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.picture import Facts
from needlepoint.search.codes import code_bytes, decode, encode, finer
from needlepoint.store.base import FileRecord, Space, VectorRow

FILE_COLUMNS = ("root", "raw", "path", "folder", "name", "size", "mtime_ns", "digest")
FACT_COLUMNS = (
    *("format", "width", "height", "orientation", "taken", "date", "year", "month", "day"),
    *("camera", "lens", "lat", "lon", "rating", "keywords"),
)
WANTED = (
    "id, root, raw, size, mtime_ns, digest, width, height, format, taken, camera, lens, lat, lon, "
    "keywords, rating"
)
"""Columns that :func:`record_of` reads."""

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def raw_path(path: str) -> bytes:
    """The bytes of a path, with ``/`` between its parts, whatever its encoding was."""
    return os.fsencode(path.replace(os.sep, "/") if os.sep != "/" else path)


def file_values(file: FileRecord) -> tuple[Any, ...]:
    """Values of FILE_COLUMNS."""
    raw = raw_path(file.path)
    # a name that is not UTF-8 is shown and filtered with replacement characters
    path = raw.decode("utf-8", "replace")
    folder, _, name = path.rpartition("/")
    return (file.root, raw, path, folder, name, file.size, file.mtime_ns, file.digest)


def fact_values(facts: Facts) -> tuple[Any, ...]:
    """Values of FACT_COLUMNS; date, year, month and day are taken from ``taken``."""
    date = _DATE.match(facts.taken or "")
    day = (date.group(0), *map(int, date.groups())) if date else (None,) * 4
    keywords = json.dumps(list(facts.keywords), ensure_ascii=False)
    return (
        *(facts.format, facts.width, facts.height, facts.orientation, facts.taken, *day),
        *(facts.camera, facts.lens, facts.lat, facts.lon, facts.rating, keywords),
    )


def record_of(row: tuple[Any, ...]) -> tuple[int, FileRecord, Facts]:
    """A row of the WANTED columns as id, file and facts."""
    picture, root, raw, size, mtime_ns, digest, width, height, kind, *rest = row
    taken, camera, lens, lat, lon, keywords, rating = rest
    file = FileRecord(root, os.fsdecode(raw), size, mtime_ns, digest)
    words = tuple(json.loads(keywords))
    facts = Facts(width, height, kind, taken, camera, lens, lat, lon, words, rating)
    return picture, file, facts


def pack_boxes(boxes: Floats) -> bytes:
    """Boxes float32 ``[R, 4]`` to whole pixels, 8 bytes each, or 16 beyond 65535 pixels."""
    if not len(boxes):
        return b""
    corners = np.rint(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))
    corners = np.maximum(corners, 0)
    whole = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return whole.astype("<u2" if whole.max() <= 65535 else "<u4").tobytes()


def unpack_boxes(blob: bytes, count: int) -> Floats:
    """Boxes float32 ``[R, 4]`` of a blob that holds ``count`` of them."""
    kind = "<u2" if len(blob) == 8 * count else "<u4"
    return np.frombuffer(blob, kind).astype(np.float32).reshape(count, 4)


def vector_values(row: VectorRow, space: Space, path: str) -> tuple[Any, ...]:
    """Values of count, whole, boxes, regions.

    Raises:
        UsageError: vectors of another dim, not of unit length, or not as many as boxes.
    """
    regions = np.asarray(row.regions, np.float32).reshape(-1, space.dim)
    boxes = np.asarray(row.boxes, np.float32).reshape(-1, 4)
    whole = np.asarray(row.whole, np.float32)
    where = f"{path} in space {space.name!r}"
    if whole.shape != (space.dim,):
        raise UsageError(f"whole of {where} must have shape [{space.dim}], got {whole.shape}")
    if len(boxes) != len(regions):
        raise UsageError(f"{where} has {len(regions)} regions but {len(boxes)} boxes")
    every = np.concatenate([whole[None], regions])
    length = np.sqrt(np.einsum("ij,ij->i", every, every))
    # written so that NaN fails too
    if not (np.abs(length - 1) < 1e-2).all() or not np.isfinite(boxes).all():
        raise UsageError(
            f"vectors of {where} must have unit length and finite boxes, got lengths "
            f"{length.min():.4g} to {length.max():.4g}"
        )
    codes = encode(regions, space.codec)
    return (
        len(regions),
        encode(whole[None], finer(space.codec)).tobytes(),
        pack_boxes(boxes),
        codes.tobytes(),
    )


def vectors_of(space: Space, count: int, whole: bytes, boxes: bytes, regions: bytes) -> VectorRow:
    """A stored row, decoded to unit vectors."""
    codes = np.frombuffer(regions, np.uint8).reshape(count, code_bytes(space.codec, space.dim))
    return VectorRow(
        space.id,
        decode(np.frombuffer(whole, np.uint8)[None], finer(space.codec), space.dim)[0],
        decode(codes, space.codec, space.dim),
        unpack_boxes(boxes, count),
    )
