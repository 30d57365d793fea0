"""A store that keeps everything in a dictionary and searches by brute force: the yardstick."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from needlepoint.search.codes import decode, encode, finer
from needlepoint.search.fusion import Fusion
from needlepoint.store.base import (
    Entry,
    FileRecord,
    Ids,
    Probe,
    Question,
    Space,
    StoreHits,
    VectorRow,
)
from needlepoint.store.rows import pack_boxes, unpack_boxes


class ReferenceStore:
    """Same calls, same answers, no cleverness."""

    def __init__(self) -> None:
        self._spaces: list[Space] = []
        self._entries: dict[int, Entry] = {}
        self._vectors: dict[tuple[int, int], VectorRow] = {}
        self._gone: set[int] = set()
        self._last = 0

    def ensure_space(self, space: Space) -> Space:
        for known in self._spaces:
            if (known.name, known.encoder) == (space.name, space.encoder):
                return known
        made = Space(
            space.name,
            space.encoder,
            space.fingerprint,
            space.dim,
            space.codec,
            space.recipe,
            space.card,
            len(self._spaces) + 1,
        )
        self._spaces.append(made)
        return made

    def _find(self, file: FileRecord) -> int | None:
        for number, entry in self._entries.items():
            if (entry.file.root, entry.file.path) == (file.root, file.path):
                return number
        return None

    def upsert(self, entries: Sequence[Entry]) -> list[int]:
        numbers = []
        for entry in entries:
            number = self._find(entry.file)
            if number is None:
                self._last += 1
                number = self._last
            elif self._entries[number].file.digest != entry.file.digest:
                for key in [key for key in self._vectors if key[0] == number]:
                    del self._vectors[key]
            self._entries[number] = entry
            self._gone.discard(number)
            for row in entry.vectors:
                space = self._spaces[row.space - 1]
                wide = finer(space.codec)
                self._vectors[number, row.space] = VectorRow(
                    row.space,
                    decode(encode(row.whole[None], wide), wide, space.dim)[0],
                    decode(encode(row.regions, space.codec), space.codec, space.dim),
                    unpack_boxes(pack_boxes(row.boxes), len(row.boxes)),
                )
            numbers.append(number)
        return numbers

    def delete(self, ids: Sequence[int]) -> int:
        there = [number for number in ids if number in self._entries]
        for number in there:
            del self._entries[number]
            self._gone.discard(number)
            for key in [key for key in self._vectors if key[0] == number]:
                del self._vectors[key]
        return len(there)

    def mark_missing(self, ids: Sequence[int]) -> None:
        self._gone.update(number for number in ids if number in self._entries)

    def mark_present(self, ids: Sequence[int]) -> None:
        self._gone.difference_update(ids)

    def move(self, picture: int, file: FileRecord) -> None:
        entry = self._entries[picture]
        self._entries[picture] = Entry(file, entry.facts, entry.vectors)
        self._gone.discard(picture)

    def search(
        self, probes: Sequence[Probe], k: int, *, within: Ids | None = None, mode: str = "auto"
    ) -> StoreHits:
        rows = []
        for number in sorted(self._entries):
            if number in self._gone or (within is not None and number not in within):
                continue
            if not all((number, probe.space) in self._vectors for probe in probes):
                continue
            parts, boxes = [], []
            for probe in probes:
                stored = self._vectors[number, probe.space]
                whole, frame = _dot(stored.whole, probe.vector), np.full(4, np.nan, np.float32)
                region = np.float32(-np.inf)
                for vector, its in zip(stored.regions, stored.boxes, strict=True):
                    score = _dot(vector, probe.vector)
                    if score > region:
                        region, frame = score, its
                parts.append(_fused(probe.fusion, whole, region))
                boxes.append(frame if parts[-1] > whole else np.full(4, np.nan, np.float32))
            total = sum(abs(probe.weight) for probe in probes)
            fused = 0.0
            for probe, part in zip(probes, parts, strict=True):
                fused += probe.weight / total * ((float(part) - probe.mean) / probe.std)
            pointer = max(range(len(probes)), key=lambda i: (probes[i].weight, -i))
            rows.append((np.float32(fused), number, parts, boxes[pointer]))
        rows.sort(key=lambda row: (-row[0], row[1]))
        rows = rows[:k]
        return StoreHits(
            np.array([row[1] for row in rows], np.int64),
            np.array([row[0] for row in rows], np.float32),
            np.array([row[2] for row in rows], np.float32).reshape(len(rows), len(probes)),
            np.array([row[3] for row in rows], np.float32).reshape(len(rows), 4),
            True,
            "exact",
            0,
        )

    def search_many(self, questions: Sequence[Question]) -> list[StoreHits]:
        return [self.search(q.probes, q.k, within=q.within, mode=q.mode) for q in questions]


def _fused(fusion: Fusion, whole: np.float32, region: np.float32) -> np.float32:
    if fusion.kind == "regions":
        return whole if region == -np.inf else region
    if fusion.kind == "whole" or region <= whole:
        return whole
    if fusion.kind == "best":
        return region
    if whole >= np.float32(fusion.tau):
        return whole
    gap = region - whole
    return whole + min(np.float32(fusion.gain) * gap, np.float32(fusion.cap)) * gap


def _dot(vector: np.ndarray, probe: np.ndarray) -> np.float32:
    return np.float32((vector.astype(np.float64) * probe.astype(np.float64)).sum())
