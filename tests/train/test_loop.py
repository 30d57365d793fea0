"""The loop: the schedule, learning, and a broken run that ends in the same bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from needlepoint.errors import UsageError
from needlepoint.train.loop import CHECKPOINT, Plan, train
from needlepoint.train.samplers import Batches

pytestmark = pytest.mark.torch


class Line(torch.nn.Module):
    """A line with dropout, so that the state of chance matters too."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.slope = torch.nn.Linear(3, 1)
        self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
        self.drop = torch.nn.Dropout(0.3)


def lesson(model):
    data = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    goal = data @ torch.tensor([[1.0], [-2.0], [0.5]])

    def loss(indices, step):
        rows = torch.from_numpy(indices)
        return (model.slope(model.drop(data[rows])) - goal[rows]).square().mean()

    return loss


def fresh():
    model = Line()
    return model, lesson(model), Batches(range(40), batch=7, run=1, seed=3)


PLAN = Plan(steps=30, rate=0.05, warm_up=3, save_every=5, report_every=10)


@pytest.mark.parametrize("cuts", [(11,), (4, 9, 1)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_interrupted_run_ends_in_the_same_bits(tmp_path, cuts, precision):
    plan = Plan(steps=30, rate=0.05, warm_up=3, precision=precision)
    model, loss, batches = fresh()
    assert train(model, loss, batches, plan, tmp_path / "whole") == 30
    for count in cuts:
        torch.manual_seed(99)  # whatever else happened in the other process
        broken, loss, batches = fresh()
        train(broken, loss, batches, plan, tmp_path / "cut", resume=True, stop_after=count)
    assert not torch.equal(broken.slope.weight, model.slope.weight)
    broken, loss, batches = fresh()
    assert train(broken, loss, batches, plan, tmp_path / "cut", resume=True) == 30
    for name, value in model.state_dict().items():
        assert torch.equal(value, broken.state_dict()[name]), name


def test_it_goes_on_from_the_last_checkpoint_after_a_crash(tmp_path):
    model, loss, batches = fresh()
    train(model, loss, batches, PLAN, tmp_path / "whole")
    crashed, loss, batches = fresh()

    def failing(indices, step):
        if step == 17:
            raise KeyboardInterrupt
        return loss(indices, step)

    with pytest.raises(KeyboardInterrupt):
        train(crashed, failing, batches, PLAN, tmp_path / "cut")
    again, loss, batches = fresh()
    steps = []
    train(again, lambda i, s: steps.append(s) or loss(i, s), batches, PLAN, tmp_path / "cut",
          resume=True)  # fmt: skip
    assert steps == list(range(15, 30))
    assert torch.equal(again.slope.weight, model.slope.weight)


def test_it_learns_and_leaves_frozen_weights_alone(tmp_path):
    model, loss, batches = fresh()
    told = []
    everything = torch.arange(40).numpy()
    before = loss(everything, 0).item()
    quick = Plan(steps=30, rate=0.2, warm_up=3, report_every=10)
    train(model, loss, batches, quick, tmp_path, report=told.append)
    assert [one.step for one in told] == [10, 20, 30]
    assert not model.training
    assert loss(everything, 0).item() < before / 5
    assert model.frozen.tolist() == [1, 1]
    assert "frozen" not in torch.load(tmp_path / CHECKPOINT, weights_only=True)["model"]


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    rates = [PLAN.rate_at(step) for step in range(31)]
    assert rates[:3] == pytest.approx([0.05 / 3, 0.1 / 3, 0.05])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[30] == pytest.approx(0, abs=1e-9)
    assert {replace(PLAN, fall="none").rate_at(step) for step in range(3, 31)} == {0.05}


def test_a_checkpoint_of_another_plan_is_refused(tmp_path):
    model, loss, batches = fresh()
    train(model, loss, batches, PLAN, tmp_path, stop_after=2)
    other = Plan(steps=30, rate=0.01, warm_up=3, save_every=5, report_every=10)
    with pytest.raises(UsageError, match=r"rate 0\.05"):
        train(model, loss, batches, other, tmp_path, resume=True)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    model, loss, batches = fresh()
    with pytest.raises(UsageError, match="lower rate"):
        train(model, lambda i, s: loss(i, s) * float("nan"), batches, PLAN, tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"warm_up": 30}, {"precision": "fp8"}, {"save_every": 0}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Plan(**{"steps": 30, "warm_up": 3, **wrong})
