"""What a Q-Former learns composed questions by: SPRC, QuRe and DQE-CIR (our reading).

Shapes: B questions of a step, G pictures, N negatives of a question, K queries, L tokens, H width
of the Q-Former, E joint dim, A attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from needlepoint.encoders.attributes import AttributeWeights
from needlepoint.encoders.qformer_net import Base, QFormer
from needlepoint.errors import UsageError
from needlepoint.parts import Composing, Floats
from needlepoint.train.composed_losses import (
    LossPlan,
    composed_loss,
    gallery_scores,
    goal_loss,
    own_scores,
)
from needlepoint.train.loop import Plan
from needlepoint.train.negative_sets import NegativeSets, Scores
from needlepoint.train.negatives import Choice, Rule
from needlepoint.train.qformer_data import QFormerData
from needlepoint.train.ragged import Rows
from needlepoint.train.samplers import Indices

Negatives = Literal["in-batch", "trns", "random", "hardest", "qure"]

_TOGETHER = 64
"""Pictures or questions of one pass without gradients."""

_PLAIN = LossPlan(rank=0.0, attribute=0.0)


@dataclass(frozen=True, slots=True)
class QFormerRecipe:
    """What is learnt and how.

    Attributes:
        method: what the model is for; ``of`` has the defaults of each.
        base: the passes; that of the method's name, for ``dqe_cir`` either.
        plan: steps, rates and seed.
        batch: questions of a step.
        kin: questions of one group that share a step, up to so many; 1: as it falls out.
        negatives: ``in-batch``: the targets of the other questions of a step; else a rule.
        choice: bounds and sizes for that rule; the ``rule`` in it is not looked at.
        count: negatives of a question and step, save in a batch.
        refresh: epochs between two refreshes of the sets, and of warm-up before the first.
        warm: negatives of the warm-up.
        candidates: ``targets``: negatives are pictures that are a target somewhere; ``gallery``.
        losses: which count how much.
        text_only: weight of SPRC's loss without picture (L_rtc), for the base ``sprc``.
        align: weight of its loss between prompts (L_align).
        temperature: at the start; it is learnt.
        held_out: share of the groups kept for checking.
    """

    method: Composing
    base: Base
    plan: Plan
    batch: int = 32
    kin: int = 1
    negatives: Negatives = "in-batch"
    choice: Choice = field(default_factory=Choice)
    count: int = 1
    refresh: int = 5
    warm: Literal["in-batch", "random"] = "random"
    candidates: Literal["gallery", "targets"] = "targets"
    losses: LossPlan = _PLAIN
    text_only: float = 0.4
    align: float = 0.4
    temperature: float = 0.07
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if self.method != "dqe_cir" and self.base != self.method:
            raise UsageError(f"base: that of {self.method} is {self.method}, not {self.base}")
        for name in ("batch", "kin", "count", "refresh"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be at least 1, received {getattr(self, name)}")
        if self.temperature <= 0:
            raise UsageError(f"temperature: must be above 0, received {self.temperature}")
        if min(self.text_only, self.align) < 0:
            raise UsageError("text_only and align: must not be below 0")
        if not 0 <= self.held_out < 1:
            raise UsageError(f"held_out: must be at least 0 and below 1, received {self.held_out}")


class ComposedQFormer(nn.Module):  # type: ignore[misc]
    """A Q-Former with what composed training adds to it.

    Args:
        net: learnt in place.
        recipe: says what is added: SPRC's prompts of the text-only pass, or attributes.
    """

    def __init__(self, net: QFormer, recipe: QFormerRecipe) -> None:
        super().__init__()
        self.net, self._base = net.requires_grad_(True), recipe.base
        # as its logarithm, so that no step takes it below 0 (ours)
        self.log_temperature = nn.Parameter(torch.tensor(recipe.temperature).log())
        self.attributes = AttributeWeights(net.dim, net.dim) if recipe.method == "dqe_cir" else None
        self.prompts = None
        if recipe.base == "sprc":
            spread = net.query_tokens.new_empty(net.query_tokens.shape).normal_(0, 0.02)
            self.prompts = nn.Parameter(spread)

    @property
    def temperature(self) -> Tensor:
        """Scores are divided by it, a scalar."""
        return self.log_temperature.exp()

    def forward(self, seen: Tensor, ids: Tensor) -> Asked:
        """Questions from vision tokens of references ``[B, P, C]`` and ids ``[B, L]``."""
        mixed = self.net.mix(seen, ids)
        base = self.net.compose(seen, ids, self._base, mixed)
        if self.attributes is None:
            return Asked(nn.functional.normalize(base, dim=-1), mixed)
        words = nn.functional.normalize(self.net.read(ids), dim=-1)
        found = self.attributes(base, words)
        return Asked(found.query, mixed, found.weights, found.features)

    def text_only(self, ids: Tensor) -> Tensor:
        """SPRC's question without a picture, ``[B, E]``: the first prompt's output."""
        assert self.prompts is not None
        out = self.net.prompt(self.prompts.expand(len(ids), -1, -1), ids)[:, 0]
        return nn.functional.normalize(self.net.text_projection(out), dim=-1)


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions ``query`` ``[B, E]``, unit, and the prompts ``mixed`` ``[B, K, H]`` they came of.

    ``weights`` ``[B, A]`` and ``features`` ``[B, A, E]`` of attributes, where there are any.
    """

    query: Tensor
    mixed: Tensor
    weights: Tensor | None = None
    features: Tensor | None = None


