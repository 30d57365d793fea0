"""Losses of composed questions against their definitions, in float64 and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from needlepoint.errors import UsageError
from needlepoint.train.composed_losses import (
    LossPlan,
    attribute_loss,
    composed_loss,
    gallery_scores,
    goal_loss,
    own_scores,
    rank_loss,
)

pytestmark = pytest.mark.torch
PLAIN = LossPlan(rank=0.0, attribute=0.0)


def units(*shape, seed=0):
    found = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(found, dim=-1)


def test_a_score_is_the_best_token_and_the_order_of_tokens_tells_nothing():
    queries, gallery = units(3, 8), units(5, 4, 8, seed=1)
    found = gallery_scores(queries, gallery)
    for row in range(3):
        for column in range(5):
            best = max(float(queries[row] @ token) for token in gallery[column])
            assert float(found[row, column]) == pytest.approx(best, abs=1e-6)
    turned = gallery[:, torch.randperm(4)]
    assert torch.equal(gallery_scores(queries, turned), found)
    own = own_scores(queries, gallery[None].expand(3, -1, -1, -1))
    assert torch.allclose(own, found, atol=1e-6)
    one = gallery[:, :1]
    assert torch.allclose(gallery_scores(queries, one), queries @ one[:, 0].T, atol=1e-6)


def test_one_negative_is_a_softplus_and_all_candidates_are_cross_entropy():
    scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(2))
    own = scores.diagonal()
    given = torch.ones(6, 1, dtype=torch.bool)
    one = goal_loss(own, scores[:, [0]], given, 0.1, PLAIN)
    assert torch.allclose(one, torch.nn.functional.softplus(-(own - scores[:, 0]) / 0.1), atol=1e-5)
    others = ~torch.eye(6, dtype=torch.bool)
    whole = torch.nn.functional.cross_entropy(scores / 0.1, torch.arange(6), reduction="none")
    assert torch.allclose(goal_loss(own, scores, others, 0.1, PLAIN), whole, atol=1e-5)


def test_a_soft_goal_adds_up_to_one_and_costs_nothing_when_met():
    own, others = torch.tensor([0.6, 0.2]), torch.tensor([[0.5, 0.1, 0.9], [0.1, 0.0, 0.3]])
    given = torch.tensor([[True, True, False], [True, True, True]])
    soft = LossPlan(goal="soft", goal_temperature=0.25)
    assert goal_loss(own, others, given, 0.25, soft) == pytest.approx([0, 0], abs=1e-6)
    found = goal_loss(own, others, given, 0.1, soft)
    for row in range(2):
        scores = [float(own[row])]
        scores += [float(s) for s, on in zip(others[row], given[row], strict=True) if on]
        goal = [math.exp(s / 0.25) for s in scores]
        goal = [one / sum(goal) for one in goal]
        logs = [math.exp(s / 0.1) for s in scores]
        logs = [math.log(one / sum(logs)) for one in logs]
        assert sum(goal) == pytest.approx(1)
        slow = sum(g * (math.log(g) - p) for g, p in zip(goal, logs, strict=True))
        assert float(found[row]) == pytest.approx(slow, rel=1e-4)


def test_nothing_is_learnt_through_a_soft_goal():
    own = torch.tensor([0.6], requires_grad=True)
    others = torch.tensor([[0.5, 0.1]])
    given = torch.ones(1, 2, dtype=torch.bool)
    goal_loss(own, others, given, 0.25, LossPlan(goal="soft", goal_temperature=0.25)).backward()
    assert float(own.grad) == pytest.approx(0, abs=1e-6)


def test_the_ranking_loss_is_nothing_where_every_gap_is_wide_enough():
    own, others = torch.tensor([0.75, 0.75]), torch.tensor([[0.5, 0.25], [0.625, 0.875]])
    given = torch.ones(2, 2, dtype=torch.bool)
    assert rank_loss(own, others, given, 0.25).tolist() == [0.0, 0.25]
    given[1, 1] = False
    assert rank_loss(own, others, given, 0.25).tolist() == [0.0, 0.125]


def test_a_question_without_negatives_costs_nothing_and_spoils_no_gradient():
    own = torch.tensor([0.3, 0.4], requires_grad=True)
    temperature = torch.tensor(0.1, requires_grad=True)
    others = torch.zeros(2, 3)
    given = torch.tensor([[False] * 3, [True] * 3])
    for goal in ("one-hot", "soft"):
        plan = LossPlan(goal=goal, rank=0.5)
        assert goal_loss(own, others, given, temperature, plan)[0].item() == 0
        composed_loss(own, others, given, temperature, plan).backward()
        assert torch.isfinite(own.grad).all()
        assert torch.isfinite(temperature.grad)


def test_a_constant_added_to_all_scores_changes_no_loss():
    own, others = torch.rand(4), torch.rand(4, 7)
    given = torch.rand(4, 7) > 0.3
    for plan in (LossPlan(), LossPlan(goal="soft")):
        plain = composed_loss(own, others, given, 0.07, plan)
        moved = composed_loss(own + 0.5, others + 0.5, given, 0.07, plan)
        assert float(moved) == pytest.approx(float(plain), rel=1e-4)


def test_the_attribute_loss_is_weighted_and_leaves_the_weights_alone_where_asked():
    weights = torch.tensor([[0.25, 0.5]], requires_grad=True)
    asked = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    shown = torch.tensor([[[0.0, 3.0], [0.0, 1.0]]])
    found = attribute_loss(weights, asked, shown, LossPlan())
    assert float(found) == pytest.approx(0.25)
    assert not found.requires_grad
    free = attribute_loss(weights, asked, shown, LossPlan(held=False, floor=0.5))
    assert free.item() == pytest.approx(0.5 + 0.5 * 0.25)
    free.backward()
    assert weights.grad[0, 0] > 0


def test_gradients_agree_with_finite_differences():
    given = torch.tensor([[True, True, False], [True, True, True]])
    shown = torch.ones(2, 2, 4, dtype=torch.float64)
    rng = np.random.default_rng(0)
    values = [torch.from_numpy(rng.random(s)) for s in ((2,), (2, 3), (2, 2), (2, 2, 4))]
    inputs = tuple(value.requires_grad_(True) for value in values)

    def loss(own, others, weights, asked):
        plan = LossPlan(held=False)
        return composed_loss(own, others, given, 0.3, plan, (weights, asked, shown))

    assert torch.autograd.gradcheck(loss, inputs, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"goal": "hard"}, "one-hot or soft"),
        ({"goal_temperature": 0.0}, "above 0"),
        ({"margin": -1.0}, "must not be below 0"),
        ({"floor": 2.0}, "floor: must be 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, told):
    with pytest.raises(UsageError, match=told):
        LossPlan(**settings)
