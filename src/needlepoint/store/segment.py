"""Vectors of some pictures of one space, laid out for scanning.

Shapes: N pictures, T region vectors, V probes, D dim, W words, B bytes a region vector, B' a
whole one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from needlepoint.parts import Floats
from needlepoint.search.codes import (
    Codes,
    Words,
    code_bytes,
    decode,
    finer,
    lengths,
    sign_words,
    unpack,
)
from needlepoint.search.compressed import SignDecoder, bit_probe, fit_decoder, guesses, penalties
from needlepoint.search.exact import Offsets, scan, segment_max
from needlepoint.search.fusion import Fusion
from needlepoint.store.base import Ids, Space
from needlepoint.store.cache import Array, Shapes

PAGE = 1000  # pictures read at once: about 10 MB at 8 KB each
_SAMPLE = 8192  # vectors the sign decoder is fitted on

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a vectors table: codes of the wholes ``[n, B']`` and regions ``[t, B]``."""

    ids: Ids
    counts: npt.NDArray[np.int64]
    whole: Codes
    codes: Codes


def read_pages(
    db: sqlite3.Connection, space: Space, *, after: int = 0, ids: Sequence[int] | None = None
) -> Iterator[Page]:
    """Rows written after transaction ``after``, or those of ``ids``; ascending by picture."""
    table = f"SELECT picture_id, count, whole, regions FROM vectors_{space.id}"
    if ids is None:
        narrow = ("WHERE seq > ?", (after,)) if after else ("", ())
        cursors = iter([db.execute(f"{table} {narrow[0]} ORDER BY picture_id", narrow[1])])
    else:
        cursors = (
            db.execute(
                f"{table} WHERE picture_id IN ({', '.join('?' * len(some))}) ORDER BY picture_id",
                some,
            )
            for some in (ids[start : start + 500] for start in range(0, len(ids), 500))
        )
    width = code_bytes(space.codec, space.dim)
    for cursor in cursors:
        while rows := cursor.fetchmany(PAGE):
            pictures, counts, wholes, regions = zip(*rows, strict=True)
            yield Page(
                np.array(pictures, np.int64),
                np.array(counts, np.int64),
                np.frombuffer(b"".join(wholes), np.uint8).reshape(len(rows), -1),
                np.frombuffer(b"".join(regions), np.uint8).reshape(-1, width),
            )


def page_scores(page: Page, space: Space, probes: Floats, fusions: Sequence[Fusion]) -> Floats:
    """Scores of each picture of a page for each probe, float32 ``[n, 2, V]`` (see ``Segment``)."""
    offsets = _starts(page.counts)
    return _pairs(page.whole, page.codes, None, offsets, space, probes, fusions)


def _pairs(
    whole: Codes,
    codes: Codes,
    inverse: Floats | None,
    offsets: Offsets,
    space: Space,
    probes: Floats,
    fusions: Sequence[Fusion],
) -> Floats:
    pairs = np.full((len(whole), 2, len(probes)), -np.inf, np.float32)
    pairs[:, 0] = scan(whole, finer(space.codec), probes)
    places = np.array([fusion.kind != "whole" for fusion in fusions])
    if places.any() and len(codes):
        found = scan(codes, space.codec, probes[places], inverse)
        pairs[:, 1, places] = segment_max(found, offsets)
    return pairs


def _starts(counts: npt.NDArray[np.int64]) -> Offsets:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


@dataclass(slots=True)
class Segment:
    """Pictures by ascending id; ``alive`` bool ``[N]`` says which are still as they were.

    Either all codes are here (``whole`` ``[N, B']``, ``codes`` ``[T, B]`` and ``inverse``
    float32 ``[T]``, one over their lengths, picture i owning rows ``offsets[i]`` to
    ``offsets[i + 1]``), or only bits: ``words`` ``[W, N + T]``, in which the whole picture stands
    before its regions and picture i owns columns from ``offsets[i] + i``.

    Scores come in pairs, float32 ``[N, 2, V]``: that of the whole picture, and that of its best
    region, minus infinity where it has none or the probe's fusion asks for none.
    """

    ids: Ids
    offsets: Offsets
    arrays: dict[str, Array]
    alive: Mask

    @property
    def vectors(self) -> int:
        """How many vectors there are, wholes counted."""
        return int(len(self.ids) + self.offsets[-1])

    def scores(self, space: Space, probes: Floats, fusions: Sequence[Fusion]) -> Floats:
        """Pairs of scores from the codes."""
        whole, codes, inverse = (self.arrays[name] for name in ("whole", "codes", "inverse"))
        return _pairs(whole, codes, inverse, self.offsets, space, probes, fusions)

    def guess(
        self,
        decoder: SignDecoder,
        probes: Floats,
        fusions: Sequence[Fusion],
        planes: int,
        picks: npt.NDArray[np.intp] | None = None,
    ) -> Floats:
        """Guessed pairs of scores of all pictures (of ``picks``).

        Where the fusion is ``best``, the first of a pair is the best of both, for one look less.
        """
        starts = self.offsets[:-1] + np.arange(len(self.ids))
        words = self.arrays["words"]
        if picks is not None:
            sizes = np.diff(self.offsets)[picks] + 1
            first = starts[picks]
            starts = np.cumsum(sizes) - sizes
            # column numbers of all vectors of the picked pictures, one picture after the other
            columns = np.arange(int(sizes.sum())) + np.repeat(first - starts, sizes)
            words = _columns(words, columns)
        found = np.full((len(starts), 2, len(probes)), -np.inf, np.float32)
        if not len(starts):
            return found
        several = np.diff(starts, append=words.shape[1]) > 1
        for v, (probe, fusion) in enumerate(zip(probes, fusions, strict=True)):
            ready = bit_probe(*decoder.weigh(probe), planes)
            if fusion.kind == "whole":
                found[:, 0, v] = guesses(penalties(_columns(words, starts), ready), ready)
                continue
            every = penalties(words, ready)
            if fusion.kind in ("gated", "regions"):
                found[:, 0, v] = guesses(every[starts], ready)
                every[starts] = np.iinfo(every.dtype).max
                least = np.minimum.reduceat(every, starts)
                found[several, 1, v] = guesses(least[several], ready)
            else:
                found[:, 0, v] = guesses(np.minimum.reduceat(every, starts), ready)
        return found


