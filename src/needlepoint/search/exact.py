"""Scores of every picture from every stored vector (shapes: N pictures, T vectors, V probes).

Two ways of computing the same number. :func:`scan` is quick: blocks are decoded and multiplied
with all probes at once, and rounding may differ in the last digits with the shape of a block.
:func:`best_of` is slow and canonical: a picture's score depends on its codes and the probe
alone, bit for bit. A search scans, keeps whatever lies within :func:`slack` of the k-th best, and
ranks that by the canonical scores.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from needlepoint.parts import Codec, Floats
from needlepoint.search.codes import Codes, unpack
from needlepoint.search.cores import share_out

_BLOCK = 2048  # rows decoded at once: 4 MB at 512 numbers, stays in the cache of one core

Offsets = npt.NDArray[np.int64]


def slack(dim: int) -> float:
    """How far :func:`scan` may be from the canonical score of unit vectors of ``dim`` numbers.

    A float32 sum of D products is off by at most D * 2**-24 times the sum of their magnitudes,
    which is at most 1 here; the division by the length adds as much again.
    """
    return (2 * dim + 16) * 2.0**-24


def dots(vectors: Floats, probes: Floats) -> Floats:
    """Canonical cosines float32 ``[T, V]`` of unit rows ``[T, D]`` and unit probes ``[V, D]``.

    Each is summed in float64 in an order that depends on D alone, then rounded once.
    """
    wide = vectors.astype(np.float64)
    columns = [(wide * probe.astype(np.float64)).sum(axis=1) for probe in probes]
    return np.stack(columns, axis=1).astype(np.float32)


def best_of(
    whole: Floats, regions: Floats, probes: Floats
) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Canonical scores of one picture for each probe, and which region gave the best.

    Args:
        whole: float32 ``[D]``, the vector of the whole picture.
        regions: float32 ``[R, D]``; R may be 0.
        probes: float32 ``[V, D]``.

    Returns:
        the whole picture's score float32 ``[V]``; the best region's, float32 ``[V]``, minus
        infinity where R is 0; and the first best region, int64 ``[V]``, or -1 where R is 0.
    """
    alone = dots(whole[None], probes)[0]
    if not len(regions):
        return alone, np.full_like(alone, -np.inf), np.full(len(probes), -1, np.int64)
    scores = dots(regions, probes)
    first = scores.argmax(axis=0)
    return alone, scores[first, np.arange(len(probes))], first


def scan(codes: Codes, codec: Codec, probes: Floats, inverse: Floats | None = None) -> Floats:
    """Cosines float32 ``[T, V]`` of codes uint8 ``[T, B]`` with unit probes ``[V, D]``.

    They lie column after column in memory. ``inverse`` float32 ``[T]`` is one over the length of
    each unpacked row, when known.
    """
    scores = np.empty((len(probes), len(codes)), np.float32)
    share_out(partial(_scan, codes, codec, probes, inverse, scores), len(codes) // (8 * _BLOCK))
    return scores.T


def _scan(
    codes: Codes,
    codec: Codec,
    probes: Floats,
    inverse: Floats | None,
    scores: Floats,
    first: int,
    every: int,
) -> None:
    """Fill every ``every``-th block of ``scores`` ``[V, T]``, from block ``first`` on."""
    total, dim = len(codes), probes.shape[1]
    turned = np.ascontiguousarray(probes.T)
    for start in range(first * _BLOCK, total, every * _BLOCK):
        numbers = unpack(codes[start : start + _BLOCK], codec, dim)
        part, out = (numbers @ turned).T, scores[:, start : start + _BLOCK]
        if inverse is None:
            size = np.sqrt(np.einsum("ij,ij->i", numbers, numbers))
            np.divide(part, np.where(size > 0, size, np.float32(1)), out=out)
        else:
            np.multiply(part, inverse[start : start + _BLOCK], out=out)


def segment_max(scores: Floats, offsets: Offsets) -> Floats:
    """Largest score of each segment, float32 ``[N, V]``; minus infinity where it is empty.

    ``scores`` float32 ``[T, V]``; picture i owns the rows ``offsets[i]`` to ``offsets[i + 1]``.
    """
    best = np.full((len(offsets) - 1, scores.shape[1]), -np.inf, np.float32)
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        # the start of the next filled segment ends this one, for empty ones own no rows
        best[filled] = np.maximum.reduceat(scores, offsets[filled], axis=0)
    return best
