"""Vectors of texts that come back with every question: captions in memory, vocabularies on disk.

Shapes: N texts, D joint dim.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from needlepoint.methods.composing import Sight, text_vectors
from needlepoint.parts import Floats

MOST = 20_000
"""Captions whose vectors are held, of all encoders; those unused for longest go first."""

_LISTS = 4
_guard = threading.Lock()
_held: OrderedDict[tuple[str, str], Floats] = OrderedDict()
_lists: OrderedDict[str, Floats] = OrderedDict()


def known_vectors(texts: Sequence[str], view: Sight) -> Floats:
    """Vectors float32 ``[N, D]`` of texts, unit length; one seen before is not encoded again.

    Raises:
        LibraryIncompatible: the encoder has no text side.
    """
    fingerprint = view.encoder.card.fingerprint()
    wanted = list(dict.fromkeys(texts))
    with _guard:
        found = {text: _held[fingerprint, text] for text in wanted if (fingerprint, text) in _held}
    new = [text for text in wanted if text not in found]
    if new:
        found.update(zip(new, text_vectors(new, view), strict=True))
    with _guard:
        for text in wanted:
            _held[fingerprint, text] = found[text]
            _held.move_to_end((fingerprint, text))
        while len(_held) > MOST:
            _held.popitem(last=False)
    rows = [found[text] for text in texts]
    return np.stack(rows) if rows else np.zeros((0, view.encoder.card.dim), np.float32)


def list_vectors(words: Sequence[str], view: Sight) -> Floats:
    """The same for a long list that never changes: kept on disk beside other caches.

    A disk that fails only stops the keeping.
    """
    seen = hashlib.blake2b(view.encoder.card.fingerprint().encode(), digest_size=16)
    seen.update("\0".join(words).encode("utf-8", "surrogatepass"))
    key = seen.hexdigest()
    with _guard:
        if key in _lists:
            _lists.move_to_end(key)
            return _lists[key]
    file = _folder() / f"{key}.npy"
    vectors = _read(file, len(words))
    if vectors is None:
        vectors = text_vectors(words, view)
        with contextlib.suppress(OSError):
            _write(file, vectors)
    with _guard:
        _lists[key] = vectors
        while len(_lists) > _LISTS:
            _lists.popitem(last=False)
    return vectors


def forget() -> None:
    """Drop what is held in memory, so that a measurement meets texts for the first time."""
    with _guard:
        _held.clear()


def _folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("needlepoint", appauthor=False) / "words"


def _read(file: Path, count: int) -> Floats | None:
    """None where nothing is kept, or something damaged."""
    try:
        vectors: Floats = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return vectors if vectors.dtype == np.float32 and vectors.shape[:1] == (count,) else None


def _write(file: Path, vectors: Floats) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            np.save(out, vectors)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
