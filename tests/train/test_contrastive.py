"""Losses against slow re-statements of the formulas, cell by cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.errors import UsageError
from needlepoint.train.contrastive import (
    distillation,
    info_nce,
    relations,
    sigmoid_loss,
    smooth_recall,
)

pytestmark = pytest.mark.torch

WORDS = ("red", "blue", "sofa", "cat", "left")


def slow_relations(meanings, sources):
    n = len(meanings)
    right, wrong = np.zeros((n, n), bool), np.zeros((n, n), bool)
    for i in range(n):
        for j in range(n):
            right[i, j] = meanings[i] == meanings[j]
            part = meanings[j] <= meanings[i]
            wrong[i, j] = not part and sources[i] != sources[j]
    return right, wrong


def slow_info_nce(images, texts, scale, right, wrong):
    def one_way(score, right, wrong):
        total = 0.0
        for i in range(len(score)):
            others = sum(math.exp(score[i][j]) for j in range(len(score)) if wrong[i][j])
            kinds = [j for j in range(len(score)) if right[i][j]]
            costs = [-math.log(math.exp(score[i][j]) / (math.exp(score[i][j]) + others))
                     for j in kinds]  # fmt: skip
            total += sum(costs) / len(kinds)
        return total / len(score)

    score = (images @ texts.T * scale).tolist()
    turned = [list(row) for row in zip(*score, strict=True)]
    return (one_way(score, right, wrong) + one_way(turned, right.T, wrong.T)) / 2


def slow_sigmoid(images, texts, scale, bias, right, wrong):
    total = 0.0
    for i in range(len(images)):
        for j in range(len(texts)):
            sign = 1 if right[i][j] else -1 if wrong[i][j] else 0
            if sign:
                logit = float(images[i] @ texts[j]) * scale + bias
                total += math.log(1 + math.exp(-sign * logit))
    return total / len(images)


meanings_lists = st.lists(
    st.frozensets(st.sampled_from(WORDS), min_size=1, max_size=3), min_size=1, max_size=7
)


def draw_vectors(n, seed, dim=5):
    rng = np.random.default_rng(seed)
    made = torch.from_numpy(rng.normal(size=(2, n, dim)))
    return torch.nn.functional.normalize(made, dim=-1)


@settings(deadline=None, max_examples=60)
@given(meanings_lists, st.data())
def test_relations_and_losses_equal_their_slow_restatement(meanings, data):
    n = len(meanings)
    sources = data.draw(st.lists(st.sampled_from("abcd"), min_size=n, max_size=n))
    right, wrong = relations(meanings, sources)
    slow_right, slow_wrong = slow_relations(meanings, sources)
    np.testing.assert_array_equal(right, slow_right)
    np.testing.assert_array_equal(wrong, slow_wrong)
    images, texts = draw_vectors(n, data.draw(st.integers(0, 99)))
    cells = torch.from_numpy(right), torch.from_numpy(wrong)
    fast = info_nce(images, texts, torch.tensor(7.0), *cells)
    assert float(fast) == pytest.approx(
        slow_info_nce(images, texts, 7.0, right, wrong), rel=1e-4, abs=1e-5
    )
    fast = sigmoid_loss(images, texts, torch.tensor(7.0), torch.tensor(-3.0), *cells)
    assert float(fast) == pytest.approx(
        slow_sigmoid(images, texts, 7.0, -3.0, right, wrong), rel=1e-4, abs=1e-5
    )


@settings(deadline=None, max_examples=30)
@given(meanings_lists, st.randoms(use_true_random=False))
def test_order_within_a_batch_changes_nothing(meanings, random):
    order = list(range(len(meanings)))
    random.shuffle(order)
    images, texts = draw_vectors(len(meanings), 3)
    values = []
    for rows in (list(range(len(meanings))), order):
        cells = relations([meanings[i] for i in rows], [str(i) for i in rows])
        right, wrong = (torch.from_numpy(c) for c in cells)
        values.append(float(info_nce(images[rows], texts[rows], torch.tensor(9.0), right, wrong)))
    assert values[0] == pytest.approx(values[1], rel=1e-5, abs=1e-6)


def test_with_all_texts_different_it_is_the_cross_entropy_of_clip():
    images, texts = draw_vectors(6, 1)
    names = [frozenset({str(i)}) for i in range(6)]
    right, wrong = (torch.from_numpy(c) for c in relations(names, "abcdef"))
    logits = (images @ texts.T * 11).float()
    targets = torch.arange(6)
    both = [torch.nn.functional.cross_entropy(x, targets) for x in (logits, logits.T)]
    ours = info_nce(images, texts, torch.tensor(11.0), right, wrong)
    assert float(ours) == pytest.approx(float(sum(both)) / 2, rel=1e-5)


def test_a_second_pair_with_the_same_text_is_no_negative():
    images, texts = draw_vectors(3, 2)
    texts[1] = texts[0]
    same = [frozenset({"cat"}), frozenset({"cat"}), frozenset({"dog"})]
    right, wrong = (torch.from_numpy(c) for c in relations(same, "abc"))
    loose = images.clone().requires_grad_()
    info_nce(loose, texts, torch.tensor(5.0), right, wrong).backward()
    # picture 0 is drawn to its text and driven from the dog's alone, never from its twin's
    step = -loose.grad[0]
    assert float(step @ texts[1]) > 0 > float(step @ texts[2]) - float(step @ texts[1])
    alone = info_nce(images[:2], texts[:2], torch.tensor(5.0), right[:2, :2], wrong[:2, :2])
    assert float(alone) == 0.0


def test_the_scale_is_capped_and_shapes_are_checked():
    images, texts = draw_vectors(4, 5)
    names = [frozenset({str(i)}) for i in range(4)]
    cells = [torch.from_numpy(c) for c in relations(names, "abcd")]
    capped = info_nce(images, texts, torch.tensor(1e6), *cells)
    assert float(capped) == float(info_nce(images, texts, torch.tensor(100.0), *cells))
    with pytest.raises(UsageError, match=r"\[N, D\]"):
        info_nce(images, texts[:2], torch.tensor(1.0), *cells)


def test_distillation_is_zero_for_the_same_direction_and_two_for_the_opposite():
    vectors = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    assert float(distillation(vectors * 3, vectors)) == pytest.approx(0, abs=1e-6)
    assert float(distillation(-vectors, vectors)) == pytest.approx(2)


def slow_smooth_recall(images, texts, wrong, cuts, temperature):
    def bend(x):
        return 1 / (1 + math.exp(-x)) if x > -700 else 0.0

    score = (texts @ images.T).tolist()
    count = len(score)
    ranks = [
        1
        + sum(
            bend((score[i][j] - score[i][i]) / temperature)
            for j in range(count)
            if wrong[j][i]  # picture j is wrong for text i
        )
        for i in range(count)
    ]
    parts = [1 - sum(bend(k - rank) for rank in ranks) / count for k in cuts]
    return sum(parts) / len(parts)


def test_smooth_recall_equals_the_formula_and_falls_when_ranks_rise():
    rng = np.random.default_rng(4)
    images, texts = (
        torch.nn.functional.normalize(torch.from_numpy(rng.standard_normal((7, 5))), dim=1)
        for _ in range(2)
    )
    wrong = ~torch.eye(7, dtype=torch.bool)
    wrong[0, 3] = False  # text 3 is true of picture 0 as well
    for cuts, temperature in (((1, 2, 4, 8, 16), 0.01), ((3,), 0.2)):
        fast = smooth_recall(images, texts, wrong, cuts=cuts, temperature=temperature)
        slow = slow_smooth_recall(images.numpy(), texts.numpy(), wrong.tolist(), cuts, temperature)
        assert float(fast) == pytest.approx(slow, abs=1e-6)
    best = float(smooth_recall(images, images, wrong))
    # every rank is 1: one minus the mean of sigmoid(K - 1)
    assert best == pytest.approx(np.mean([1 - 1 / (1 + math.exp(1 - k)) for k in (1, 2, 4, 8, 16)]))
    assert best < float(smooth_recall(images, texts, wrong))


def test_smooth_recall_learns():
    rng = np.random.default_rng(0)
    images = torch.nn.functional.normalize(torch.from_numpy(rng.standard_normal((8, 6))), dim=1)
    texts = torch.from_numpy(rng.standard_normal((8, 6))).requires_grad_()
    wrong = ~torch.eye(8, dtype=torch.bool)
    losses = []
    for _ in range(30):
        unit = torch.nn.functional.normalize(texts, dim=1)
        loss = smooth_recall(images, unit, wrong, temperature=0.1)
        (grad,) = torch.autograd.grad(loss, texts)
        texts = (texts - 4 * grad).detach().requires_grad_()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
