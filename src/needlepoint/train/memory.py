"""Train a FashionNTM on conversations as features, and keep it with its card.

Shapes: Q conversations, T turns of the longest, M levels, F = P + W numbers a level, G pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from needlepoint.encoders.cascade import Cascade, CascadeShape, save_cascade
from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.train.card import FACTS, PAGE
from needlepoint.train.loop import CHECKPOINT, Plan, Progress, train
from needlepoint.train.samplers import Batches, Indices

Ids = npt.NDArray[np.int64]
MAX_SCALE = 100.0
_CHECKED = 256


@dataclass(frozen=True, slots=True)
class Conversations:
    """Conversations as features, and the pictures they are about.

    ``features`` float32 ``[Q, T, M, F]``, zeros after the end; ``lengths`` and ``targets`` int64
    ``[Q]``, turns and the row of the gallery; ``gallery`` float32 ``[G, P]``, unit length.
    """

    features: Floats
    lengths: Ids
    targets: Ids
    gallery: Floats
    name: str = "conversations"

    def __post_init__(self) -> None:
        count = len(self.features)
        if self.features.ndim != 4 or self.gallery.ndim != 2 or not count:
            raise UsageError(
                f"conversations: features must be [Q, T, M, F] and gallery [G, P], received "
                f"{self.features.shape} and {self.gallery.shape}"
            )
        if self.lengths.shape != (count,) or self.targets.shape != (count,):
            raise UsageError(
                f"conversations: lengths and targets must be [{count}], received "
                f"{self.lengths.shape} and {self.targets.shape}"
            )
        if self.lengths.min() < 1 or self.lengths.max() > self.features.shape[1]:
            raise UsageError(
                f"conversations: lengths must be 1 to {self.features.shape[1]}, received "
                f"{self.lengths.min()} to {self.lengths.max()}"
            )
        if self.targets.min() < 0 or self.targets.max() >= len(self.gallery):
            raise UsageError(
                f"conversations: targets must be rows of the gallery of {len(self.gallery)}, "
                f"received {self.targets.min()} to {self.targets.max()}"
            )

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file that ``load`` reads."""
        arrays = {k: getattr(self, k) for k in ("features", "lengths", "targets", "gallery")}
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> Conversations:
        """Read what ``save`` wrote.

        Raises:
            UsageError: no such file, or none of this kind.
        """
        try:
            with np.load(path, allow_pickle=False) as held:
                return cls(
                    held["features"].astype(np.float32),
                    held["lengths"].astype(np.int64),
                    held["targets"].astype(np.int64),
                    held["gallery"].astype(np.float32),
                    path.name,
                )
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(
                f"data: {path} holds no conversations ({error}); give an .npz with features, "
                "lengths, targets and gallery"
            ) from error

    def digest(self) -> str:
        """Hash (16 hex digits) of all numbers."""
        seen = hashlib.sha256()
        for array in (self.features, self.lengths, self.targets, self.gallery):
            seen.update(np.ascontiguousarray(array).tobytes())
        return seen.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class MemoryRecipe:
    """What is learnt and how.

    Attributes:
        shape: sizes of the model.
        plan: steps, rates and seed.
        batch: conversations of a step.
        last: weight of the last turn; every other has 1.
        held_out: share of the targets kept for checking.
    """

    shape: CascadeShape
    plan: Plan = field(default_factory=lambda: Plan(steps=1000, rate=1e-4))
    batch: int = 64
    last: float = 2.0
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if self.last < 1:
            raise UsageError(f"last: must be at least 1, received {self.last}")
        if not 0 <= self.held_out < 1:
            raise UsageError(f"held_out: must be at least 0 and below 1, received {self.held_out}")


