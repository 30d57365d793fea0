"""Scores and losses of composed questions: KL to the target, margin ranking, attributes.

Shapes: B questions, G candidates, N negatives of a question, K tokens of a picture, E numbers of a
vector, A attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from needlepoint.errors import UsageError

Tensor = Any


@dataclass(frozen=True, slots=True)
class LossPlan:
    """Which losses count how much.

    Attributes:
        goal: ``one-hot``: all weight on the target; ``soft``: weights that fall with the gap.
        goal_temperature: of the soft goal.
        rank: weight of the margin ranking loss; ``margin``: the gap it asks for.
        attribute: weight of the attribute loss.
        held: whether the attribute loss leaves the attribute weights alone; if it does not, weights
            of 0 are its cheapest answer.
        floor: least share of an attribute weight that counts in its loss, 0 to 1.
    """

    goal: Literal["one-hot", "soft"] = "one-hot"
    goal_temperature: float = 0.1
    rank: float = 0.5
    margin: float = 0.2
    attribute: float = 0.1
    held: bool = True
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.goal not in ("one-hot", "soft"):
            raise UsageError(f"goal: must be one-hot or soft, received {self.goal!r}")
        if self.goal_temperature <= 0:
            raise UsageError(f"goal_temperature: must be above 0, received {self.goal_temperature}")
        if min(self.rank, self.margin, self.attribute) < 0:
            raise UsageError("rank, margin and attribute: must not be below 0")
        if not 0 <= self.floor <= 1:
            raise UsageError(f"floor: must be 0 to 1, received {self.floor}")


def gallery_scores(queries: Tensor, gallery: Tensor) -> Tensor:
    """Every question against every candidate, float32 ``[B, G]``: the best of its tokens.

    Args:
        queries: ``[B, E]``, unit length.
        gallery: ``[G, K, E]``, unit length.
    """
    flat = _exact(queries) @ _exact(gallery).flatten(0, 1).T
    return flat.unflatten(1, gallery.shape[:2]).amax(2)


def own_scores(queries: Tensor, candidates: Tensor) -> Tensor:
    """Every question against candidates of its own, float32 ``[B, N]``.

    Args:
        queries: ``[B, E]``, unit length.
        candidates: ``[B, N, K, E]``, unit length.
    """
    return torch.einsum("be,bnke->bnk", _exact(queries), _exact(candidates)).amax(2)


def goal_loss(
    own: Tensor, others: Tensor, given: Tensor, temperature: Tensor | float, plan: LossPlan
) -> Tensor:
    """Kullback-Leibler divergence from the goal to the softmax over target and negatives ``[B]``.

    With all weight on the target it is cross-entropy, and with one negative
    ``softplus(-(own - other) / temperature)``. A question without negatives costs nothing.

    Args:
        own: ``[B]`` scores of the targets.
        others: ``[B, N]`` scores of the negatives.
        given: bool ``[B, N]``, which of them count.
        temperature: scores are divided by it.
        plan: says which goal.
    """
    gaps = _exact(own)[:, None] - _exact(others)
    # left out behind the division: minus infinity over a learnt temperature has no gradient
    rest = (-gaps / temperature).masked_fill(~given, float("-inf"))
    logs = torch.cat([torch.zeros_like(gaps[:, :1]), rest], dim=1).log_softmax(1)
    if plan.goal == "one-hot":
        return -logs[:, 0]
    wanted = (-gaps.detach() / plan.goal_temperature).masked_fill(~given, float("-inf"))
    goal = torch.cat([torch.zeros_like(gaps[:, :1]), wanted], dim=1).log_softmax(1)
    cells = goal.exp() * (goal - logs)
    return cells.masked_fill(goal.isinf(), 0.0).sum(1)


def rank_loss(own: Tensor, others: Tensor, given: Tensor, margin: float) -> Tensor:
    """Mean over the negatives of what their gap to the target lacks of a margin, ``[B]``."""
    lacks = (margin - (_exact(own)[:, None] - _exact(others))).clamp(min=0)
    return lacks.masked_fill(~given, 0.0).sum(1) / given.sum(1).clamp(min=1)


def attribute_loss(weights: Tensor, asked: Tensor, shown: Tensor, plan: LossPlan) -> Tensor:
    """How far the attributes asked for are from those of the target, weighted, ``[B]``.

    Args:
        weights: ``[B, A]`` in 0 … 1.
        asked: ``[B, A, E]`` features of the question.
        shown: ``[B, A, E]`` the same of the target.
        plan: says whether the weights learn from it.
    """
    shares = plan.floor + (1 - plan.floor) * _exact(weights.detach() if plan.held else weights)
    near = torch.nn.functional.cosine_similarity(_exact(asked), _exact(shown), dim=2)
    return (shares * (1 - near)).sum(1)


def composed_loss(
    own: Tensor,
    others: Tensor,
    given: Tensor,
    temperature: Tensor | float,
    plan: LossPlan,
    attributes: tuple[Tensor, Tensor, Tensor] | None = None,
) -> Tensor:
    """All losses of a step, a scalar: the mean over its questions.

    Args:
        own, others, given, temperature: as in ``goal_loss``.
        plan: what counts how much.
        attributes: weights, asked and shown as in ``attribute_loss``; None for a model without.
    """
    loss = goal_loss(own, others, given, temperature, plan)
    if plan.rank:
        loss = loss + plan.rank * rank_loss(own, others, given, plan.margin)
    if plan.attribute and attributes is not None:
        loss = loss + plan.attribute * attribute_loss(*attributes, plan)
    return loss.mean()


def _exact(numbers: Tensor) -> Tensor:
    """At least float32, whatever the model computes in."""
    return numbers if numbers.dtype == torch.float64 else numbers.float()
