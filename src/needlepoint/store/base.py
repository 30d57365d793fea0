"""What a store promises, whatever holds the bytes.

Shapes: N pictures, R regions, D dim, V probes, K hits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from needlepoint.parts import Codec, Floats
from needlepoint.picture import Facts
from needlepoint.search.fusion import BEST, Fusion
from needlepoint.search.topk import Curve

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Space:
    """One table of vectors: an encoder's space under one region policy.

    ``recipe`` is what made the region vectors (``none``, ``dense:32@1x``, ``windows:9``, a
    method's name …); ``fingerprint`` is that of the encoder card.
    """

    name: str
    encoder: str
    fingerprint: str
    dim: int
    codec: Codec
    recipe: str
    card: dict[str, Any]
    id: int = 0


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as intake sees it: ``path`` relative to its root, size in bytes, mtime in ns."""

    root: int
    path: str
    size: int
    mtime_ns: int
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class VectorRow:
    """Vectors of one picture in one space.

    ``whole`` float32 ``[D]``, ``regions`` float32 ``[R, D]``, ``boxes`` float32 ``[R, 4]``:
    x, y, w, h in pixels of the upright original. All vectors have unit length.
    """

    space: int
    whole: Floats
    regions: Floats
    boxes: Floats


@dataclass(frozen=True, slots=True)
class Entry:
    """All that one indexed picture brings: written in one transaction or not at all.

    ``blobs`` are optional (kind, bytes) pairs, such as compressed maps.
    """

    file: FileRecord
    facts: Facts
    vectors: tuple[VectorRow, ...]
    blobs: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class StoreHits:
    """Best pictures of a search, best first; ties by id.

    ``score`` float32 ``[K]``; ``part_scores`` float32 ``[K, V]``, one column a query vector;
    ``boxes`` float32 ``[K, 4]``, NaN where no region raised the score; ``exact`` tells whether the
    ranking is proven equal to brute force over the stored vectors; ``scanned`` counts vectors and
    ``candidates`` the pictures that could have been found.
    """

    ids: Ids
    score: Floats
    part_scores: Floats
    boxes: Floats
    exact: bool
    mode: str
    scanned: int
    candidates: int | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """One query vector: float32 ``[D]`` of unit length, the space it is asked in, its weight.

    ``mean`` and ``std`` turn its cosine into ``(cosine - mean) / std`` before the weighted sum;
    0 and 1 leave it as it is. With ``curve`` ``gaussian`` the share of a normal distribution below
    that takes its place (WeiCom). ``fusion`` makes the cosine of the whole picture's and the best
    region's.
    """

    space: int
    vector: Floats
    weight: float = 1.0
    mean: float = 0.0
    std: float = 1.0
    fusion: Fusion = BEST
    curve: Curve = "linear"


@dataclass(frozen=True, slots=True)
class Question:
    """What a store is asked: see ``Store.search`` for the parts."""

    probes: Sequence[Probe]
    k: int
    within: Ids | None = None
    mode: str = "auto"


class Store(Protocol):
    """Where vectors and facts live. Every method is safe to call again after a crash."""

    def ensure_space(self, space: Space) -> Space:
        """Create the space or return the stored one with its id; refuses a different card."""
        ...

    def spaces(self) -> list[Space]:
        """All spaces."""
        ...

    def upsert(self, entries: Sequence[Entry]) -> list[int]:
        """Write a batch atomically; the same file again replaces its row and keeps its id."""
        ...

    def delete(self, ids: Sequence[int]) -> int:
        """Remove pictures and their vectors; returns how many there were."""
        ...

    def search(
        self,
        probes: Sequence[Probe],
        k: int,
        *,
        within: Ids | None = None,
        mode: str = "auto",
    ) -> StoreHits:
        """Top k pictures by the weighted sum over probes of each picture's fused score."""
        ...

    def search_many(self, questions: Sequence[Question]) -> list[StoreHits]:
        """The answers of :meth:`search`, bit for bit, for one reading of the vectors."""
        ...

    def fetch_vectors(self, ids: Sequence[int], space: int) -> dict[int, VectorRow]:
        """Stored vectors, decoded."""
        ...

    def query_facts(self, where: str, parameters: Sequence[Any]) -> Ids:
        """Ids of present pictures that satisfy a compiled filter (see ``needlepoint.where``)."""
        ...

    def scan(self) -> Iterator[tuple[int, FileRecord, Facts]]:
        """Every present picture in id order."""
        ...

    def stats(self) -> dict[str, Any]:
        """Counts, models and bytes."""
        ...
