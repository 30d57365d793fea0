"""What one step of a run learns: a recipe, and the loss of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.train.contrastive import distillation, info_nce, relations, sigmoid_loss
from needlepoint.train.dual import Dual, Shape, Tokens
from needlepoint.train.feeds import Feed
from needlepoint.train.loop import Plan
from needlepoint.train.pairs import Pair
from needlepoint.train.samplers import Indices
from needlepoint.train.teacher import Teacher
from needlepoint.train.vocabulary import common_words

CHUNK = 2400
"""Tokens of pictures in one pass: on a CPU, what fits its caches is quicker than a whole batch."""

_WORDS_A_STEP = 32


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is learnt from and how.

    Attributes:
        data: folders with ``captions.jsonl``.
        shape: sizes of the model.
        plan: steps, rates, precision and seed.
        batch: pairs of a step.
        run: longest run of things of one name in a batch (hard negatives).
        keep: share (0 to 1) of patches that a step sees, and in the last ``last`` of the steps
            ``keep_last``: few patches teach quickly, many are what the model is used with.
        loss: ``info-nce`` or ``sigmoid``.
        teacher: weight of the auxiliary loss by which texts also tell the built-in sentence
            model's vectors, so that words outside the captions find their place; 0 for none.
        words: common words that are tokens and, with a teacher, are learnt without pictures.
        limit: pieces of pictures used at most, 0 for all.
        held_out: share of the pictures kept for checking.
        start: folder of a model to go on from, with its tokenizer.
    """

    data: tuple[str, ...]
    shape: Shape = field(default_factory=Shape)
    plan: Plan = field(default_factory=lambda: Plan(steps=1500))
    batch: int = 128
    run: int = 4
    keep: float = 0.15
    keep_last: float = 0.5
    last: float = 0.15
    loss: Literal["info-nce", "sigmoid"] = "info-nce"
    teacher: float = 0.5
    words: int = 5000
    limit: int = 0
    held_out: float = 0.03
    start: str = ""

    def __post_init__(self) -> None:
        for name in ("keep", "keep_last"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(
                    f"{name}: must be above 0 and at most 1, received {getattr(self, name)}"
                )
        if not 0 <= self.last <= 1:
            raise UsageError(f"last: must be 0 … 1, received {self.last}")
        if self.loss not in ("info-nce", "sigmoid"):
            raise UsageError(f"loss: must be info-nce or sigmoid, received {self.loss!r}")
        if not 0 < self.held_out < 1:
            raise UsageError(f"held_out: must be between 0 and 1, received {self.held_out}")


class Lesson:
    """The loss of a batch."""

    def __init__(
        self,
        model: Dual,
        pairs: Sequence[Pair],
        feed: Feed,
        tokens: Tokens,
        recipe: Recipe,
        device: str,
        teacher: Teacher | None,
    ) -> None:
        self._model, self._pairs, self._feed = model, pairs, feed
        self._recipe, self._device = recipe, device
        texts = list(dict.fromkeys(p.text for p in pairs))
        self._row = dict.fromkeys(texts, 0)
        self._extra: list[str] = []
        self._vectors: dict[str, Floats] = {}
        if teacher is not None:
            words = common_words(recipe.words)
            self._extra = [word if i % 2 else f"a {word}" for i, word in enumerate(words)]
            things = [p.text for p in pairs if p.kind != "whole"]
            self._vectors = teacher.vectors(list(dict.fromkeys(things + self._extra)))
        texts += [text for text in self._extra if text not in self._row]
        self._row = {text: row for row, text in enumerate(texts)}
        self._ids = tokens(texts)

    def __call__(self, indices: Indices, step: int) -> Any:
        recipe, model = self._recipe, self._model
        pairs = [self._pairs[i] for i in indices]
        rng = np.random.default_rng([recipe.plan.seed, step])
        images = self._images(pairs, self._kept(len(pairs), step, rng))
        texts = list(dict.fromkeys(p.text for p in pairs))
        place = {text: i for i, text in enumerate(texts)}
        extra = []
        if recipe.teacher:
            chosen = rng.permutation(len(self._extra))[:_WORDS_A_STEP]
            extra = [self._extra[i] for i in chosen]
        rows = [self._row[text] for text in texts + extra]
        vectors = model.texts(self._ids[rows].to(self._device))
        own = vectors[[place[p.text] for p in pairs]]
        right, wrong = (
            torch.from_numpy(cells).to(self._device)
            for cells in relations([p.meaning for p in pairs], [p.source for p in pairs])
        )
        if recipe.loss == "sigmoid":
            bias = model.clip.logit_bias
            loss = sigmoid_loss(images, own, model.scale, bias, right, wrong)
        else:
            loss = info_nce(images, own, model.scale, right, wrong)
        if model.teach is not None:
            taught = [i for i, text in enumerate(texts + extra) if text in self._vectors]
            goal = np.stack([self._vectors[(texts + extra)[i]] for i in taught])
            heard = model.teach(vectors[taught]).float()
            loss = loss + recipe.teacher * distillation(
                heard, torch.from_numpy(goal).to(self._device)
            )
        return loss

    def _kept(self, count: int, step: int, rng: np.random.Generator) -> Indices | None:
        recipe = self._recipe
        patches = recipe.shape.patches
        late = step >= recipe.plan.steps * (1 - recipe.last)
        kept = max(1, round((recipe.keep_last if late else recipe.keep) * patches))
        if kept == patches:
            return None
        return np.sort(rng.random((count, patches)).argsort(1)[:, :kept], axis=1)

    def _images(self, pairs: Sequence[Pair], kept: Indices | None) -> Any:
        inputs = self._feed(pairs, kept)
        chosen = None if kept is None else torch.from_numpy(kept).to(self._device)
        patches = self._recipe.shape.patches if kept is None else kept.shape[1]
        size = max(1, CHUNK // patches) if self._device == "cpu" else len(pairs)
        parts = []
        with _attention_kernel(self._device):
            for start in range(0, len(pairs), size):
                part = slice(start, start + size)
                parts.append(
                    self._model.images(inputs[part], None if chosen is None else chosen[part])
                )
        return torch.cat(parts)


def _attention_kernel(device: str) -> AbstractContextManager[Any]:
    """On a CPU the plain kernel is a quarter quicker with gradients than the blockwise one."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    context: AbstractContextManager[Any] = (
        sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()
    )
    return context
