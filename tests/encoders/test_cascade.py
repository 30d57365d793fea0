"""Cascaded memories: addressing, conversations apart from each other, saving."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from needlepoint.encoders.cascade import (  # noqa: E402
    CONFIG,
    WEIGHTS,
    Cascade,
    CascadeShape,
    Head,
    load_cascade,
    save_cascade,
)
from needlepoint.errors import ModelUnavailable, UsageError  # noqa: E402

pytestmark = pytest.mark.torch
SHAPE = CascadeShape(picture=6, words=4, stages=3, slots=5, slot=7, hidden=8)


def fresh(shape=SHAPE, seed=0):
    torch.manual_seed(seed)
    return Cascade(shape).eval()


def talks(count=4, turns=3, seed=1):
    return torch.randn(count, turns, 3, 10, generator=torch.Generator().manual_seed(seed))


def slow_addressing(head, hidden, rows, before):
    """The equations of the standard machine for one conversation, number by number."""
    wish = head.wish(hidden[None])[0].tolist()
    key, rest = wish[:7], torch.tensor(wish[7:])
    strength, gate = torch.nn.functional.softplus(rest[0]).item(), rest[1].sigmoid().item()
    shift, sharp = rest[2:5].softmax(0).tolist(), 1 + torch.nn.functional.softplus(rest[5]).item()
    key = torch.tensor(key)
    near = torch.tensor([strength * (row @ key) / (row.norm() * key.norm()) for row in rows])
    content = near.softmax(0).tolist()
    gated = [gate * c + (1 - gate) * b for c, b in zip(content, before.tolist(), strict=True)]
    count = len(gated)
    # shift[0] looks at the next row, shift[1] at the same, shift[2] at the one before
    moved = [
        shift[0] * gated[(i + 1) % count] + shift[1] * gated[i] + shift[2] * gated[i - 1]
        for i in range(count)
    ]
    powered = [one**sharp for one in moved]
    return [one / sum(powered) for one in powered]


def test_addressing_equals_the_equations():
    torch.manual_seed(3)
    head = Head(SHAPE)
    hidden, rows = torch.randn(4, 8), torch.randn(4, 5, 7)
    before = torch.rand(4, 5).softmax(1)
    fast = head(hidden, rows, before)
    for number in range(4):
        slow = slow_addressing(head, hidden[number], rows[number], before[number])
        assert fast[number].tolist() == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_weights_are_never_negative_and_add_up_to_one(size):
    model = fresh()
    with torch.no_grad():
        for stage in model.stages:
            for head in (stage.reader, stage.writer):
                head.wish.weight.mul_(size)
    memories = model.start(4)
    for turn in range(6):
        _, memories = model.step(size * talks(turns=6)[:, turn], memories)
        for memory in memories:
            for weights in (memory.reading, memory.writing):
                assert (weights >= 0).all()
                assert weights.sum(1).tolist() == pytest.approx([1.0] * 4, abs=1e-5)
                assert torch.isfinite(memory.rows).all()


def test_conversations_of_a_batch_never_leak():
    model, told = fresh(), talks()
    together = model(told)
    other = told.clone()
    other[1:] = talks(seed=9)[1:]
    assert torch.allclose(model(other)[0], together[0], atol=1e-6)
    for number in range(len(told)):
        alone = model(told[number : number + 1])[0]
        assert torch.allclose(alone, together[number], atol=1e-6)


def test_a_reset_memory_hears_any_turn_as_the_first():
    model, told = fresh(), talks()
    first = model(told[:, :1])[:, 0]
    _, memories = model.step(told[:, 1], model.start(4))
    kept, _ = model.step(told[:, 0], memories)
    again, _ = model.step(told[:, 0], model.start(4))
    unit = torch.nn.functional.normalize
    assert torch.allclose(unit(again, dim=1), first, atol=1e-6)
    assert not torch.allclose(unit(kept, dim=1), first, atol=1e-3)


def test_what_follows_changes_no_earlier_answer_and_one_turn_is_enough():
    model, told = fresh(), talks()
    long, short = model(told), model(told[:, :1])
    assert short.shape == (4, 1, 6)
    assert torch.allclose(long[:, :1], short, atol=1e-6)
    assert torch.linalg.norm(long, dim=2).flatten().tolist() == pytest.approx([1.0] * 12, abs=1e-5)


def test_every_weight_is_learnt():
    model = fresh()
    model(talks())[:, -1].sum().backward()
    still = [name for name, one in model.named_parameters() if one.grad is None]
    assert still == ["scale"]  # the loss uses it


def test_the_mean_of_the_turns_may_be_added():
    shape = CascadeShape(picture=5, words=5, stages=2, slots=4, slot=3, hidden=4, skip=True)
    model = fresh(shape)
    with torch.no_grad():
        for one in model.answer.parameters():
            one.zero_()
    told = talks(count=2)[:, :, :2]
    shown = told[..., :5].sum(2).cumsum(1) / torch.tensor([1.0, 2.0, 3.0])[:, None]
    said = told[:, :, 0, 5:].cumsum(1) / torch.tensor([1.0, 2.0, 3.0])[:, None]
    assert torch.allclose(
        model(told), torch.nn.functional.normalize(shown + said, dim=2), atol=1e-6
    )


def test_a_saved_model_is_the_same(tmp_path):
    model = fresh()
    save_cascade(model, tmp_path, note="x")
    again, facts = load_cascade(tmp_path)
    assert facts == {"note": "x"}
    assert again.shape == SHAPE
    assert torch.equal(again(talks()), model(talks()))
    (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(ModelUnavailable, match="holds no FashionNTM"):
        load_cascade(tmp_path)
    (tmp_path / CONFIG).unlink()
    with pytest.raises(ModelUnavailable, match="needlepoint train memory"):
        load_cascade(tmp_path)


def test_sizes_are_checked():
    with pytest.raises(UsageError, match="slots: must be at least 1"):
        CascadeShape(picture=4, words=4, slots=0)
