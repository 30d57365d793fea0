"""Words of a question that tell it from others, and its vector moved towards them.

Discriminative Concept Calibrator of CalibCLIP (arXiv 2510.05586). ``calibrate`` is parameter-free
and of our own making; ``calibrate_released`` is what the released code computes.
Shapes: N texts, L tokens, W text width, E joint dim, V ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Counting = Literal["documents", "counts"]


def common_words(texts: Iterable[tuple[Ids, Mask]], counting: Counting = "documents") -> Floats:
    """How common each token is in a corpus, from 0 (never seen) to 1 (the most common).

    Args:
        texts: batches of ids int64 ``[N, L]`` with masks bool ``[N, L]`` of their words; other
            tokens are not counted.
        counting: ``documents``, the number of texts that hold the token; ``counts``, log(1 + n) of
            how often it occurs. Both are divided by the largest in the corpus.

    Returns:
        float32 ``[V]``, V one more than the highest id seen; empty for an empty corpus.

    Example:
        >>> ids = np.array([[1, 2, 2], [1, 0, 0]])
        >>> common_words([(ids, ids > 0)]).tolist()
        [0.0, 1.0, 0.5]
    """
    totals = np.zeros(0, np.int64)
    for ids, words in texts:
        if counting == "documents":
            rows = [np.unique(row[mask]) for row, mask in zip(ids, words, strict=True)]
            seen = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        else:
            seen = ids[words]
        found = np.bincount(seen, minlength=len(totals))
        found[: len(totals)] += totals
        totals = found
    if not totals.any():
        return np.zeros(0, np.float32)
    scaled = totals if counting == "documents" else np.log1p(totals)
    shares: Floats = (scaled / scaled.max()).astype(np.float32)
    return shares


def share_of(table: Floats, ids: Ids) -> Floats:
    """``table`` at ids of any shape; 0 for ids it does not reach."""
    if not len(table):
        return np.zeros(ids.shape, np.float32)
    found: Floats = np.where(ids < len(table), table[np.minimum(ids, len(table) - 1)], 0)
    return found.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Every step of a calibration.

    ``frequency``, ``special`` and ``general`` are float32 ``[N, L]``, the latter two weights that
    sum to 1 (to 0 for a text without words, in ``calibrate``); ``special_mean`` and
    ``general_mean`` the token features they weigh together; ``vectors`` float32 ``[N, E]`` of unit
    length.
    """

    frequency: Floats
    special: Floats
    general: Floats
    special_mean: Floats
    general_mean: Floats
    vectors: Floats


def calibrate(
    vectors: Floats,
    joint: Floats,
    attention: Floats,
    frequency: Floats,
    words: Mask,
    *,
    lam: float = 0.5,
    temperature: float = 0.01,
) -> Calibrated:
    """Vectors moved towards the words that are rare and attended to, away from common ones.

    With ``b`` the attention and ``q`` the frequency of a token, weights over the words are
    ``softmax(b (1 - q) / temperature)`` and ``softmax(b q / temperature)``; their means of the unit
    projected tokens, scaled to unit length, are D and G; ``normalise(e + lam (D - G))``. A text
    without words keeps its vector. Nothing depends on the other texts.

    Args:
        vectors: float32 ``[N, E]``, unit length.
        joint: float32 ``[N, L, E]``, final tokens through the text projection.
        attention: float32 ``[N, L]``, what the token that stands for the text pays each token,
            mean over heads.
        frequency: float32 ``[N, L]`` in 0 to 1, of a fixed corpus.
        words: bool ``[N, L]``; start, end and padding are left out of both softmaxes.
        lam: 0 gives ``vectors`` back, bit for bit.
        temperature: above 0.

    Returns:
        All steps; ``special_mean`` and ``general_mean`` are D and G, float32 ``[N, E]``, zero
        for a text without words.
    """
    special = _softmax(attention * (1 - frequency) / np.float32(temperature), words)
    general = _softmax(attention * frequency / np.float32(temperature), words)
    tokens = _unit(joint)
    high, low = (_unit(np.einsum("nl,nle->ne", one, tokens)) for one in (special, general))
    moved = _unit(vectors + np.float32(lam) * (high - low))
    kept = words.any(axis=1, keepdims=True) & (lam != 0)
    made: Floats = np.where(kept, moved, vectors)
    return Calibrated(frequency, special, general, high, low, made)


