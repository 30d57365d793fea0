"""A first look at many vectors through one bit a number (shapes: T vectors, D dim, W words).

Kept of a vector x are the signs s (+1 or -1) of ``x - shift``. The best linear guess of x from
them, ``centre + A s``, is fitted by least squares on a sample, so the cosine with a question q
is guessed as ``q . centre + (A^T q) . s``. The fit takes care of what makes bare signs fail: a
strong mean direction, numbers of unequal spread, correlated ones, and questions that point where
the pictures do not vary, as words do in a space shared with pictures.

The weights ``A^T q`` are rounded to a few binary planes, and each plane costs one exclusive-or
and one bit count a word (Gao and Long 2024, "RaBitQ", section 3.3, for the planes).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from needlepoint.parts import Floats
from needlepoint.search.codes import Words, sign_words_of
from needlepoint.search.cores import share_out

_BLOCK = 32768  # vectors scanned at once: 256 KB a word, stays in the second-level cache
_SHORT = 0.1  # a mean of this length moves the signs of unit vectors little
_STEPS = np.linspace(0.15, 1.0, 35)  # largest weight kept, in parts of the largest there is


@dataclass(frozen=True, slots=True)
class SignDecoder:
    """How bits are made and read: x is about ``centre + matrix @ s``, s the signs of x - shift.

    ``shift`` and ``centre`` float32 ``[D]``, ``matrix`` float32 ``[D, D]``.
    """

    shift: Floats
    centre: Floats
    matrix: Floats

    def weigh(self, probe: Floats) -> tuple[float, Floats]:
        """Constant and weights float32 ``[D]`` of the guess for a probe float32 ``[D]``."""
        return float(probe @ self.centre), probe @ self.matrix


def fit_decoder(sample: Floats) -> SignDecoder:
    """Least-squares decoder from a sample of vectors float32 ``[n, D]``, ideally n > 10 D.

    Few vectors are helped by a ridge: the fit leans on a plain sign decoder as strongly as if
    2 D vectors had said so. ``shift`` is the mean of the sample, or 0 where that is short enough
    to leave the signs balanced.
    """
    count, dim = sample.shape
    wide = sample.astype(np.float64)
    mean = wide.mean(axis=0) if count else np.zeros(dim)
    shift = mean if np.linalg.norm(mean) > _SHORT else np.zeros(dim)
    signs = np.where(wide >= shift, 1.0, -1.0)
    lean = signs.mean(axis=0) if count else np.zeros(dim)
    wide -= mean
    signs -= lean
    ridge = 2.0 * dim
    prior = np.abs(wide).mean(axis=0) if count else np.full(dim, dim**-0.5)
    left = signs.T @ signs + ridge * np.eye(dim)
    right = signs.T @ wide + ridge * np.diag(prior)
    matrix = np.linalg.solve(left, right).T
    return SignDecoder(
        shift.astype(np.float32),
        (mean - matrix @ lean).astype(np.float32),
        np.ascontiguousarray(matrix, np.float32),
    )


@dataclass(frozen=True, slots=True)
class BitProbe:
    """A probe made ready for bits: the guess is ``most - 2 * step * penalty``.

    ``signs`` uint64 ``[W]`` are those of the weights; ``masks`` uint64 ``[P, W]`` the planes of
    their rounded magnitudes, the lowest first.
    """

    most: float
    step: float
    signs: Words
    masks: Words


def bit_probe(constant: float, weights: Floats, planes: int) -> BitProbe:
    """Round weights float32 ``[D]`` to ``planes`` bits each, with the step that loses least."""
    size = np.abs(weights).astype(np.float64)
    top = (1 << planes) - 1
    best, step = np.inf, 1.0
    for part in _STEPS:
        trial = max(part * size.max(), 1e-12) / top
        loss = float(((size - trial * np.minimum(np.rint(size / trial), top)) ** 2).sum())
        if loss < best:
            best, step = loss, trial
    levels = np.minimum(np.rint(size / step), top).astype(np.int64)
    masks = [sign_words_of(np.where(levels >> p & 1, 1, -1)[None])[:, 0] for p in range(planes)]
    most = constant + step * float(levels.sum())
    return BitProbe(most, step, sign_words_of(weights[None])[:, 0], np.stack(masks))


def penalties(words: Words, probe: BitProbe) -> npt.NDArray[np.uint16]:
    """Weight of the signs that differ from the probe's, uint16 ``[T]``, of words ``[W, T]``.

    Many vectors are shared out among the cores this process may use; the result is the same.
    """
    total = words.shape[1]
    found = np.zeros(total, np.uint16)
    share_out(partial(_count, words, probe, found), total // (8 * _BLOCK))
    return found


def _count(
    words: Words, probe: BitProbe, found: npt.NDArray[np.uint16], first: int, every: int
) -> None:
    """Fill every ``every``-th block of ``found``, from block ``first`` on."""
    rows, total = words.shape
    size = min(_BLOCK, max(total, 1))
    differ = np.empty(size, np.uint64)
    counts, sums = np.empty(size, np.uint8), np.empty(size, np.uint8)
    for start in range(first * size, total, every * size):
        stop = min(total, start + size)
        bits, count = differ[: stop - start], counts[: stop - start]
        few, out = sums[: stop - start], found[start:stop]
        for p, mask in enumerate(probe.masks):
            for group in range(0, rows, 3):  # three counts of at most 64 fit into a byte
                for row in range(group, min(group + 3, rows)):
                    np.bitwise_xor(words[row, start:stop], probe.signs[row], out=bits)
                    np.bitwise_and(bits, mask[row], out=bits)
                    np.bitwise_count(bits, out=few if row == group else count)
                    if row > group:
                        np.add(few, count, out=few)
                out += np.left_shift(few, p, dtype=np.uint16) if p else few


def guesses(penalty: npt.NDArray[np.uint16], probe: BitProbe) -> Floats:
    """Guessed cosines float32 of :func:`penalties`."""
    return (probe.most - 2 * probe.step * penalty).astype(np.float32)
