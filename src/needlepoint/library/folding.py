"""Near-duplicates among ranked pictures: the first of each group leads, the others fold under it.

Two kinds are told apart. The *same* picture: equal in content, or hardly changed by saving it again
or smaller. A *near* one: changed more, cut a little, or taken a moment before or after. Told by
whole vectors of the built-in encoder; a library without them only knows equal content.

The limits were chosen with ``benchmarks/near_duplicates.py``: of an original and its copies
(quality 40, half and quarter size, lighter) 97 % fold, of cuts of 3 to 5 % 97 %, of pictures with
the camera moved and a thing displaced 45 %; as *same* come 47 % of the copies and none of the
others. Not one of 332,000 pairs of different samples folds, nor of 16,000 of different scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from needlepoint.library.roster import BUILTIN
from needlepoint.parts import Floats
from needlepoint.store.sqlite import SqliteStore

SAME = 0.99
"""Cosine of whole vectors from which two pictures of one shape are the same."""
NEAR = 0.88
"""Cosine from which one picture is near another."""

_SHAPES = 0.01  # part by which the aspect ratios of the same picture may differ
_BLOCK = 256

Kind = Literal["same", "near"]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A picture that folds under another, and what it is to that one."""

    id: int
    kind: Kind


def near_duplicates(store: SqliteStore, ids: Sequence[int]) -> dict[int, list[Duplicate]]:
    """Which of some ranked pictures fold under which.

    Every picture is held against those that lead, never against those that are folded, so that
    a long series does not join what is not alike.

    Args:
        store: the library's.
        ids: pictures, best first, each once.

    Returns:
        the ids of pictures that lead a group of two or more, in order, each with those that fold
        under it, in order.
    """
    facts = store.facts(ids)
    ranked = [number for number in ids if number in facts]
    content = np.array([_digit(facts[number][0].digest, number) for number in ranked])
    shapes = np.array([facts[number][1].width / facts[number][1].height for number in ranked])
    vectors = _vectors(store, ranked)
    free = np.ones(len(ranked), np.bool_)
    groups: dict[int, list[Duplicate]] = {}
    for start in range(0, len(ranked), _BLOCK):
        cosines = vectors[start : start + _BLOCK] @ vectors.T
        for row in range(start, min(start + _BLOCK, len(ranked))):
            if not free[row]:
                continue
            free[row] = False
            alike = cosines[row - start]
            equal = content == content[row]
            one_shape = np.abs(shapes / shapes[row] - 1) <= _SHAPES
            same = equal | ((alike >= SAME) & one_shape)
            under = np.flatnonzero(free & (same | (alike >= NEAR)))
            if len(under):
                free[under] = False
                groups[ranked[row]] = [
                    Duplicate(ranked[i], "same" if same[i] else "near") for i in under.tolist()
                ]
    return groups


def _digit(digest: bytes, number: int) -> bytes:
    """What is equal for pictures of equal content; a picture of unknown content is alone."""
    return digest.hex().encode() or b"@%d" % number


def _vectors(store: SqliteStore, ids: Sequence[int]) -> Floats:
    """Unit rows ``[n, D]``; zero where the built-in encoder has not seen a picture."""
    spaces = [s for s in store.spaces() if s.encoder == BUILTIN and "image" in s.card["answers"]]
    if not spaces or not ids:
        return np.zeros((len(ids), 1), np.float32)
    known, found = store.wholes(spaces[0], np.unique(np.array(ids, np.int64)))
    vectors = np.zeros((len(ids), spaces[0].dim), np.float32)
    if len(known):
        at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        here = known[at] == np.array(ids)
        vectors[here] = found[at[here]]
    return vectors
