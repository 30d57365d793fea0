"""A head start in closed form, before the first step of gradient descent.

With the anchors as goal, least squares finds what would take gradient descent thousands of steps:
which directions of the stem's cells tell words apart (they become ``conv1``), where each word lies
(its token's embedding), and a last layer for each tower.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from needlepoint.parts import Floats
from needlepoint.train.anchors import Anchors
from needlepoint.train.dual import Dual, Tokens
from needlepoint.train.feeds import Feed
from needlepoint.train.lesson import attention_kernel
from needlepoint.train.pairs import Pair

_PAIRS = 4000
_BATCH = 64
_PATCHES = 36
"""Patches of a picture that stand for all when cells are averaged."""


def settle(
    model: Dual,
    pairs: Sequence[Pair],
    feed: Feed,
    tokens: Tokens,
    tokenizer: Any,
    anchors: Anchors,
    seed: int,
) -> None:
    """Fit the first and the last layers of both towers to the anchors of some pairs."""
    rng = np.random.default_rng([seed, 1])
    some = [pairs[i] for i in rng.permutation(len(pairs))[:_PAIRS]]
    batches = [some[start : start + _BATCH] for start in range(0, len(some), _BATCH)]
    goals = anchors([p.text for p in some])
    shape = model.shape
    if shape.image_tower == "builtin-stem":
        means = np.concatenate(
            [
                feed(batch, _places(shape.patches, len(batch), rng)).mean(1).cpu()
                for batch in batches
            ]
        )
        model.put_stem_axes(_axes(means, goals, shape.width, seed), means.mean(0))
    words = {word: row for word, row in tokenizer.get_vocab().items() if word in anchors}
    turn = np.random.default_rng(seed).normal(size=(shape.dim, shape.text_width))
    model.put_words(list(words.values()), np.asarray(anchors(list(words)) @ turn, np.float32))
    features, texts = [], []
    with torch.inference_mode(), attention_kernel(feed.device):
        for batch in batches:
            inputs, kept = feed.tensors(batch, _places(shape.patches, len(batch), rng))
            features.append(model.image_features(inputs, kept).cpu().numpy())
            ids = tokens([p.text for p in batch]).to(feed.device)
            texts.append(model.text_features(ids).cpu().numpy())
    model.put_heads(_ridge(np.concatenate(features), goals), _ridge(np.concatenate(texts), goals))


def _places(patches: int, count: int, rng: np.random.Generator) -> Any:
    if patches <= _PATCHES:
        return None
    return np.sort(rng.random((count, patches)).argsort(1)[:, :_PATCHES], axis=1)


def _axes(means: Floats, goals: Floats, width: int, seed: int) -> Floats:
    """Directions ``[1280, width]`` of mean cells ``[M, 1280]`` that foretell goals ``[M, D]``.

    Where the goals have fewer dimensions than the tower, the main axes of the cells fill up.
    """
    centred = means - means.mean(0)
    found = _ridge(centred, goals - goals.mean(0), 0.3)
    found = found / np.sqrt(np.square(centred @ found).mean())
    if found.shape[1] < width:
        values, main = np.linalg.eigh(np.cov(centred, rowvar=False))
        main, values = main[:, ::-1], values[::-1]
        fill = (main / np.sqrt(np.maximum(values, 1e-6)))[:, : width - found.shape[1]]
        found = np.concatenate((found, fill), axis=1)
    # a turn by chance, so that no head begins with all of the strongest axes
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(found.shape[1], width)))[0]
    return np.asarray(found @ turn, np.float32)


def _ridge(features: Floats, goals: Floats, damping: float = 1e-3) -> Floats:
    """The matrix ``[C, D]`` that brings features ``[N, C]`` nearest to goals ``[N, D]``.

    ``damping`` is in units of the features' mean variance.
    """
    exact = features.astype(np.float64)
    square = exact.T @ exact
    damped = square + damping * np.trace(square) / len(square) * np.eye(len(square))
    return np.asarray(np.linalg.solve(damped, exact.T @ goals), np.float32)
