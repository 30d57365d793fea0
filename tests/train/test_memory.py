"""Learning from conversations: the loss, a broken run, what is learnt, and the card."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from needlepoint.cli.main import run
from needlepoint.encoders.cascade import CascadeShape, load_cascade
from needlepoint.errors import EXIT_HITS, UsageError
from needlepoint.train.edits import attribute_edits
from needlepoint.train.loop import Plan
from needlepoint.train.memory import (
    Conversations,
    MemoryRecipe,
    last_turn_ranks,
    train_memory,
    turns_loss,
)

pytestmark = pytest.mark.torch
SHAPE = CascadeShape(picture=16, words=16, stages=2, slots=4, slot=8, hidden=32)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model is slower on two
    yield
    torch.set_num_threads(before)


def edits(count=200, **changes):
    facts = {"pictures": 100, "attributes": 4, "values": 4, "dim": 16, "turns": (1, 3), "differ": 2}
    return attribute_edits(count, **(facts | changes))


def recipe(steps=10, **changes):
    plan = Plan(steps=steps, rate=1e-2, warm_up=4, decay=0.01, save_every=5)
    return MemoryRecipe(SHAPE, plan, **({"batch": 32} | changes))


def slow_loss(answers, lengths, targets, gallery, scale, last):
    total, weights = 0.0, 0.0
    for row in range(len(answers)):
        for turn in range(int(lengths[row])):
            weight = last if turn == lengths[row] - 1 else 1.0
            scores = {
                other: scale * float(answers[row, turn] @ gallery[targets[other]])
                for other in range(len(answers))
                if other == row or targets[other] != targets[row]
            }
            total += weight * (np.log(sum(np.exp(s) for s in scores.values())) - scores[row])
            weights += weight
    return total / weights


def test_the_loss_equals_the_definition_and_ignores_what_follows_the_end():
    rng = np.random.default_rng(0)
    answers = torch.nn.functional.normalize(torch.from_numpy(rng.standard_normal((5, 3, 6))), dim=2)
    gallery = torch.nn.functional.normalize(torch.from_numpy(rng.standard_normal((7, 6))), dim=1)
    lengths, targets = torch.tensor([1, 3, 2, 3, 1]), torch.tensor([4, 2, 4, 0, 6])
    scale = torch.tensor(8.0, dtype=torch.float64)
    fast = turns_loss(answers, lengths, targets, gallery, scale, 2.5)
    slow = slow_loss(answers.numpy(), lengths, targets, gallery.numpy(), 8.0, 2.5)
    assert float(fast) == pytest.approx(slow)
    answers[0, 1:] = 0.3
    assert float(turns_loss(answers, lengths, targets, gallery, scale, 2.5)) == pytest.approx(slow)


def test_a_broken_run_ends_in_the_same_bits(tmp_path):
    told = train_memory(edits(), recipe(), tmp_path / "whole")
    train_memory(edits(), recipe(), tmp_path / "parts", stop_after=4)
    again = train_memory(edits(), recipe(), tmp_path / "parts", resume=True)
    assert told["steps_done"] == again["steps_done"] == 10
    assert told["held_out"] == again["held_out"]
    one, other = (load_cascade(tmp_path / name)[0].state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    with pytest.raises(UsageError, match="holds a run already"):
        train_memory(edits(), recipe(), tmp_path / "parts")


def test_the_order_of_turns_hardly_matters_after_training(tmp_path):
    train_memory(edits(1000, turns=(3, 3)), recipe(steps=80), tmp_path)
    model = load_cascade(tmp_path)[0]
    fresh = edits(300, turns=(3, 3))
    rows = np.arange(300)
    found = {}
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        turned = Conversations(
            fresh.features[:, list(order)], fresh.lengths, fresh.targets, fresh.gallery
        )
        found[order] = float((last_turn_ranks(model, turned, rows, 2) <= 5).mean())
    assert min(found.values()) > 0.6  # by chance 0.05
    assert max(found.values()) - min(found.values()) < 0.1


def test_the_command_writes_a_card(tmp_path, capfd):
    edits(80).save(tmp_path / "talks.npz")
    args = ["train", "memory", "--data", str(tmp_path / "talks.npz"), "--out", str(tmp_path / "m")]
    args += [
        "--steps",
        "4",
        "--warm-up",
        "1",
        "--stages",
        "2",
        "--slots",
        "4",
        "--slot",
        "6",
        "--hidden",
        "8",
    ]
    assert run(args) == EXIT_HITS
    printed = json.loads(capfd.readouterr().out)
    facts = json.loads((tmp_path / "m" / "training.json").read_text())
    assert printed["held_out"] == facts["held_out"]
    assert facts["command"].startswith(
        "needlepoint train memory --data talks.npz --out m --steps 4"
    )
    page = (tmp_path / "m" / "README.md").read_text()
    assert "fashion_ntm:weights=FOLDER" in page
    assert str(facts["held_out"]["R@5"]) in page
    assert load_cascade(tmp_path / "m")[0].shape.slots == 4


def test_turns_of_edits_are_told_one_attribute_at_a_time():
    data = edits(60, noise=0.0)
    assert data.features.shape == (60, 3, 2, 32)
    assert set(data.lengths.tolist()) == {1, 2, 3}
    behind = np.arange(3)[None] >= data.lengths[:, None]
    assert not data.features[behind].any()
    assert data.features[~behind].any(axis=(1, 2)).all()
    # what is said about one value is the same wherever it is said
    said = {tuple(row.round(4)) for row in data.features[~behind][:, 0, 16:]}
    assert len(said) <= 4 * 4
    assert np.array_equal(edits(60).features, edits(60).features)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda d: edits(5, turns=(1, 9)), "attributes"),
        (lambda d: edits(5, pictures=300), r"4\^4"),
        (lambda d: recipe(last=0.5), "last: must be at least 1"),
        (lambda d: recipe(held_out=1.0), "held_out"),
        (lambda d: Conversations(d.features, d.lengths + 9, d.targets, d.gallery), "lengths"),
        (lambda d: Conversations(d.features, d.lengths, d.targets + 999, d.gallery), "targets"),
        (lambda d: Conversations(d.features[0], d.lengths, d.targets, d.gallery), "features"),
        (lambda d: Conversations(d.features, d.lengths[:2], d.targets, d.gallery), "must be"),
    ],
)
def test_what_does_not_fit_is_refused(make, told):
    with pytest.raises(UsageError, match=told):
        make(edits(20))


def test_data_of_other_sizes_and_other_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match="gallery must be"):
        train_memory(edits(20, dim=8), recipe(), tmp_path)
    (tmp_path / "x.npz").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="holds no conversations"):
        Conversations.load(tmp_path / "x.npz")
    edits(20).save(tmp_path / "y.npz")
    assert Conversations.load(tmp_path / "y.npz").digest() == edits(20).digest()
