"""Triplets made of attributes as vectors: what a combiner learns from without any encoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from needlepoint.train.negatives import stable_keys
from needlepoint.train.ragged import Lists
from needlepoint.train.triplets import Triplets

ATTRIBUTES, VALUES = 3, 4


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def attribute_triplets(
    count: int = 300, *, dim: int = 24, seed: int = 0, twins: int = 1, **changes: Any
) -> Triplets:
    """Questions that change one attribute of a picture and say its new value.

    A picture is the sum of a vector for each of its attributes; what a value is called has a vector
    of its own, so neither half of a question finds its target. Each picture comes ``twins`` times,
    a little different: the first is the target, the others are right answers that nobody labelled.
    """
    rng = np.random.default_rng(seed)
    looks = rng.standard_normal((ATTRIBUTES, VALUES, dim))
    names = rng.standard_normal((ATTRIBUTES, VALUES, dim))
    codes = np.stack(np.unravel_index(np.arange(VALUES**ATTRIBUTES), (VALUES,) * ATTRIBUTES), 1)
    plain = np.stack([sum(looks[a, row[a]] for a in range(ATTRIBUTES)) for row in codes])
    pictures = np.concatenate(
        [plain + 0.1 * rng.standard_normal(plain.shape) for _ in range(twins)]
    )
    references = rng.integers(len(codes), size=count)
    changed = rng.integers(ATTRIBUTES, size=count)
    values = (codes[references, changed] + rng.integers(1, VALUES, count)) % VALUES
    wanted = codes[references].copy()
    wanted[np.arange(count), changed] = values
    targets = np.ravel_multi_index(tuple(wanted.T), (VALUES,) * ATTRIBUTES)
    texts = unit(names.reshape(-1, dim))
    near = [[t + n * len(codes) for n in range(1, twins)] for t in targets.tolist()]
    facts: dict[str, Any] = {
        "gallery": unit(pictures),
        "gallery_lengths": np.linalg.norm(pictures, axis=1).astype(np.float32),
        "same": np.arange(len(pictures)),
        "keys": stable_keys([f"picture {n}" for n in range(len(pictures))]),
        "texts": texts,
        "text_lengths": np.full(len(texts), 2.0, np.float32),
        "references": references,
        "targets": targets,
        "wordings": Lists.of([[a * VALUES + v] for a, v in zip(changed, values, strict=True)]),
        "answers": Lists.of([[t] for t in targets]),
        "junk": Lists.of([[r] for r in references]),
        "near": Lists.of(near),
        "members": Lists.of([range(len(pictures))]),
        "sets": np.zeros(count, np.int64),
        "groups": np.arange(count),
        "aspects": changed,
        "kinds": tuple(f"attribute {a}" for a in range(ATTRIBUTES)),
        "question_keys": stable_keys([f"question {n}" for n in range(count)]),
        "name": "attributes",
        "fingerprint": "toy",
        "encoder": "toy",
    }
    return Triplets(**(facts | changes))
