"""What one step of a run learns: a recipe, and the loss of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from needlepoint.errors import UsageError
from needlepoint.train.anchors import Anchors
from needlepoint.train.contrastive import (
    distillation,
    info_nce,
    relations,
    sigmoid_loss,
    smooth_recall,
)
from needlepoint.train.dual import Dual, Shape, Tokens
from needlepoint.train.feeds import Feed
from needlepoint.train.loop import Plan
from needlepoint.train.pairs import Pair
from needlepoint.train.samplers import Indices
from needlepoint.train.vocabulary import common_words

CHUNK = 2400
"""Tokens of pictures in one pass: on a CPU, what fits its caches is quicker than a whole batch."""

_WORDS_A_STEP = 32
_TEXT_WEIGHT = 4.0
"""A cosine distance lies between 0 and 2, a contrastive loss starts at about 5."""


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
        loss: ``info-nce``, ``sigmoid``, or ``smooth-recall`` to go on from a trained model.
        anchors: weight at the start of the loss by which both towers aim at fixed vectors
            (``anchors.Anchors``); it falls to a tenth by the middle of the run. 0 for none.
        words: common words that are tokens and, with anchors, are learnt without pictures.
        limits: pieces used at most of each folder (or one number for all folders); none: all.
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
    loss: Literal["info-nce", "sigmoid", "smooth-recall"] = "info-nce"
    anchors: float = 1.0
    words: int = 5000
    limits: tuple[int, ...] = ()
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
        if self.loss not in ("info-nce", "sigmoid", "smooth-recall"):
            raise UsageError(
                f"loss: must be info-nce, sigmoid or smooth-recall, received {self.loss!r}"
            )
        if not 0 < self.held_out < 1:
            raise UsageError(f"held_out: must be between 0 and 1, received {self.held_out}")


class Lesson:
    """The loss of a batch.

    Args:
        model: both towers, on the device.
        pairs: what is learnt; batches hold indices of these.
        feed: pairs to the image tower's input.
        tokens: texts to ids.
        recipe: settings.
        device: torch device.
        anchors: fixed vectors to begin with; None for none.
    """

    def __init__(
        self,
        model: Dual,
        pairs: Sequence[Pair],
        feed: Feed,
        tokens: Tokens,
        recipe: Recipe,
        device: str,
        anchors: Anchors | None,
    ) -> None:
        self._model, self._pairs, self._feed = model, pairs, feed
        self._recipe, self._device = recipe, device
        self._anchors, self._tokens = anchors, tokens
        self._extra = common_words(recipe.words) if anchors is not None else []

    def __call__(self, indices: Indices, step: int) -> Any:
        recipe, model = self._recipe, self._model
        pairs = [self._pairs[i] for i in indices]
        rng = np.random.default_rng([recipe.plan.seed, 0, step])
        images = self._images(pairs, self.kept(len(pairs), step, rng))
        texts = list(dict.fromkeys(p.text for p in pairs))
        place = {text: i for i, text in enumerate(texts)}
        if self._extra:
            chosen = rng.permutation(len(self._extra))[:_WORDS_A_STEP]
            texts += [self._extra[i] for i in chosen]
        vectors = model.texts(self._tokens(texts).to(self._device))
        rows = [place[p.text] for p in pairs]
        own = vectors[rows]
        right, wrong = (
            torch.from_numpy(cells).to(self._device)
            for cells in relations([p.meaning for p in pairs], [p.source for p in pairs])
        )
        if recipe.loss == "sigmoid":
            bias = model.clip.logit_bias
            loss = sigmoid_loss(images, own, model.scale, bias, right, wrong)
        elif recipe.loss == "smooth-recall":
            loss = smooth_recall(images, own, wrong)
        else:
            loss = info_nce(images, own, model.scale, right, wrong)
        if self._anchors is not None:
            weight = recipe.anchors * max(0.1, 1 - step / (0.5 * recipe.plan.steps))
            goals = torch.from_numpy(self._anchors(texts)).to(self._device)
            aimed = info_nce(images, goals[rows], model.scale.detach(), right, wrong)
            loss = loss + weight * (aimed + _TEXT_WEIGHT * distillation(vectors, goals))
        return loss

    def kept(self, count: int, step: int, rng: np.random.Generator) -> Indices | None:
        recipe = self._recipe
        patches = recipe.shape.patches
        late = step >= recipe.plan.steps * (1 - recipe.last)
        kept = max(1, round((recipe.keep_last if late else recipe.keep) * patches))
        if kept == patches:
            return None
        return np.sort(rng.random((count, patches)).argsort(1)[:, :kept], axis=1)

    def _images(self, pairs: Sequence[Pair], kept: Indices | None) -> Any:
        inputs, chosen = self._feed.tensors(pairs, kept)
        patches = self._recipe.shape.patches if kept is None else kept.shape[1]
        size = max(1, CHUNK // patches) if self._device == "cpu" else len(pairs)
        parts = []
        with attention_kernel(self._device):
            for start in range(0, len(pairs), size):
                part = slice(start, start + size)
                parts.append(
                    self._model.images(inputs[part], None if chosen is None else chosen[part])
                )
        return torch.cat(parts)


def attention_kernel(device: str) -> AbstractContextManager[Any]:
    """On a CPU the plain kernel is a quarter quicker with gradients than the blockwise one."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    context: AbstractContextManager[Any] = (
        sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()
    )
    return context