def turns_loss(
    answers: Tensor,
    lengths: Tensor,
    targets: Tensor,
    gallery: Tensor,
    scale: Tensor,
    last: float,
) -> Tensor:
    """Softmax over the batch's targets after every turn, a scalar.

    Each answer is held against the target of every conversation of the batch; another conversation
    about the same picture is neither right nor wrong. A turn weighs 1, the last of a conversation
    ``last``; what lies behind the end counts nothing.

    Args:
        answers: ``[B, T, P]``, unit length.
        lengths: ``[B]`` turns.
        targets: ``[B]`` rows of the gallery.
        gallery: ``[G, P]``, unit length.
        scale: inverse temperature, at most ``MAX_SCALE`` of it is used.
        last: weight of the last turn.
    """
    count, turns, _ = answers.shape
    scores = torch.einsum("btp,cp->btc", answers, gallery[targets]) * scale.clamp(max=MAX_SCALE)
    same = (targets[:, None] == targets[None, :]) & ~torch.eye(
        count, dtype=torch.bool, device=answers.device
    )
    scores = scores.masked_fill(same[:, None, :], float("-inf"))
    right = torch.arange(count, device=answers.device)[:, None].expand(count, turns)
    costs = torch.nn.functional.cross_entropy(
        scores.reshape(-1, count), right.reshape(-1), reduction="none"
    ).reshape(count, turns)
    turn = torch.arange(turns, device=answers.device)[None]
    weights = (turn < lengths[:, None]).to(costs.dtype)
    weights = weights + (last - 1) * (turn == lengths[:, None] - 1)
    return (costs * weights).sum() / weights.sum()