def add_mean_word(vectors: Floats, joint: Floats, words: Mask, lam: float) -> Floats:
    """The control: vectors moved towards the plain mean of their unit projected words.

    Shapes as for ``calibrate``.
    """
    mean = _unit(np.einsum("nl,nle->ne", words.astype(np.float32), _unit(joint)))
    made: Floats = np.where(
        words.any(axis=1, keepdims=True), _unit(vectors + np.float32(lam) * mean), vectors
    )
    return made


def released_frequency(ids: Ids, corpus: Ids | None = None) -> Floats:
    """Frequencies of ids int64 ``[N, L]`` as the released code counts them.

    Over ``corpus`` (ids of any shape), else over ``ids`` itself, padding, start and end included;
    divided by the largest *among the ids scored*, so that other texts of the batch change it.
    Ids above the highest of the corpus count as that one.
    """
    counted = ids if corpus is None else corpus
    table = np.bincount(counted.ravel())
    found = table[np.minimum(ids, len(table) - 1)].astype(np.float32)
    scaled: Floats = found / np.float32(found.max() + 1e-8)
    return scaled


def calibrate_released(
    pooled: Floats,
    final: Floats,
    attention: Floats,
    frequency: Floats,
    ends: Ids,
    *,
    lam: float = 0.5,
    temperature: float = 0.01,
) -> Calibrated:
    """What the released code computes: both softmaxes over all L positions, padding included.

    Scores behind the end token are 0, not minus infinity, so padding keeps weight. The means are
    of final tokens that went through no projection, added to a vector that did.

    Args:
        pooled: float32 ``[N, E]``, the vector *before* it is normalised.
        final: float32 ``[N, L, W]``, tokens after the final norm.
        attention: float32 ``[N, L]``, mean over heads.
        frequency: float32 ``[N, L]``, as ``released_frequency`` has it.
        ends: int64 ``[N]``, position of the end token.
        lam, temperature: as released.

    Raises:
        UsageError: W and E differ, so the sum is not defined.
    """
    width, dim = final.shape[2], pooled.shape[1]
    if width != dim:
        raise UsageError(
            f"released calibration adds text tokens of width {width} to vectors of dim {dim}; "
            "it is defined only where they are equal (OpenAI ViT-B/16, ViT-L/14). "
            "Use mode=default."
        )
    valid = np.arange(final.shape[1]) <= ends[:, None]
    everywhere = np.ones_like(valid)
    scores = attention * valid / np.float32(temperature)
    special = _softmax(scores * (1 - frequency), everywhere)
    general = _softmax(scores * frequency, everywhere)
    high, low = (np.einsum("nl,nlw->nw", one, final) for one in (special, general))
    made = _unit(pooled + np.float32(lam) * (high - low))
    return Calibrated(frequency, special, general, high, low, made)


def _softmax(scores: Floats, where: Mask) -> Floats:
    """Softmax over the last axis ``[N, L]`` where the mask holds, 0 elsewhere; float32."""
    shown = np.where(where, scores.astype(np.float32), -np.inf)
    top = np.max(shown, axis=1, keepdims=True, initial=-np.inf)
    powers = np.exp(shown - np.where(np.isfinite(top), top, 0))
    sums = powers.sum(axis=1, keepdims=True)
    made: Floats = (powers / np.maximum(sums, 1e-30)).astype(np.float32)
    return made


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    made: Floats = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return made
