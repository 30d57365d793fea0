"""How unit vectors become few bytes, and back (shapes: N vectors, D dim, B bytes, W words).

Three codecs. ``f16`` keeps two bytes a number; ``i8`` one, scaled by the vector's largest
magnitude; ``b4`` half a byte. All decode to unit length, so a dot product with a unit query is
exactly the cosine of the decoded vector and no scale has to be stored.

``b4`` is the Lloyd-Max quantiser of sixteen levels for a Gaussian of unit variance (Max 1960,
"Quantizing for minimum distortion", table I), applied to ``x * sqrt(D)``: the components of a
whitened unit vector are close to N(0, 1/D).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Codec, Floats

Codes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

_UPPER_LEVELS = np.array(
    [
        0.12839503,
        0.38804830,
        0.65675912,
        0.94234046,
        1.25623120,
        1.61804639,
        2.06901723,
        2.73258957,
    ]
)
_LEVELS = np.concatenate([-_UPPER_LEVELS[::-1], _UPPER_LEVELS]).astype(np.float32)
_THRESHOLDS = ((_LEVELS[1:] + _LEVELS[:-1]) / 2).astype(np.float32)
_THRESHOLDS[7] = 0.0

# One byte holds two numbers, the even one in the low half. A complex64 carries both float32 at
# once, so one table look-up decodes two numbers.
_PAIRS = (
    np.stack([np.tile(_LEVELS, 16), np.repeat(_LEVELS, 16)], axis=1).copy().view(np.complex64)[:, 0]
)
# The sign bits of the two numbers of a byte, low bit first.
_PAIR_SIGNS = ((np.arange(256) >> 3) & 1 | ((np.arange(256) >> 7) & 1) << 1).astype(np.uint8)


def code_bytes(codec: Codec, dim: int) -> int:
    """Bytes one vector of ``dim`` numbers takes.

    Raises:
        UsageError: an unknown codec, or a ``dim`` below 1.

    >>> code_bytes("b4", 512)
    256
    """
    if dim < 1:
        raise UsageError(f"dim must be at least 1, got {dim}")
    match codec:
        case "f16":
            return 2 * dim
        case "i8":
            return dim
        case "b4":
            return (dim + 1) // 2
    raise UsageError(f"codec must be one of f16, i8, b4, got {codec!r}")


def finer(codec: Codec) -> Codec:
    """The codec of whole-picture vectors beside regions of this one: a step finer.

    There is one whole vector to some dozens of regions, so its bytes weigh little.
    """
    return "i8" if codec == "b4" else "f16"


def encode(vectors: Floats, codec: Codec) -> Codes:
    """Unit vectors float32 ``[N, D]`` to codes uint8 ``[N, B]``; each row by itself.

    Raises:
        UsageError: an unknown codec or an array that is not two-dimensional.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2:
        raise UsageError(f"vectors must have shape [N, D], got {list(vectors.shape)}")
    count, dim = vectors.shape
    width = code_bytes(codec, dim)
    if codec == "f16":
        return np.frombuffer(vectors.astype("<f2").tobytes(), np.uint8).reshape(count, width)
    if codec == "i8":
        peak = np.abs(vectors).max(axis=1, keepdims=True)
        scaled = vectors * (np.float32(127) / np.maximum(peak, np.float32(1e-30)))
        small: Codes = np.rint(scaled).astype(np.int8).view(np.uint8)
        return small
    scaled = vectors * np.float32(np.sqrt(dim))
    places = np.searchsorted(_THRESHOLDS, scaled.ravel(), side="right")
    numbers: Codes = places.astype(np.uint8).reshape(count, dim)
    if dim % 2:
        numbers = np.concatenate([numbers, np.zeros((count, 1), np.uint8)], axis=1)
    packed: Codes = numbers[:, 0::2] | (numbers[:, 1::2] << np.uint8(4))
    return packed


def unpack(codes: Codes, codec: Codec, dim: int) -> Floats:
    """Codes uint8 ``[N, B]`` to numbers float32 ``[N, D]`` of the right direction, any length.

    The quick half of :func:`decode`; divide by :func:`lengths` to have unit vectors.
    """
    if codec == "f16":
        return np.ascontiguousarray(codes).view("<f2").astype(np.float32)
    if codec == "i8":
        return codes.view(np.int8).astype(np.float32)
    pairs = np.empty(codes.shape, np.complex64)
    # mode="clip" skips the bounds check; a byte is always inside the table of 256
    np.take(_PAIRS, codes, out=pairs, mode="clip")
    numbers: Floats = pairs.view(np.float32)[:, :dim]
    return numbers


def lengths(numbers: Floats) -> Floats:
    """Euclidean length float32 ``[N]`` of each row; independent of the other rows."""
    # the order in which a contiguous row is summed depends on D alone
    squares = np.ascontiguousarray(numbers * numbers)
    size: Floats = np.sqrt(squares.sum(axis=1))
    return size


def decode(codes: Codes, codec: Codec, dim: int) -> Floats:
    """Codes uint8 ``[N, B]`` to unit vectors float32 ``[N, D]``; each row by itself."""
    numbers = unpack(codes, codec, dim)
    size = lengths(numbers)
    return numbers / np.where(size > 0, size, np.float32(1)).astype(np.float32)[:, None]


def sign_words(codes: Codes, codec: Codec, dim: int, shift: Floats | None = None) -> Words:
    """Sign bits uint64 ``[W, N]``, word-major for scanning; bit d is ``x_d >= shift_d``.

    ``shift`` float32 ``[D]`` (None for 0) is needed wherever the unit vectors x share a strong
    mean direction: without it their signs say little. The signs of ``b4`` codes are read from the
    codes when there is no shift. Bits beyond D are zero.
    """
    if codec == "b4" and (shift is None or not shift.any()):
        pairs = _PAIR_SIGNS[codes]
        quads = np.zeros((len(codes), -(-codes.shape[1] // 4) * 4), np.uint8)
        quads[:, : codes.shape[1]] = pairs
        packed = quads[:, 0::4] | quads[:, 1::4] << 2 | quads[:, 2::4] << 4 | quads[:, 3::4] << 6
        if dim % 2:
            packed[:, -1] &= np.uint8((1 << ((dim - 1) % 8 + 1)) - 1)
        return _word_major(packed, dim)
    vectors = decode(codes, codec, dim)
    return sign_words_of(vectors if shift is None else vectors - shift)


def sign_words_of(vectors: Floats) -> Words:
    """Sign bits uint64 ``[W, N]`` of numbers float32 ``[N, D]``."""
    bits = np.packbits(vectors >= 0, axis=1, bitorder="little")
    return _word_major(bits, vectors.shape[1])


def _word_major(packed: Codes, dim: int) -> Words:
    words = -(-dim // 64)
    full = np.zeros((len(packed), words * 8), np.uint8)
    full[:, : packed.shape[1]] = packed[:, : words * 8]
    return np.ascontiguousarray(full.view("<u8").astype(np.uint64, copy=False).T)