def train_memory(
    data: Conversations,
    recipe: MemoryRecipe,
    out: Path,
    *,
    model: Any = None,
    resume: bool = False,
    stop_after: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train, save and check a model; returns the facts of its card.

    Args:
        data: conversations; whole targets are held out, with all conversations about them.
        recipe: sizes and settings.
        out: where the model goes; ``out/run`` holds what a run needs to go on.
        model: another module from features to answers, to compare with, which has a ``scale``; it
            is trained in place and not saved.
        resume: go on from ``out/run``.
        stop_after: leave after so many steps of this call; the model so far is saved.
        say: told what goes on, a line at a time.

    Raises:
        UsageError: data that do not fit the shape, or a run that is there already.
    """
    shape, plan = recipe.shape, recipe.plan
    wanted = (shape.picture, shape.picture + shape.words)
    if (data.gallery.shape[1], data.features.shape[3]) != wanted or (
        data.features.shape[2] < shape.stages
    ):
        raise UsageError(
            f"shape: for {shape.picture} and {shape.words} numbers and {shape.stages} stages the "
            f"gallery must be [G, {wanted[0]}] and features [Q, T, {shape.stages}, {wanted[1]}], "
            f"received {data.gallery.shape} and {data.features.shape}"
        )
    run = out / "run"
    if (run / CHECKPOINT).is_file() and not resume:
        raise UsageError(f"out: {run} holds a run already; resume it, or name another folder")
    learnt, held = _split(data, recipe)
    if not len(learnt):
        raise UsageError(f"held_out: {recipe.held_out} leaves nothing to learn from")
    say(f"{len(learnt):,} conversations, {len(held):,} held out")
    torch.manual_seed(plan.seed)
    own = model is None
    model = Cascade(shape) if own else model
    features = torch.from_numpy(data.features[:, :, : shape.stages])
    lengths, targets = torch.from_numpy(data.lengths), torch.from_numpy(data.targets)
    gallery = torch.from_numpy(data.gallery)

    def loss_of(indices: Indices, step: int) -> Tensor:
        rows = torch.from_numpy(learnt[indices])
        return turns_loss(
            model(features[rows]),
            lengths[rows],
            targets[rows],
            gallery,
            model.scale.exp(),
            recipe.last,
        )

    def report(one: Progress) -> None:
        say(f"step {one.step:,} of {one.steps:,}: loss {one.loss:.3f}, {one.seconds:.0f} s")

    batch = min(recipe.batch, len(learnt))
    batches = Batches(range(len(learnt)), batch=batch, run=1, seed=plan.seed)
    done = train(
        model, loss_of, batches, plan, run, resume=resume, stop_after=stop_after, report=report
    )
    told = {
        "recipe": json.loads(json.dumps(asdict(recipe))),
        "steps_done": done,
        "data": {"name": data.name, "digest": data.digest()},
        "conversations": len(learnt),
        "parameters": sum(p.numel() for p in model.parameters()),
        "held_out": last_turn_figures(model, data, held, shape.stages),
    }
    if own:
        save_cascade(model, out)
    return told


@torch.inference_mode()  # type: ignore[untyped-decorator]
def last_turn_ranks(model: Any, data: Conversations, rows: Ids, stages: int) -> Ids:
    """The rank of each target after its conversation's last turn, int64 ``[len(rows)]``."""
    gallery, found = torch.from_numpy(data.gallery), []
    for start in range(0, len(rows), _CHECKED):
        some = rows[start : start + _CHECKED]
        answers = model(torch.from_numpy(data.features[some, :, :stages]))
        last = answers[torch.arange(len(some)), torch.from_numpy(data.lengths[some]) - 1]
        scores = last @ gallery.T
        own = scores.gather(1, torch.from_numpy(data.targets[some])[:, None])
        found.append(1 + (scores > own).sum(1))
    ranks: Ids = torch.cat(found).numpy()
    return ranks


def last_turn_figures(
    model: Any, data: Conversations, rows: Ids, stages: int
) -> dict[str, float | int]:
    """R@1, R@5, R@8, R@50 and MRR after the last turn; empty without rows."""
    if not len(rows):
        return {}
    ranks = last_turn_ranks(model, data, rows, stages)
    told: dict[str, float | int] = {"conversations": len(rows), "pictures": len(data.gallery)}
    told |= {f"R@{k}": round(float((ranks <= k).mean()), 4) for k in (1, 5, 8, 50)}
    return told | {"MRR": round(float((1 / ranks).mean()), 4)}


def write_memory_card(folder: Path, told: dict[str, Any], *, command: str, licence: str) -> None:
    """Write ``training.json`` and ``README.md`` beside the model; ``told`` of ``train_memory``."""
    facts = {"command": command, "licence": licence, **told}
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    shape, plan = told["recipe"]["shape"], told["recipe"]["plan"]
    figures = ", ".join(f"{name} {value}" for name, value in told["held_out"].items())
    what = (
        f"Turns of a conversation to a vector of {shape['picture']} numbers: {shape['stages']} "
        f"memories of {shape['slots']} rows of {shape['slot']} numbers, {told['parameters']:,} "
        f"parameters. Used as `fashion_ntm:weights=FOLDER` with the encoder of its features."
    )
    learnt = (
        f"{told['conversations']:,} conversations of {told['data']['name']} (digest "
        f"{told['data']['digest']}), {told['steps_done']:,} steps of {told['recipe']['batch']}, "
        f"seed {plan['seed']}. All settings: `{FACTS}`."
    )
    checked = f"After the last turn, on targets held out: {figures or 'nothing was held out'}."
    page = f"""---
license: {licence}
---
# A FashionNTM

{fill(what, 100)}

## Training

    {command}

{fill(learnt, 100)}

## Figures

{fill(checked, 100)}
"""
    (folder / PAGE).write_text(page, encoding="utf-8")


def _split(data: Conversations, recipe: MemoryRecipe) -> tuple[Ids, Ids]:
    """Conversations to learn from and those held out, by a draw over their targets."""
    wanted = np.unique(data.targets)
    order = np.random.default_rng([recipe.plan.seed, 9]).permutation(len(wanted))
    out = wanted[order[: round(recipe.held_out * len(wanted))]]
    held = np.isin(data.targets, out)
    return np.flatnonzero(~held), np.flatnonzero(held)
