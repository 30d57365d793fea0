"""Contrastive losses for pairs of pictures and texts, where a text may be true of several.

N pairs give similarities ``S[i, j]`` between picture i and text j. A cell is *right* (the text is
what the picture shows), *wrong*, or neither: then it counts neither for nor against. ``relations``
tells which, from what the texts mean and where the pictures come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from needlepoint.errors import UsageError

Tensor = Any
Cells = npt.NDArray[np.bool_]

MAX_SCALE = 100.0
"""Largest inverse temperature (Radford et al. 2021, section 2.5)."""


def relations(meanings: Sequence[frozenset[str]], sources: Sequence[str]) -> tuple[Cells, Cells]:
    """Which cells are right and which wrong, two bool ``[N, N]`` (picture by text).

    Texts that mean the same are right answers to each other's pictures. Neither right nor wrong is
    a text that says only part of what a picture's own text says ("a sofa" for a red sofa), and any
    other text of the same source picture (a thing's text for the whole picture).

    Args:
        meanings: the words of each text that say something.
        sources: what picture each pair is from.

    Example:
        >>> red, sofa = frozenset({"red", "sofa"}), frozenset({"sofa"})
        >>> right, wrong = relations([red, sofa, frozenset({"cat"})], "abc")
        >>> wrong.tolist()
        [[False, False, True], [True, False, True], [True, True, False]]
    """
    numbers: dict[str, int] = {}
    for meaning in meanings:
        for word in meaning:
            numbers.setdefault(word, len(numbers))
    bags = np.zeros((len(meanings), max(1, len(numbers))), np.float32)
    for row, meaning in enumerate(meanings):
        bags[row, [numbers[word] for word in meaning]] = 1
    sizes = bags.sum(1)
    shared = bags @ bags.T
    implied = shared == sizes[None, :]
    right = implied & (shared == sizes[:, None])
    names: dict[str, int] = {}
    places = np.array([names.setdefault(source, len(names)) for source in sources])
    return right, ~implied & (places[:, None] != places[None, :])


def info_nce(images: Tensor, texts: Tensor, scale: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    """Symmetric InfoNCE with several right answers, a scalar (van den Oord et al. 2018, eq. 4).

    Every right cell is compared with the wrong cells of its row, and of its column; a row's right
    cells are averaged. When each picture has one right text and all else is wrong, it is CLIP's
    loss (Radford et al. 2021, figure 3).

    Args:
        images: float ``[N, D]``, unit length.
        texts: float ``[N, D]``, unit length.
        scale: inverse temperature, a positive scalar; at most ``MAX_SCALE`` of it is used.
        right, wrong: bool ``[N, N]``, see ``relations``; every row and column has a right cell.
    """
    return both_ways(_logits(images, texts, scale), right, wrong)


def both_ways(logits: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    """``info_nce`` of similarities ``[N, N]`` that are scaled already."""
    return (_one_way(logits, right, wrong) + _one_way(logits.T, right.T, wrong.T)) / 2


def sigmoid_loss(
    images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor, right: Tensor, wrong: Tensor
) -> Tensor:
    """SigLIP's loss, a scalar (Zhai et al. 2023, eq. 1): each cell is a yes or no of its own.

    ``mean_i sum_j -log sigmoid(z_ij (scale * S_ij + bias))``, z = 1 for right and -1 for wrong
    cells. Arguments as ``info_nce``; ``bias`` is a scalar (about -10 at the start).
    """
    logits = _logits(images, texts, scale) + bias
    signs = right.to(logits.dtype) - wrong.to(logits.dtype)
    cells = torch.nn.functional.softplus(-signs * logits) * (right | wrong)
    return cells.sum() / len(logits)


def smooth_recall(
    images: Tensor,
    texts: Tensor,
    wrong: Tensor,
    *,
    cuts: Sequence[int] = (1, 2, 4, 8, 16),
    temperature: float = 0.01,
) -> Tensor:
    """One minus a smooth recall of texts' own pictures, a scalar (PlugIR's fine-tuned baseline).

    A text's rank is smoothed to ``r_i = 1 + sum_j sigmoid((S_ij - S_ii) / temperature)`` over its
    wrong pictures, and recall at K to the mean of ``sigmoid(K - r_i)``; the loss is the mean over
    the cuts (Lee et al. 2024, arXiv 2406.03411, after Patel et al. 2022). Far from the goal its
    gradient vanishes: it is for going on from a trained model.

    Args:
        images: float ``[N, D]``, unit length.
        texts: float ``[N, D]``, unit length.
        wrong: bool ``[N, N]``, see ``relations``; row i tells which pictures text i must outrank.
        cuts: the Ks.
        temperature: of the ranks.
    """
    scores = _logits(texts, images, texts.new_ones(()))
    above = ((scores - scores.diagonal()[:, None]) / temperature).sigmoid()
    ranks = 1 + (above * wrong.T).sum(1)
    return torch.stack([1 - (k - ranks).sigmoid().mean() for k in cuts]).mean()


def distillation(vectors: Tensor, teacher: Tensor) -> Tensor:
    """How far vectors point away from a teacher's, both ``[N, K]``: mean of one minus cosine."""
    return (1 - torch.nn.functional.cosine_similarity(vectors, teacher, dim=-1)).mean()


def _logits(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    if images.shape != texts.shape or images.ndim != 2:
        raise UsageError(
            f"images and texts: both must be [N, D], received {list(images.shape)} and "
            f"{list(texts.shape)}"
        )
    return images.float() @ texts.float().T * scale.clamp(max=MAX_SCALE)


def _one_way(logits: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    against = logits.masked_fill(~wrong, float("-inf")).logsumexp(dim=1, keepdim=True)
    # a row without wrong answers has minus infinity here and costs nothing
    cost = torch.nn.functional.softplus(against.clamp(min=-1e4) - logits)
    return ((cost * right).sum(1) / right.sum(1)).mean()
