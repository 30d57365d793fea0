"""Train a combiner on triplets: CLIP4Cir's second stage, and DQE-CIR on vectors.

Both are one loop: queries of a step against the target and negatives. CLIP4Cir's Combiner is the
case of negatives from the batch, no attributes, cross-entropy alone and a fixed temperature.

Shapes: Q questions, B of a step, G pictures, D numbers of a vector, K negatives.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from needlepoint.encoders.combiner import CombinerNet, CombinerShape, save_combiner
from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.train.composed_losses import (
    LossPlan,
    composed_loss,
    gallery_scores,
    own_scores,
)
from needlepoint.train.loop import Plan, Progress, train
from needlepoint.train.negative_sets import NegativeSets, Scores
from needlepoint.train.negatives import Choice, Rule
from needlepoint.train.ragged import Rows
from needlepoint.train.samplers import Batches, Indices
from needlepoint.train.settings import keep_settings, plain
from needlepoint.train.triplets import Triplets, rank_answers

Negatives = Literal["in-batch", "all", "trns", "random", "hardest", "qure"]
_NO_POOLS = ("in-batch", "all")


@dataclass(frozen=True, slots=True)
class ComposedRecipe:
    """What is learnt and how.

    Attributes:
        shape: sizes of the model.
        plan: steps, rates and seed.
        batch: questions of a step.
        negatives: ``in-batch``: the targets of the other questions of a step; ``all``: the whole
            gallery; else a rule of ``negatives.Choice``.
        choice: bounds and sizes for that rule; the ``rule`` in it is not looked at.
        count: negatives K of a question and step.
        refresh: epochs between two refreshes of the sets, and of warm-up before the first.
        warm: negatives of the warm-up.
        candidates: ``gallery``, or ``targets``: negatives are pictures that are a target somewhere.
        losses: which count how much.
        temperature: scores are divided by it at the start; ``learnt``: and it is learnt.
        held_out: share of the groups kept for checking.
    """

    shape: CombinerShape
    plan: Plan = field(default_factory=lambda: Plan(steps=1000, rate=2e-5, decay=0.0))
    batch: int = 256
    negatives: Negatives = "in-batch"
    choice: Choice = field(default_factory=Choice)
    count: int = 16
    refresh: int = 5
    warm: Literal["in-batch", "random"] = "in-batch"
    candidates: Literal["gallery", "targets"] = "gallery"
    losses: LossPlan = field(default_factory=lambda: LossPlan(rank=0.0, attribute=0.0))
    temperature: float = 0.01
    learnt: bool = False
    held_out: float = 0.1

    def __post_init__(self) -> None:
        for name in ("batch", "count", "refresh"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be at least 1, received {getattr(self, name)}")
        if self.temperature <= 0:
            raise UsageError(f"temperature: must be above 0, received {self.temperature}")
        if not 0 <= self.held_out < 1:
            raise UsageError(f"held_out: must be at least 0 and below 1, received {self.held_out}")
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise UsageError(
                    f"{name}: must be one of {', '.join(allowed)}, received {getattr(self, name)!r}"
                )


_ALLOWED = {
    "negatives": (*_NO_POOLS, "trns", "random", "hardest", "qure"),
    "warm": ("in-batch", "random"),
    "candidates": ("gallery", "targets"),
}


class Lesson:
    """The loss of a step.

    Args:
        model: what is learnt.
        data: triplets.
        learnt: int64 ``[L]``, the questions that are learnt from.
        recipe: settings.
        run: folder where the sets of a refresh lie until the next one.
        say: told of each refresh.
    """

    def __init__(
        self,
        model: CombinerNet,
        data: Triplets,
        learnt: Rows,
        recipe: ComposedRecipe,
        run: Path,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.model, self.data, self.learnt, self.recipe = model, data, learnt, recipe
        rule = "random" if recipe.negatives in _NO_POOLS else recipe.negatives
        self.sets = NegativeSets(
            model,
            data,
            learnt,
            replace(recipe.choice, rule=cast(Rule, rule)),
            self._scores_of_all,
            run,
            every=recipe.refresh,
            candidates=recipe.candidates,
            seed=recipe.plan.seed,
            say=say,
        )
        self._gallery = torch.from_numpy(data.gallery)
        raw = model.shape.lengths == "raw"
        self._images = torch.from_numpy(scaled(data.gallery, data.gallery_lengths, raw))
        self._texts = torch.from_numpy(scaled(data.texts, data.text_lengths, raw))

    def __call__(self, indices: Indices, step: int) -> Tensor:
        """The loss of the questions ``learnt[indices]``, a scalar."""
        questions = self.learnt[indices]
        epoch = step * self.recipe.batch // len(self.learnt)
        found = self.model(*self._asked(questions, step))
        own, others, given = self._scores(found.query, indices, questions, epoch)
        attributes = None
        if self.model.attributes is not None:
            shown = self._gallery[self.data.targets[questions]]
            told = self.model.attributes.features(shown)
            attributes = (found.weights, found.features, told)
        return composed_loss(
            own, others, given, self.model.temperature, self.recipe.losses, attributes
        )

    def _asked(self, questions: Rows, step: int) -> tuple[Tensor, Tensor]:
        """References and one wording each, drawn by the step alone."""
        rng = np.random.default_rng([self.recipe.plan.seed, 5, step])
        wordings = self.data.wordings
        drawn = rng.integers(0, wordings.lengths()[questions])
        texts = wordings.values[wordings.offsets[questions] + drawn]
        return self._images[self.data.references[questions]], self._texts[texts]

    def _scores(
        self, queries: Tensor, indices: Indices, questions: Rows, epoch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of the targets ``[B]``, of negatives ``[B, N]``, and which of these are given."""
        recipe, targets = self.recipe, self.data.targets[questions]
        own = own_scores(queries, self._gallery[targets][:, None, None])[:, 0]
        kind = recipe.negatives
        if kind not in _NO_POOLS and epoch < recipe.refresh:
            kind = recipe.warm
        if kind == "in-batch":
            others = gallery_scores(queries, self._gallery[targets][:, None])
            given = ~self.data.right(questions, targets)
        elif kind == "all":
            others = gallery_scores(queries, self._gallery[:, None])
            given = self.data.eligible(questions, recipe.candidates)
        else:
            rows, given = self.sets.draw(indices, recipe.count, epoch)
            others = own_scores(queries, self._gallery[rows][:, :, None])
        return own, others, torch.from_numpy(given)

    def _scores_of_all(self) -> Scores:
        """Scores of questions against the gallery by the model as it stands."""
        return lambda some: queries_of(self.model, self.data, some) @ self.data.gallery.T


