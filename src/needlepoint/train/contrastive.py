"""Contrastive losses for pairs of pictures and texts, where some texts occur more than once.

N pairs give similarities ``S[i, j]`` between picture i and text j. Equal texts of a batch share a
*group*: each is a right answer to the others' pictures, never a wrong one. Pairs from one picture
share a *source*: a crop's text may also be true of the whole picture, so such cells count neither
for nor against.
"""

from __future__ import annotations

from typing import Any

import torch

from needlepoint.errors import UsageError

Tensor = Any
MAX_SCALE = 100.0
"""Largest inverse temperature (Radford et al. 2021, section 2.5)."""


def relations(groups: Tensor, sources: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Which cells are right and which wrong, two bool ``[N, N]``; the rest counts for nothing.

    Args:
        groups: int64 ``[N]``, equal for pairs of equal text.
        sources: int64 ``[N]``, equal for pairs from one picture; None when all differ.
    """
    right = groups[:, None] == groups[None, :]
    wrong = ~right
    if sources is not None:
        wrong = wrong & (sources[:, None] != sources[None, :])
    return right, wrong


def info_nce(
    images: Tensor,
    texts: Tensor,
    scale: Tensor,
    groups: Tensor,
    sources: Tensor | None = None,
) -> Tensor:
    """Symmetric InfoNCE with several right answers, a scalar (van den Oord et al. 2018, eq. 4).

    Every right cell is compared with the wrong cells of its row, and of its column; a row's right
    cells are averaged. When all texts differ it is CLIP's loss (Radford et al. 2021, figure 3).

    Args:
        images: float ``[N, D]``, unit length.
        texts: float ``[N, D]``, unit length.
        scale: inverse temperature, a positive scalar; at most ``MAX_SCALE`` of it is used.
        groups, sources: see ``relations``.
    """
    logits = _logits(images, texts, scale)
    right, wrong = relations(groups, sources)
    return (_one_way(logits, right, wrong) + _one_way(logits.T, right.T, wrong.T)) / 2


def sigmoid_loss(
    images: Tensor,
    texts: Tensor,
    scale: Tensor,
    bias: Tensor,
    groups: Tensor,
    sources: Tensor | None = None,
) -> Tensor:
    """SigLIP's loss, a scalar (Zhai et al. 2023, eq. 1): each cell is a yes or no of its own.

    ``mean_i sum_j -log sigmoid(z_ij (scale * S_ij + bias))``, z = 1 for right and -1 for wrong
    cells. Arguments as ``info_nce``; ``bias`` is a scalar (about -10 at the start).
    """
    logits = _logits(images, texts, scale) + bias
    right, wrong = relations(groups, sources)
    signs = right.to(logits.dtype) - wrong.to(logits.dtype)
    cells = torch.nn.functional.softplus(-signs * logits) * (right | wrong)
    return cells.sum() / len(logits)


def distillation(vectors: Tensor, teacher: Tensor) -> Tensor:
    """How far vectors ``[N, K]`` point away from a teacher's ``[N, K]``: mean of one minus cosine."""
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
