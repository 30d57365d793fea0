"""Combiners learnt from triplets: the base, where negatives come from, a broken run, leaks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from needlepoint.encoders.combiner import CombinerNet, CombinerShape, load_combiner
from needlepoint.errors import UsageError
from needlepoint.train.composed import ComposedRecipe, Lesson, queries_of, train_composed
from needlepoint.train.composed_losses import LossPlan
from needlepoint.train.loop import Plan
from needlepoint.train.negatives import Bounds, Choice
from needlepoint.train.ragged import Lists
from needlepoint.train.triplets import mixed_queries, rank_answers
from triplet_kit import attribute_triplets

pytestmark = pytest.mark.torch
SHAPE = CombinerShape(24, projection=32, hidden=48, dropout=0.2)
WEIGHTED = CombinerShape(24, projection=32, hidden=48, dropout=0.2, attributes=("colour", "shape"))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def recipe(steps=60, *, seed=0, shape=SHAPE, **changes):
    plan = Plan(steps=steps, rate=3e-3, warm_up=3, decay=0.0, seed=seed, save_every=1000)
    return ComposedRecipe(shape, plan, **({"batch": 64, "temperature": 0.05} | changes))


def r_at_1(data, model):
    rows = np.arange(len(data))
    return float(rank_answers(queries_of(model, data, rows), rows, data).recall(1).mean())


@pytest.mark.parametrize("base", ["combiner", "mlp"])
def test_a_combiner_beats_the_sum_and_either_half(tmp_path, base):
    data, fresh = attribute_triplets(400), attribute_triplets(200)
    shape = CombinerShape(24, base=base, projection=32, hidden=48, dropout=0.1)
    model, told = train_composed(data, recipe(80, shape=shape), tmp_path)
    rows = np.arange(200)
    halves = [
        rank_answers(mixed_queries(fresh, rows, share), rows, fresh).recall(1).mean()
        for share in (0.0, 0.5, 1.0)
    ]
    assert r_at_1(fresh, model) > 2 * max(halves)
    assert told["held_out"]["R@1"] > 2 * max(halves)


def test_noise_as_target_gives_chance(tmp_path):
    data = attribute_triplets(400)
    noise = np.random.default_rng(3).integers(len(data.gallery), size=len(data))
    lost = attribute_triplets(400, targets=noise, answers=Lists.of([[t] for t in noise]))
    _, told = train_composed(lost, recipe(60), tmp_path)
    assert told["held_out"]["R@5"] < 0.3  # by chance 5 of 63


@pytest.mark.parametrize("negatives", ["in-batch", "all", "trns", "random", "hardest", "qure"])
def test_every_kind_of_negative_teaches(tmp_path, negatives):
    data = attribute_triplets(400)
    losses = LossPlan(rank=0.5, attribute=0.1)
    chosen = recipe(70, shape=WEIGHTED, negatives=negatives, refresh=2, losses=losses)
    _, told = train_composed(data, chosen, tmp_path)
    assert told["held_out"]["R@5"] > 0.6
    epochs = [one["epoch"] for one in told["refreshes"]]
    # 70 steps of 64 of 360 questions: the last is in epoch 12
    assert epochs == ([] if negatives in ("in-batch", "all") else [2, 4, 6, 8, 10, 12])


def test_without_attributes_and_further_losses_it_is_the_base_model(tmp_path):
    """Zero heads, no ranking, negatives of the batch: loss and gradients of plain cross-entropy."""
    data = attribute_triplets(80)
    rows = np.arange(24)
    torch.manual_seed(0)
    model, plain = CombinerNet(WEIGHTED).eval(), CombinerNet(SHAPE).eval()
    plain.base.load_state_dict(model.base.state_dict())
    chosen = recipe(shape=WEIGHTED, losses=LossPlan(rank=0.0, attribute=0.0))
    lesson = Lesson(model, data, np.arange(80), chosen, tmp_path)
    lesson(rows, 0).backward()
    images = torch.from_numpy(data.gallery[data.references[:24]])
    texts = torch.from_numpy(data.texts[data.wordings.values[:24]])
    logits = plain(images, texts).query @ torch.from_numpy(data.gallery[data.targets[:24]]).T
    same = torch.from_numpy(data.targets[:24, None] == data.targets[None, :24])
    logits = (logits / plain.temperature).masked_fill(same & ~torch.eye(24, dtype=bool), -1e9)
    slow = torch.nn.functional.cross_entropy(logits, torch.arange(24))
    slow.backward()
    assert float(lesson(rows, 0).detach()) == pytest.approx(float(slow.detach()), rel=1e-5)
    for name, value in plain.base.named_parameters():
        found = model.base.get_parameter(name).grad
        assert torch.allclose(found, value.grad, atol=1e-6), name


def test_heads_of_zero_leave_every_query_as_it_was():
    data = attribute_triplets(40)
    torch.manual_seed(1)
    model, plain = CombinerNet(WEIGHTED).eval(), CombinerNet(SHAPE).eval()
    plain.base.load_state_dict(model.base.state_dict())
    rows = np.arange(40)
    assert np.allclose(queries_of(model, data, rows), queries_of(plain, data, rows), atol=1e-6)
    torch.nn.init.normal_(model.attributes.heads)
    found = model(torch.from_numpy(data.gallery[:5]), torch.from_numpy(data.texts[:5]))
    assert ((found.weights > 0) & (found.weights < 1)).all()
    assert torch.allclose(found.query.norm(dim=1), torch.ones(5), atol=1e-5)
    assert not np.allclose(queries_of(model, data, rows), queries_of(plain, data, rows), atol=1e-2)


def test_a_refresh_looks_without_dropout_or_gradient_and_goes_back_to_training(tmp_path):
    data = attribute_triplets(60)
    torch.manual_seed(0)
    model = CombinerNet(SHAPE).train()
    sets = Lesson(model, data, np.arange(60), recipe(negatives="hardest"), tmp_path).sets
    state = torch.get_rng_state()
    first, second = sets.refresh(5), sets.refresh(5)
    assert model.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())
    assert (first.gaps == second.gaps).all()
    model.eval()
    sets.refresh(5)
    assert not model.training


def test_a_broken_run_ends_in_the_same_bits(tmp_path):
    data = attribute_triplets(200)
    # 3 batches an epoch of 180; sets are made anew every second epoch, and read again in between
    chosen = recipe(26, shape=WEIGHTED, negatives="trns", refresh=2, losses=LossPlan())
    train_composed(data, chosen, tmp_path / "whole")
    train_composed(data, chosen, tmp_path / "parts", stop_after=14)
    torch.manual_seed(9)
    train_composed(data, chosen, tmp_path / "parts", resume=True, stop_after=7)
    train_composed(data, chosen, tmp_path / "parts", resume=True)
    one, other = (load_combiner(tmp_path / name)[0].state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    facts = [
        json.loads((tmp_path / name / "run" / "negatives.json").read_text())
        for name in ("whole", "parts")
    ]
    assert [row["epoch"] for row in facts[0]] == [2, 4, 6, 8]
    assert facts[0] == facts[1]
    with pytest.raises(UsageError, match="resume it"):
        train_composed(data, chosen, tmp_path / "parts")
    other = replace(chosen, refresh=3)
    with pytest.raises(UsageError, match="refresh is 3"):
        train_composed(data, other, tmp_path / "parts", resume=True)


def test_planted_answers_are_sampled_less_from_the_middle_and_the_target_climbs(tmp_path):
    data = attribute_triplets(400, twins=3)
    shares, climbed = {}, {}
    for rule, choice in (
        ("trns", Choice(bounds=Bounds(0.2, 0.8))),
        ("hardest", Choice(hardest=8)),
    ):
        chosen = recipe(90, negatives=rule, choice=choice, refresh=2)
        _, told = train_composed(data, chosen, tmp_path / rule)
        shares[rule] = told["refreshes"][-1]["near"]
        climbed[rule] = told["held_out"]["R@5"]
    assert shares["trns"] < 0.25 * shares["hardest"]
    torch.manual_seed(0)
    rows = np.arange(len(data))
    before = rank_answers(queries_of(CombinerNet(SHAPE).eval(), data, rows), rows, data).recall(5)
    assert climbed["trns"] > before.mean() + 0.2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"negatives": "near"}, "negatives: must be one of"),
        ({"batch": 0}, "batch: must be at least 1"),
        ({"temperature": 0.0}, "temperature: must be above 0"),
        ({"held_out": 1.0}, "held_out"),
        ({"shape": CombinerShape(9)}, "dim is 9, but vectors have 24"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, changes, told):
    with pytest.raises(UsageError, match=told):
        train_composed(attribute_triplets(20), recipe(**changes), tmp_path)
