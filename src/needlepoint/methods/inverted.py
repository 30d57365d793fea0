"""What was inverted once, kept in memory: asking again with another change costs nothing.

Shapes: N vectors, D joint dim, R pseudo-words or pseudo-patches, C their width.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from needlepoint.parts import Encoder, Floats

MOST = 4096
"""Inversions held, of all encoders; those unused for longest go first."""

_guard = threading.Lock()
_held: OrderedDict[tuple[Any, ...], Floats] = OrderedDict()


def inverted(
    encoder: Encoder, vectors: Floats, options: Hashable, invert: Callable[[Floats], Floats]
) -> Floats:
    """Inversions float32 ``[N, R, C]`` of vectors; those seen before are not made again.

    Args:
        encoder: whose vectors they are.
        vectors: float32 ``[N, D]``.
        options: everything the inversion hangs on besides.
        invert: vectors ``[n, D]``, each of another question, to inversions ``[n, R, C]``, each of
            them a function of its vector alone.
    """
    fingerprint = encoder.card.fingerprint()
    keys = [(fingerprint, options, vector.tobytes()) for vector in vectors]
    with _guard:
        found = {key: _held[key] for key in keys if key in _held}
    new = {key: row for row, key in enumerate(keys) if key not in found}
    if new:
        found.update(zip(new, invert(vectors[list(new.values())]), strict=True))
    with _guard:
        for key in keys:
            _held[key] = found[key]
            _held.move_to_end(key)
        while len(_held) > MOST:
            _held.popitem(last=False)
    return np.stack([found[key] for key in keys])


def forget() -> None:
    """Drop what is held, so that the next question is timed as the first."""
    with _guard:
        _held.clear()
