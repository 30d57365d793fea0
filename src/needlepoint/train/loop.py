"""A training loop that can be cut off at any moment and goes on as if it had not been.

AdamW (Loshchilov and Hutter 2019) with linear warm-up and half-cosine decay, gradient clipping,
float32 or bfloat16 autocast, on any torch device. A checkpoint holds weights, optimizer, random
state and the sampler's place; on a CPU with the same number of threads a resumed run ends in the
same bits as an uninterrupted one.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from needlepoint.errors import UsageError
from needlepoint.train.samplers import Batches, Indices

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to learn.

    ``rate`` is the peak learning rate, reached after ``warm_up`` steps; from there it falls to zero
    after ``steps`` by half a cosine, or stays, as ``fall`` says; ``planned`` steps, where given,
    are those the fall is for, of which ``steps`` are run, and ``least`` is the share of the peak it
    ends at;
    ``decay`` the weight decay of matrices (vectors, norms and scalars have none); ``clip`` the
    largest norm of all gradients together; ``save_every`` and ``report_every`` are steps.
    """

    steps: int
    rate: float = 1e-3
    warm_up: int = 100
    decay: float = 0.1
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    save_every: int = 100
    report_every: int = 20
    fall: Literal["cosine", "none"] = "cosine"
    planned: int = 0
    least: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "save_every", "report_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be at least 1, received {getattr(self, name)}")
        if not 0 <= self.warm_up < max(self.steps, 1):
            raise UsageError(
                f"warm_up: must be 0 … {self.steps - 1} for {self.steps} steps, "
                f"received {self.warm_up}"
            )
        if self.precision not in ("fp32", "bf16"):
            raise UsageError(f"precision: must be fp32 or bf16, received {self.precision!r}")
        if self.fall not in ("cosine", "none"):
            raise UsageError(f"fall: must be cosine or none, received {self.fall!r}")
        if self.planned and self.planned < self.steps:
            raise UsageError(
                f"planned: must be 0 or at least steps ({self.steps}), received {self.planned}"
            )
        if not 0 <= self.least <= 1:
            raise UsageError(f"least: must be 0 to 1, received {self.least}")

    def rate_at(self, step: int) -> float:
        """The learning rate of a step (the first is 0).

        Example:
            >>> plan = Plan(steps=10, rate=1.0, warm_up=2)
            >>> plan.rate_at(0), plan.rate_at(1), round(plan.rate_at(6), 3)
            (0.5, 1.0, 0.5)
        """
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        if self.fall == "none":
            return self.rate
        done = (step - self.warm_up) / max(1, (self.planned or self.steps) - self.warm_up)
        share = 0.5 * (1 + math.cos(math.pi * done))
        return self.rate * (self.least + (1 - self.least) * share)


@dataclass(frozen=True, slots=True)
class Progress:
    """One report: after ``step`` of ``steps``, the mean loss since the last report."""

    step: int
    steps: int
    loss: float
    rate: float
    seconds: float


def train(
    model: Any,
    loss_of: Callable[[Indices, int], Any],
    batches: Batches,
    plan: Plan,
    folder: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    report: Callable[[Progress], None] | None = None,
) -> int:
    """Train a module in place; returns the number of steps done in all.

    Args:
        model: ``torch.nn.Module``; parameters that ask for gradients are learnt.
        loss_of: batch indices and the step's number to a scalar loss.
        batches: the order of the data.
        plan: steps, rates, precision, seed.
        folder: where the checkpoint lies; created when absent.
        resume: go on from the checkpoint; without one, begin.
        stop_after: leave after so many steps of this call, with a checkpoint.
        report: told every ``plan.report_every`` steps.

    Raises:
        UsageError: the checkpoint belongs to another plan, or a loss is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in learnt if p.ndim >= 2], "weight_decay": plan.decay},
            {"params": [p for p in learnt if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=plan.rate,
        betas=plan.betas,
    )
    path, step = folder / CHECKPOINT, 0
    if resume and path.is_file():
        step = _restore(path, model, optimizer, batches, plan)
    else:
        torch.manual_seed(plan.seed)
        _save(path, model, optimizer, batches, plan, step)
    device = learnt[0].device
    last = plan.steps if stop_after is None else min(plan.steps, step + stop_after)
    losses: list[Any] = []
    started = time.monotonic()
    model.train()
    while step < last:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate_at(step)
        with _precision(device.type, plan.precision):
            loss = loss_of(next(batches), step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, plan.clip)
        optimizer.step()
        losses.append(loss.detach())
        step += 1
        if step % plan.report_every == 0 or step == last:
            mean = float(torch.stack(losses).mean())
            if not math.isfinite(mean):
                raise UsageError(
                    f"the loss is {mean} near step {step}; try a lower rate than {plan.rate}, a "
                    f"longer warm_up than {plan.warm_up}, or fp32"
                )
            losses.clear()
            if report is not None:
                report(Progress(step, plan.steps, mean, plan.rate_at(step - 1), _since(started)))
        if step % plan.save_every == 0 or step == last:
            _save(path, model, optimizer, batches, plan, step)
    model.eval()
    return step


def _since(started: float) -> float:
    return time.monotonic() - started


def _precision(device: str, precision: str) -> AbstractContextManager[Any]:
    half = precision == "bf16"
    context: AbstractContextManager[Any] = (
        torch.autocast(device, torch.bfloat16) if half else nullcontext()
    )
    return context


def _save(path: Path, model: Any, optimizer: Any, batches: Batches, plan: Plan, step: int) -> None:
    learnt = {name for name, value in model.named_parameters() if value.requires_grad}
    frozen = {name for name, _ in model.named_parameters()} - learnt
    state = {
        "plan": _plain(plan),
        "step": step,
        "model": {k: v for k, v in model.state_dict().items() if k not in frozen},
        "optimizer": optimizer.state_dict(),
        "batches": batches.state(),
        "random": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    part = path.with_name(f".{path.name}.part")
    torch.save(state, part)
    os.replace(part, path)


def _restore(path: Path, model: Any, optimizer: Any, batches: Batches, plan: Plan) -> int:
    state = torch.load(path, map_location="cpu", weights_only=True)
    was = _plain(Plan(steps=1, warm_up=0)) | state["plan"]  # a field of later has its default
    for name, value in _plain(plan).items():
        if name not in ("save_every", "report_every") and was[name] != value:
            raise UsageError(
                f"{path} belongs to a run with {name} {was[name]!r}, received "
                f"{value!r}; resume with the same settings, or train into another folder"
            )
    model.load_state_dict(state["model"], strict=False)
    optimizer.load_state_dict(state["optimizer"])
    batches.restore(state["batches"])
    torch.set_rng_state(state["random"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    return int(state["step"])


def _plain(plan: Plan) -> dict[str, Any]:
    return {**asdict(plan), "betas": list(plan.betas)}