@torch.no_grad()  # type: ignore[untyped-decorator]
def queries_of(model: CombinerNet, data: Triplets, questions: Rows) -> Floats:
    """Query vectors float32 ``[B, D]``, unit: the mean over each question's wordings."""
    raw = model.shape.lengths == "raw"
    rows, texts = data.wordings.flat(questions)
    images = scaled(data.gallery, data.gallery_lengths, raw)[data.references[questions[rows]]]
    words = scaled(data.texts, data.text_lengths, raw)[texts]
    found = model(torch.from_numpy(images), torch.from_numpy(words)).query.float().numpy()
    summed = np.zeros((len(questions), data.dim), np.float32)
    np.add.at(summed, rows, found)
    queries: Floats = summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)
    return queries


def scaled(vectors: Floats, lengths: Floats, raw: bool) -> Floats:
    """Unit vectors as they are, or with their raw lengths."""
    return vectors * lengths[:, None] if raw else vectors


def train_composed(
    data: Triplets,
    recipe: ComposedRecipe,
    out: Path,
    *,
    start: CombinerNet | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[CombinerNet, dict[str, Any]]:
    """Train, save and check a model; returns it and the facts of its card.

    Args:
        data: triplets; whole groups are held out.
        recipe: sizes and settings.
        out: where the model goes; ``out/run`` holds what a run needs to go on.
        start: a model whose base is gone on from; attributes it lacks begin as new.
        resume: go on from ``out/run``.
        stop_after: leave after so many steps of this call; the model so far is saved.
        say: told what goes on, a line at a time.

    Raises:
        UsageError: data that do not fit the shape, or a run that is there already.
    """
    if recipe.shape.dim != data.dim:
        raise UsageError(f"shape: dim is {recipe.shape.dim}, but vectors have {data.dim} numbers")
    run, began = out / "run", time.monotonic()
    run.mkdir(parents=True, exist_ok=True)
    keep_settings(recipe, run, resume)
    learnt, held = data.split(recipe.held_out, recipe.plan.seed)
    if not len(learnt):
        raise UsageError(f"held_out: {recipe.held_out} leaves nothing to learn from")
    say(f"{len(learnt):,} questions, {len(held):,} held out, {len(data.gallery):,} pictures")
    torch.manual_seed(recipe.plan.seed)
    model = CombinerNet(recipe.shape)
    with torch.no_grad():
        model.log_temperature.fill_(float(np.log(recipe.temperature)))
    model.log_temperature.requires_grad_(recipe.learnt)
    if start is not None:
        model.base.load_state_dict(start.base.state_dict())
    recipe = replace(recipe, batch=min(recipe.batch, len(learnt)))
    lesson = Lesson(model, data, learnt, recipe, run, say)
    batches = Batches(range(len(learnt)), batch=recipe.batch, run=1, seed=recipe.plan.seed)

    def report(one: Progress) -> None:
        say(f"step {one.step:,} of {one.steps:,}: loss {one.loss:.3f}, {one.seconds:.0f} s")

    done = train(
        model,
        lesson,
        batches,
        recipe.plan,
        run,
        resume=resume,
        stop_after=stop_after,
        report=report,
    )
    features = {"encoder": data.encoder, "fingerprint": data.fingerprint}
    save_combiner(model, out, features=features)
    figures = rank_answers(queries_of(model, data, held), held, data).figures() if len(held) else {}
    return model, {
        "recipe": plain(recipe),
        "steps_done": done,
        "seconds": round(time.monotonic() - began, 1),
        "data": {"name": data.name, "questions": len(learnt), "pictures": len(data.gallery)},
        "encoder": features,
        "parameters": sum(p.numel() for p in model.parameters()),
        "refreshes": [asdict(one) for one in lesson.sets.refreshes],
        "held_out": figures,
    }
