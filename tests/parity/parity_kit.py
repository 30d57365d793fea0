"""Checks that hold for every encoder, whatever its family."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tiny import PATCH, pictures

NEAR = 1e-5
TEXTS = ["a photo of a dog", "Two RED cats!", "a small yellow duck in the crowd", "x"]
ALL = frozenset({"tokens", "attention", "received"})


def tensor_of(output: Any) -> torch.Tensor:
    """Features as a tensor: transformers 5 wraps them in an object, 4 does not."""
    return output if isinstance(output, torch.Tensor) else output.pooler_output


def unit(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors.float(), dim=-1).numpy()


def check_independence(encoder: Any) -> None:
    """A vector depends on neither its neighbours nor their order; one in, one out."""
    many = pictures(5)
    together = encoder.encode_image(many)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    alone = np.stack([encoder.encode_image(one) for one in many])
    np.testing.assert_allclose(together, alone, atol=NEAR, rtol=0)
    np.testing.assert_allclose(together[::-1], encoder.encode_image(many[::-1]), atol=NEAR, rtol=0)
    assert np.abs(together[0] - together[1]).max() > 0.01  # the pictures do differ
    if "text" in encoder.card.abilities:
        words = encoder.encode_text(TEXTS)
        each = np.stack([encoder.encode_text(text) for text in TEXTS])
        np.testing.assert_allclose(words, each, atol=NEAR, rtol=0)
        back = encoder.encode_text(iter(TEXTS[::-1]))
        np.testing.assert_allclose(words[::-1], back, atol=NEAR, rtol=0)
        assert np.abs(words[0] - words[1]).max() > 0.01


def check_shares(encoder: Any) -> None:
    """``received`` is the column mean of ``attention``; rows keep what is not paid to prefixes."""
    features = encoder.image_features(pictures(2), want=ALL, block=1)
    np.testing.assert_allclose(features.received, features.attention.mean(axis=2), atol=1e-6)
    rows = features.attention.sum(axis=-1)
    if encoder.tower.prefix:
        assert rows.max() < 1
    else:
        np.testing.assert_allclose(rows, 1, atol=1e-5)
    assert features.grid is not None
    assert features.grid[0] * features.grid[1] == features.tokens.shape[1]


def check_dense(encoder: Any) -> None:
    """Cells cover the picture, and a window mean goes through ``project`` to a unit vector."""
    picture = pictures(1)[0]  # 121 x 80
    dense = encoder.dense_features(picture, long_side=8 * PATCH)
    rows, cols = dense.cells.shape[:2]
    assert (rows, cols) == (5, 8)
    assert (dense.step_x * cols, dense.step_y * rows) == (121, 80)
    space = encoder.card.spaces[0]
    windows = dense.cells.reshape(-1, dense.cells.shape[2])
    vectors = encoder.project(windows, space.name)
    assert vectors.shape == (rows * cols, space.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    # project takes any leading shape, and each row alone
    mean = encoder.project(dense.cells[1:3, 2:4].mean((0, 1)), space.name)
    again = encoder.project(dense.cells[1:3, 2:4].mean((0, 1))[None, None], space.name)
    np.testing.assert_allclose(mean, again[0, 0], atol=1e-6)


def check_injection(encoder: Any) -> None:
    """A word's own embedding, put back in its place, changes nothing; another word's does."""
    template = "a photo of {} at night"
    plain = encoder.text_features(["a photo of dog at night"]).vector
    ids = encoder.token_ids(["a photo of dog at night", "a photo of cat at night"])
    (slot,) = np.flatnonzero(ids[0] != ids[1])
    dog, cat = encoder.token_embeddings(ids)[:, slot]
    np.testing.assert_allclose(encoder.inject([template], dog[None]), plain, atol=NEAR, rtol=0)
    other = encoder.inject([template], cat[None])
    assert np.abs(other - plain).max() > 1e-3
    both = encoder.inject([template, "{} on the beach"], np.stack([cat, dog]))
    np.testing.assert_allclose(both[0], other[0], atol=NEAR, rtol=0)
    embeddings = encoder.token_embeddings(ids)
    straight = encoder.encode_embeddings(embeddings, encoder.text_positions(ids))
    np.testing.assert_allclose(straight[0], plain[0], atol=NEAR, rtol=0)
