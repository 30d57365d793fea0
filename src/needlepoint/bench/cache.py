"""Features kept on disk between runs: many methods look at the same crops.

One SQLite file for each encoder, named by the fingerprint of its card; a row for each picture,
what was wanted of it and of which block. Numbers are kept as they came (float32).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from needlepoint.bench.counting import with_methods
from needlepoint.parts import DenseFeatures, Encoder, Floats, ImageFeatures, TextFeatures
from needlepoint.picture import Pixels

LIMIT_MB = 8192
"""Size of the cache of one encoder in megabytes; the oldest rows make way."""

_LARGEST = 2_000_000  # bytes of one row; a larger one is read hardly faster than it is made
_FORM = 1  # changes with the layout of a row

F = TypeVar("F", ImageFeatures, TextFeatures)


class FeatureStore:
    """Rows of bytes by key, in one file, bounded in size. A failing disk only stops the keeping."""

    def __init__(self, path: Path, limit_mb: int = LIMIT_MB) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._limit = limit_mb * 1_000_000
        self._broken = False
        try:
            self._open(path)
        except sqlite3.OperationalError:  # no permission, a full disk
            raise
        except sqlite3.DatabaseError:  # damaged: everything in it can be made again
            self._data.close()
            path.unlink()
            self._open(path)

    def _open(self, path: Path) -> None:
        self._data = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._data.execute("PRAGMA journal_mode=WAL")
        self._data.execute("PRAGMA synchronous=NORMAL")
        self._data.execute(
            "CREATE TABLE IF NOT EXISTS kept (number INTEGER PRIMARY KEY, key TEXT UNIQUE, "
            "data BLOB NOT NULL)"
        )
        self._bytes = self._held()

    def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """The bytes of each key, None where there are none."""
        find = "SELECT data FROM kept WHERE key = ?"
        try:
            rows = [self._data.execute(find, (key,)).fetchone() for key in keys]
        except sqlite3.Error:
            self._broken = True
            return [None] * len(keys)
        return [None if row is None else row[0] for row in rows]

    def put(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """Keep rows, all or none; the oldest go when the limit is passed."""
        fitting = [(key, data) for key, data in rows if len(data) <= _LARGEST]
        if self._broken or not fitting:
            return
        try:
            self._data.execute("BEGIN IMMEDIATE")
            self._data.executemany("INSERT OR IGNORE INTO kept (key, data) VALUES (?, ?)", fitting)
            self._data.execute("COMMIT")
            self._bytes += sum(len(data) for _, data in fitting)
            if self._bytes > self._limit:
                self._shrink()
        except sqlite3.Error:
            self._broken = True
            if self._data.in_transaction:
                self._data.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        self._data.close()

    def _held(self) -> int:
        return int(self._data.execute("SELECT total(length(data)) FROM kept").fetchone()[0])

    def _shrink(self) -> None:
        """Drop the oldest rows until a tenth of the limit is free."""
        spare = self._held() - self._limit * 9 // 10
        for number, size in self._data.execute(
            "SELECT number, length(data) FROM kept ORDER BY number"
        ).fetchall():
            if spare <= 0:
                break
            self._data.execute("DELETE FROM kept WHERE number = ?", (number,))
            spare -= size
        self._bytes = self._held()


def remembering(encoder: Encoder, folder: Path, *, limit_mb: int = LIMIT_MB) -> Encoder:
    """The same encoder, with what it says of pictures and texts kept below ``folder``.

    Another card, another pixel, another wish or another block is another row.
    """
    store = FeatureStore(folder / f"{encoder.card.fingerprint()}.sqlite", limit_mb)

    def image_features(
        self: Any,
        pictures: Sequence[Pixels],
        *,
        want: frozenset[str] = frozenset(),
        block: int = -1,
        **more: Any,
    ) -> ImageFeatures:
        how = f"image {'+'.join(sorted(want))} {block}{_told(more)}"
        keys = [f"{how} {pixel_digest(pixels)}" for pixels in pictures]

        def make(places: list[int]) -> ImageFeatures:
            chosen = [pictures[i] for i in places]
            return encoder.image_features(chosen, want=want, block=block, **more)

        return _kept_rows(store, keys, make, ImageFeatures)

    def text_features(
        self: Any, texts: Sequence[str], *, want: frozenset[str] = frozenset()
    ) -> TextFeatures:
        how = f"text {'+'.join(sorted(want))}"
        keys = [f"{how} {_digest(text.encode())}" for text in texts]

        def make(places: list[int]) -> TextFeatures:
            chosen = [texts[i] for i in places]
            found: TextFeatures = encoder.text_features(chosen, want=want)  # type: ignore[attr-defined]
            return found

        return _kept_rows(store, keys, make, TextFeatures)

    def dense_features(self: Any, pixels: Pixels, *, long_side: int, **more: Any) -> DenseFeatures:
        key = f"dense {long_side}{_told(more)} {pixel_digest(pixels)}"
        held = store.get([key])[0]
        if held is not None:
            return DenseFeatures(**_unpack(held))
        made: DenseFeatures = encoder.dense_features(pixels, long_side=long_side, **more)  # type: ignore[attr-defined]
        store.put([(key, _pack({f.name: getattr(made, f.name) for f in fields(made)}))])
        return made

    def query_features(self: Any, pictures: Sequence[Pixels], *, alone: bool = True) -> Floats:
        keys = [f"query {alone} {pixel_digest(pixels)}" for pixels in pictures]

        def make(places: list[int]) -> ImageFeatures:
            chosen = [pictures[i] for i in places]
            return ImageFeatures(encoder.query_features(chosen, alone=alone))  # type: ignore[attr-defined]

        return _kept_rows(store, keys, make, ImageFeatures).vector

    own = (image_features, text_features, dense_features, query_features)
    return with_methods(encoder, own)


def _told(more: dict[str, Any]) -> str:
    """Further arguments as part of a key; sets in order."""
    return "".join(
        f" {name}={sorted(value) if isinstance(value, frozenset) else value}"
        for name, value in sorted(more.items())
    )


def pixel_digest(pixels: Pixels) -> str:
    """Hash (32 hex digits) of the size and the pixels of a picture."""
    return _digest(repr(pixels.shape).encode(), np.ascontiguousarray(pixels).data)


def _digest(*parts: bytes | memoryview) -> str:
    seen = hashlib.blake2b(digest_size=16)
    for part in parts:
        seen.update(part)
    return seen.hexdigest()


def _kept_rows(
    store: FeatureStore, keys: list[str], make: Callable[[list[int]], F], kind: type[F]
) -> F:
    """Features of N things: rows that are kept, the others made in one batch and kept."""
    if not keys:
        return make([])
    held = store.get(keys)
    missing = list(
        {key: i for i, (key, data) in enumerate(zip(keys, held, strict=True)) if not data}.values()
    )
    fresh: dict[str, dict[str, Any]] = {}
    if missing:
        made = _rows_of(make(missing), len(missing))
        fresh = {keys[i]: row for i, row in zip(missing, made, strict=True)}
        store.put([(key, _pack(row)) for key, row in fresh.items()])
    rows = [_unpack(data) if data else fresh[key] for key, data in zip(keys, held, strict=True)]
    return kind(**{name: _joined([row[name] for row in rows]) for name in rows[0]})


def _rows_of(features: ImageFeatures | TextFeatures, count: int) -> list[dict[str, Any]]:
    """One dictionary of fields for each of N things; what is no array is the same in all."""

    def at(value: Any, i: int) -> Any:
        if isinstance(value, np.ndarray):
            return value[i]
        if isinstance(value, dict):
            return {key: at(one, i) for key, one in value.items()}
        return value

    named = {field.name: getattr(features, field.name) for field in fields(features)}
    return [{name: at(value, i) for name, value in named.items()} for i in range(count)]


def _joined(values: list[Any]) -> Any:
    """The opposite of the rows of ``_rows_of``."""
    first = values[0]
    if isinstance(first, np.ndarray | np.generic):
        return np.stack(values)
    if isinstance(first, dict):
        return {key: _joined([value[key] for value in values]) for key in first}
    return first


def _pack(named: dict[str, Any]) -> bytes:
    """Fields as bytes: a line of JSON, then the arrays it tells of, one behind the other."""
    arrays: list[bytes] = []

    def told(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            arrays.append(array.tobytes())
            return {"array": [str(array.dtype), list(array.shape)]}
        if isinstance(value, dict):
            return {"named": {key: told(one) for key, one in value.items()}}
        return list(value) if isinstance(value, tuple) else value

    head = json.dumps([_FORM, {name: told(value) for name, value in named.items()}])
    return b"".join([head.encode(), b"\n", *arrays])


def _unpack(data: bytes) -> dict[str, Any]:
    """What ``_pack`` was given."""
    end = data.index(b"\n")
    place = end + 1

    def read(told: Any) -> Any:
        nonlocal place
        if isinstance(told, dict) and "array" in told:
            kind, shape = np.dtype(told["array"][0]), tuple(told["array"][1])
            size = int(np.prod(shape))
            array: npt.NDArray[Any] = np.frombuffer(data, kind, size, place).reshape(shape)
            place += array.nbytes
            return array.copy()  # aligned and writable
        if isinstance(told, dict):
            return {key: read(one) for key, one in told["named"].items()}
        return tuple(told) if isinstance(told, list) else told

    return {name: read(told) for name, told in json.loads(data[:end])[1].items()}