def _columns(words: Words, columns: npt.NDArray[np.int64]) -> Words:
    """Some columns of ``words`` in an array whose rows are contiguous, for quick scanning."""
    chosen = np.empty((len(words), len(columns)), np.uint64)
    for row, out in zip(words, chosen, strict=True):
        np.take(row, columns, out=out, mode="clip")  # "clip" skips the bounds check
    return chosen


def shapes_of(space: Space, pictures: int, regions: int, bits: bool) -> Shapes:
    """Names, types and shapes of the arrays of a segment."""
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {
        "ids": ("<i8", (pictures,)),
        "offsets": ("<i8", (pictures + 1,)),
    }
    if bits:
        shapes["words"] = ("<u8", (-(-space.dim // 64), pictures + regions))
    else:
        shapes["whole"] = ("|u1", (pictures, code_bytes(finer(space.codec), space.dim)))
        shapes["codes"] = ("|u1", (regions, code_bytes(space.codec, space.dim)))
        shapes["inverse"] = ("<f4", (regions,))
    return shapes


def fill(
    pages: Iterator[Page], space: Space, arrays: dict[str, Array], decoder: SignDecoder | None
) -> Segment:
    """Fill arrays of :func:`shapes_of` from pages; ``decoder`` when they are bits."""
    done = rows = 0
    arrays["offsets"][0] = 0
    for page in pages:
        stop, end = done + len(page.ids), rows + len(page.codes)
        arrays["ids"][done:stop] = page.ids
        arrays["offsets"][done + 1 : stop + 1] = rows + np.cumsum(page.counts)
        if decoder is None:
            arrays["whole"][done:stop] = page.whole
            arrays["codes"][rows:end] = page.codes
            arrays["inverse"][rows:end] = _inverse(page.codes, space)
        else:
            starts = _starts(page.counts)[:-1] + np.arange(len(page.ids))
            others = np.ones(len(page.ids) + len(page.codes), np.bool_)
            others[starts] = False
            part = np.empty((len(arrays["words"]), len(others)), np.uint64)
            part[:, starts] = sign_words(page.whole, finer(space.codec), space.dim, decoder.shift)
            part[:, others] = _signs(page.codes, space, decoder)
            arrays["words"][:, done + rows : stop + end] = part
        done, rows = stop, end
    return Segment(arrays["ids"], arrays["offsets"], arrays, np.ones(len(arrays["ids"]), np.bool_))


def _signs(codes: Codes, space: Space, decoder: SignDecoder) -> Array:
    parts = [
        sign_words(codes[start : start + 4096], space.codec, space.dim, decoder.shift)
        for start in range(0, max(len(codes), 1), 4096)
    ]
    return np.concatenate(parts, axis=1)


def _inverse(codes: Codes, space: Space) -> Floats:
    inverse = np.empty(len(codes), np.float32)
    for start in range(0, len(codes), 4096):
        size = lengths(unpack(codes[start : start + 4096], space.codec, space.dim))
        inverse[start : start + 4096] = 1 / np.where(size > 0, size, np.float32(1))
    return inverse


def allocate(shapes: Shapes) -> dict[str, Array]:
    """Arrays in memory."""
    return {name: np.empty(shape, kind) for name, (kind, shape) in shapes.items()}


def learn_decoder(db: sqlite3.Connection, space: Space, ids: Ids, regions: int) -> SignDecoder:
    """Fit the sign decoder on vectors of pictures evenly spread over ``ids``."""
    each = 1 + regions / max(1, len(ids))
    wanted = max(1, min(len(ids), round(_SAMPLE / each)))
    chosen = ids[np.linspace(0, len(ids) - 1, wanted).astype(np.int64)] if len(ids) else ids
    parts = [np.empty((0, space.dim), np.float32)]
    for page in read_pages(db, space, ids=np.unique(chosen).tolist()):
        parts.append(decode(page.whole, finer(space.codec), space.dim))
        parts.append(decode(page.codes, space.codec, space.dim))
    return fit_decoder(np.concatenate(parts)[: 2 * _SAMPLE])