class QFormerLesson:
    """The loss of a step.

    Args:
        model: what is learnt.
        data: questions with vision tokens.
        learnt: int64, the questions that are learnt from.
        recipe: settings.
        run: folder where the sets of a refresh lie until the next one.
        say: told of each refresh.
    """

    def __init__(
        self,
        model: ComposedQFormer,
        data: QFormerData,
        learnt: Rows,
        recipe: QFormerRecipe,
        run: Path,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.model, self.data, self.learnt, self.recipe = model, data, learnt, recipe
        rule: Rule = "random" if recipe.negatives == "in-batch" else recipe.negatives
        self.sets = NegativeSets(
            model,
            data.triplets,
            learnt,
            replace(recipe.choice, rule=rule),
            lambda: scores_of(model, data),
            run,
            every=recipe.refresh,
            candidates=recipe.candidates,
            seed=recipe.plan.seed,
            say=say,
        )

    def __call__(self, indices: Indices, step: int) -> Tensor:
        """The loss of the questions ``learnt[indices]``, a scalar."""
        recipe, model, triplets = self.recipe, self.model, self.data.triplets
        device = model.temperature.device
        questions = self.learnt[indices]
        ids = self.data.asked(questions, [recipe.plan.seed, 5, step], device)
        asked = model(self.data.seen(triplets.references[questions], device), ids)
        targets = model.net.look(self.data.seen(triplets.targets[questions], device))
        own = own_scores(asked.query, targets[:, None])[:, 0]
        epoch = step * recipe.batch // len(self.learnt)
        others, given = self._others(asked.query, targets, indices, epoch)
        attributes = None
        if model.attributes is not None:
            shown = model.attributes.features(targets.mean(1))
            attributes = (asked.weights, asked.features, shown)
        loss = composed_loss(own, others, given, model.temperature, recipe.losses, attributes)
        if model.prompts is not None:
            loss = loss + self._prompting(asked.mixed, ids, targets, questions)
        return loss

    def _others(
        self, queries: Tensor, targets: Tensor, indices: Indices, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Scores of negatives ``[B, N]``, and which of them are given."""
        recipe = self.recipe
        kind = recipe.negatives
        if kind != "in-batch" and epoch < recipe.refresh:
            kind = recipe.warm
        if kind == "in-batch":
            return gallery_scores(queries, targets), self._wrong(self.learnt[indices])
        rows, given = self.sets.draw(indices, recipe.count, epoch)
        once, place = np.unique(rows, return_inverse=True)
        tokens = self.model.net.look(self.data.seen(once, queries.device))
        others = tokens[torch.from_numpy(place.reshape(rows.shape)).to(queries.device)]
        return own_scores(queries, others), torch.from_numpy(given).to(queries.device)

    def _wrong(self, questions: Rows) -> Tensor:
        """Which targets of a step answer which questions of it wrongly, bool ``[B, B]``."""
        triplets = self.data.triplets
        right = triplets.right(questions, triplets.targets[questions])
        return torch.from_numpy(~right).to(self.model.temperature.device)

    def _prompting(self, mixed: Tensor, ids: Tensor, targets: Tensor, questions: Rows) -> Tensor:
        """SPRC's two further losses: without the picture, and between the two kinds of prompts."""
        model, recipe = self.model, self.recipe
        alone = model.text_only(ids)
        own = own_scores(alone, targets[:, None])[:, 0]
        wrong = self._wrong(questions)
        others = gallery_scores(alone, targets)
        told = goal_loss(own, others, wrong, model.temperature, _PLAIN).mean()
        return recipe.text_only * told + recipe.align * align_loss(mixed, model.prompts)


def align_loss(mixed: Tensor, prompts: Tensor) -> Tensor:
    """Mean squared distance of mean prompts ``[B, K, H]`` from those learnt ``[1, K, H]``.

    Nothing is learnt by the latter from it.
    """
    goal = prompts.detach().mean(1).expand(len(mixed), -1)
    return nn.functional.mse_loss(mixed.mean(1), goal)


@torch.no_grad()  # type: ignore[untyped-decorator]
def scores_of(
    model: ComposedQFormer, data: QFormerData, asked: Callable[[Rows], Tensor] | None = None
) -> Scores:
    """What scores questions against the gallery, float32 ``[Q, G]``, by the model as it stands.

    Pictures that no question ranks or is answered by score minus infinity: they are not looked at.

    Args:
        model: in eval mode.
        data: questions with vision tokens.
        asked: questions int64 ``[Q]`` to unit vectors ``[Q, E]``; those of the model unless told.
    """
    asked = asked or (lambda questions: queries_of(model, data, questions))
    triplets, device = data.triplets, model.temperature.device
    rows = np.unique(np.concatenate([triplets.members.values, triplets.targets]))
    once, place = np.unique(data.feed.rows[rows], return_index=True)
    looked = torch.cat(
        [
            model.net.look(data.seen(rows[place[start : start + _TOGETHER]], device))
            for start in range(0, len(once), _TOGETHER)
        ]
    )
    back = np.searchsorted(once, data.feed.rows[rows])

    def scores(questions: Rows) -> Floats:
        found = np.full((len(questions), len(triplets.gallery)), -np.inf, np.float32)
        near = gallery_scores(asked(questions), looked).cpu().numpy()
        found[:, rows] = near[:, back]
        return found

    return scores


@torch.no_grad()  # type: ignore[untyped-decorator]
def queries_of(model: ComposedQFormer, data: QFormerData, questions: Rows) -> Tensor:
    """Unit questions ``[B, E]``: the mean over each one's wordings."""
    triplets, device = data.triplets, model.temperature.device
    rows, texts = triplets.wordings.flat(questions)
    references = triplets.references[questions[rows]]
    parts = [
        model(
            data.seen(references[some], device), torch.from_numpy(data.ids[texts[some]]).to(device)
        ).query
        for some in (slice(at, at + _TOGETHER) for at in range(0, len(rows), _TOGETHER))
    ]
    summed = torch.zeros(len(questions), model.net.dim, device=device)
    summed.index_add_(0, torch.from_numpy(rows).to(device), torch.cat(parts))
    return nn.functional.normalize(summed, dim=-1)
