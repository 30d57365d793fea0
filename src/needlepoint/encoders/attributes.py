"""Attribute weights: what a composed query is given for each attribute its words ask about.

After DQE-CIR (arXiv 2603.04037); the paper's equations were not at hand, the reading is ours.

Shapes: B questions, E numbers of a query, W numbers of the words, A attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from needlepoint.errors import UsageError

ATTRIBUTES = ("colour", "shape")


@dataclass(frozen=True, slots=True)
class Weighted:
    """A query with its attributes: ``query`` ``[B, E]`` of unit length, ``weights`` ``[B, A]``.

    ``features`` ``[B, A, E]`` are what the weights multiply.
    """

    query: Tensor
    weights: Tensor
    features: Tensor


class AttributeWeights(nn.Module):  # type: ignore[misc]
    """``q = unit(unit(q0) + sum_a w_a W_a q0)``, the weights ``w`` from the words.

    All ``W_a`` begin as zero, so that an untrained module changes no query.

    Args:
        dim: numbers E of a query.
        words: numbers W of the words' vector.
        names: of the attributes. Nothing ties an attribute to its name: the heads are learnt.
        gate: ``sigmoid``: each weight by itself in 0 … 1; ``softmax``: they add up to 1.
    """

    def __init__(
        self,
        dim: int,
        words: int,
        names: Sequence[str] = ATTRIBUTES,
        gate: Literal["sigmoid", "softmax"] = "sigmoid",
    ) -> None:
        super().__init__()
        if not names or gate not in ("sigmoid", "softmax"):
            raise UsageError(f"attributes: need names and a gate, received {names!r}, {gate!r}")
        self.names, self._gate = tuple(names), gate
        self.heads = nn.Parameter(torch.zeros(len(names), dim, dim))
        self.gate = nn.Linear(words, len(names))

    def forward(self, base: Tensor, words: Tensor) -> Weighted:
        """Queries ``[B, E]`` of any length and their words ``[B, W]``."""
        features = self.features(base)
        weights = self.weights(words)
        summed = nn.functional.normalize(base, dim=1) + (weights[:, :, None] * features).sum(1)
        return Weighted(nn.functional.normalize(summed, dim=1), weights, features)

    def weights(self, words: Tensor) -> Tensor:
        """How much each attribute counts for words ``[B, W]``: ``[B, A]`` in 0 … 1."""
        told: Any = self.gate(words)
        return told.sigmoid() if self._gate == "sigmoid" else told.softmax(1)

    def features(self, vectors: Tensor) -> Tensor:
        """What each head makes of vectors ``[B, E]``: ``[B, A, E]``."""
        return torch.einsum("aef,bf->bae", self.heads, vectors)
