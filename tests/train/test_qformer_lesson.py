"""What SPRC, QuRe and DQE-CIR on a Q-Former must satisfy, on a tiny one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from qformer_kit import blip2, coloured, opened

from needlepoint.errors import UsageError
from needlepoint.train.composed_losses import LossPlan, gallery_scores
from needlepoint.train.qformer import recipe_of
from needlepoint.train.qformer_data import read_questions
from needlepoint.train.qformer_lesson import (
    ComposedQFormer,
    QFormerLesson,
    align_loss,
    queries_of,
    scores_of,
)

pytestmark = pytest.mark.torch

BATCH = np.arange(6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return blip2(tmp_path_factory.mktemp("blip2") / "model")


@pytest.fixture(scope="module")
def data(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    return read_questions([coloured(place / "pictures")], opened(folder), place / "cache")


@pytest.fixture
def lesson(folder, data, tmp_path):
    """A lesson of a recipe, on weights as they were, without dropout."""

    def make(method, **changed):
        recipe = recipe_of(method, len(data.triplets), batch=6, **changed)
        torch.manual_seed(0)
        model = ComposedQFormer(opened(folder).net, recipe).eval()
        return QFormerLesson(model, data, np.arange(len(data.triplets)), recipe, tmp_path)

    return make


def _gradients(model):
    return {n: p.grad.clone() for n, p in model.net.named_parameters() if p.grad is not None}


def test_pictures_are_seen_once_and_kept(data, folder, tmp_path_factory):
    encoder = opened(folder)
    kept = data.seen(np.array([4]), torch.device("cpu"))
    assert kept.shape == (1, 5, 48)  # a class token and four patches
    assert data.ids.shape == (6, 32)
    assert len(data.triplets) == 18
    with torch.inference_mode():
        looked = encoder.net.look(kept)
    assert torch.allclose(looked.norm(dim=-1), torch.ones(1, 4))


def test_sprc_is_the_sum_of_its_three_losses(lesson, data):
    made = lesson("sprc", text_only=0.3, align=0.7)
    model, triplets = made.model, data.triplets
    ids = data.asked(BATCH, [0, 5, 0], torch.device("cpu"))
    seen = data.seen(triplets.references[BATCH], torch.device("cpu"))
    with torch.no_grad():
        asked = model(seen, ids)
        targets = model.net.look(data.seen(triplets.targets[BATCH], torch.device("cpu")))
        told = float(made(BATCH, 0))

    def contrast(queries):
        near = np.einsum("qe,gke->qgk", queries, targets).max(2) / 0.07
        costs = []
        for row, target in enumerate(triplets.targets[BATCH]):
            others = [c for c in range(6) if triplets.targets[BATCH][c] != target]
            every = near[row, [row, *others]]
            costs.append(np.log(np.exp(every - every[0]).sum()))
        return np.mean(costs)

    with torch.no_grad():
        alone = model.text_only(ids)
        gap = asked.mixed.mean(1) - model.prompts.mean(1)
    expected = contrast(asked.query) + 0.3 * contrast(alone) + 0.7 * float((gap**2).mean())
    assert told == pytest.approx(expected, rel=1e-4)


def test_the_prompts_learn_from_the_text_only_loss_and_not_from_their_distance(lesson, data):
    for weights, moved in (({"text_only": 0.0}, False), ({"align": 0.0}, True)):
        made = lesson("sprc", **weights)
        made(BATCH, 0).backward()
        grad = made.model.prompts.grad
        assert (grad is not None and float(grad.abs().max()) > 0) is moved
    mixed = torch.randn(3, 4, 64, requires_grad=True)
    prompts = torch.zeros(1, 4, 64, requires_grad=True)
    align_loss(mixed, prompts).backward()
    assert prompts.grad is None
    assert mixed.grad.abs().max() > 0


def test_without_weights_and_further_losses_dqe_cir_is_its_base(lesson):
    """Brief, 9.1: the same loss and the same gradients."""
    told = []
    for method in ("qure", "dqe_cir"):
        made = lesson(method, negatives="in-batch", losses=LossPlan(rank=0.0, attribute=0.0))
        loss = made(BATCH, 0)
        loss.backward()
        told.append((loss, _gradients(made.model)))
    (base, base_moves), (ours, moves) = told
    assert base.item() == pytest.approx(ours.item(), rel=1e-6)
    assert base_moves.keys() <= moves.keys()
    for name, grad in base_moves.items():
        assert torch.allclose(grad, moves[name], atol=1e-5, rtol=1e-3), name


def test_weights_are_shares_and_untrained_heads_change_nothing(lesson, data):
    """Brief, 9.8."""
    base, ours = lesson("qure").model, lesson("dqe_cir").model
    seen = data.seen(np.arange(5), torch.device("cpu"))
    ids = data.asked(np.arange(5), [1], torch.device("cpu"))
    with torch.no_grad():
        asked = ours(seen, ids)
        assert torch.allclose(asked.query, base(seen, ids).query, atol=1e-6)
        assert torch.allclose(asked.query.norm(dim=1), torch.ones(5))
        assert 0 < asked.weights.min() <= asked.weights.max() < 1
        ours.attributes.heads.normal_(0, 0.3)
        moved = ours(seen, ids).query
    assert (moved - asked.query).abs().max() > 1e-2
    assert torch.allclose(moved.norm(dim=1), torch.ones(5))


def test_a_score_is_the_best_token_whatever_their_order(lesson):
    """Entry 29, 1 and 4; brief, 9.2."""
    torch.manual_seed(0)
    questions, gallery = (
        torch.nn.functional.normalize(torch.randn(*shape), dim=-1) for shape in ((3, 8), (5, 4, 8))
    )
    scores = gallery_scores(questions, gallery)
    assert torch.equal(scores, gallery_scores(questions, gallery[:, [2, 0, 3, 1]]))
    twice = torch.cat([gallery, gallery[:, 1:2]], dim=1)
    assert torch.allclose(scores, gallery_scores(questions, twice))
    one = gallery[:, :1]
    assert torch.allclose(gallery_scores(questions, one), questions @ one[:, 0].T)


@pytest.mark.parametrize("method", ["qure", "dqe_cir"])
def test_drawn_negatives_cost_what_the_formula_says(lesson, data, method):
    """One negative: softplus(-(s_t - s_n) / T), with its ranking loss for DQE-CIR."""
    made = lesson(method, count=1, refresh=2, losses=LossPlan(rank=0.5, attribute=0.0))
    triplets = data.triplets
    for step in (0, 8):  # of the warm-up, and of epoch 2
        rows, given = made.sets.draw(BATCH, 1, step * 6 // 18)
        assert given.all()
        assert not (rows[:, 0] == triplets.targets[BATCH]).any()
        assert not (rows[:, 0] == triplets.references[BATCH]).any()
        with torch.no_grad():
            ids = data.asked(BATCH, [0, 5, step], torch.device("cpu"))
            asked = made.model(data.seen(triplets.references[BATCH], torch.device("cpu")), ids)
            every = scores_of(made.model, data)(BATCH)  # for the gallery alone
            assert every.shape == (6, 9)
            looked = made.model.net.look(data.seen(np.arange(9), torch.device("cpu")))
            near = gallery_scores(asked.query, looked).numpy()
            told = float(made(BATCH, step))
        place = np.arange(6)
        gap = near[place, triplets.targets[BATCH]] - near[place, rows[:, 0]]
        expected = np.log1p(np.exp(-gap / 0.07)) + 0.5 * np.maximum(0, 0.2 - gap)
        assert told == pytest.approx(expected.mean(), rel=1e-4)


def test_sets_are_made_in_eval_mode_and_training_goes_on(folder, data, tmp_path):
    recipe = recipe_of("dqe_cir", 18, batch=6, refresh=1)
    drawn = []
    for name in ("one", "two"):
        torch.manual_seed(0)
        model = ComposedQFormer(opened(folder).net, recipe).train()
        (tmp_path / name).mkdir()
        made = QFormerLesson(model, data, np.arange(18), recipe, tmp_path / name)
        torch.manual_seed(len(drawn))  # dropout would differ
        drawn.append(made.sets.draw(BATCH, 4, 1)[0])
        assert model.training
        assert [one.epoch for one in made.sets.refreshes] == [1]
    assert np.array_equal(*drawn)


def test_questions_are_the_mean_of_their_wordings(lesson, data):
    model = lesson("sprc").model
    found = queries_of(model, data, np.array([7]))
    seen = data.seen(data.triplets.references[[7, 7]], torch.device("cpu"))
    with torch.no_grad():
        ids = torch.from_numpy(data.ids[data.triplets.wordings[7]])
        mean = model(seen, ids).query.sum(0)
    assert torch.allclose(found[0], mean / mean.norm(), atol=1e-6)


def test_recipes_have_the_published_numbers():
    sprc, qure = recipe_of("sprc", 1280), recipe_of("qure", 320)
    assert (sprc.batch, sprc.plan.steps, sprc.plan.planned, sprc.plan.warm_up) == (
        128,
        500,
        800,
        16,
    )
    assert (sprc.text_only, sprc.align, sprc.temperature) == (0.4, 0.4, 0.07)
    assert (qure.batch, qure.plan.steps, qure.refresh, qure.count) == (32, 500, 8, 1)
    assert qure.plan.rate_at(499) == pytest.approx(qure.plan.rate / 100, rel=0.01)
    assert recipe_of("dqe_cir", 320).negatives == "trns"
    with pytest.raises(UsageError, match="base: that of sprc is sprc, not qure"):
        replace(sprc, base="qure")
