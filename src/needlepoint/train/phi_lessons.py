"""What a mapping network is taught in one step: by captions, by pictures, or by pseudo-words.

Only the network has gradients; the towers are frozen and read through ``Slots``.

Shapes: B items of a step, N items, D joint dim, C token width.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from needlepoint.encoders.phi import Phi
from needlepoint.encoders.slots import Slots
from needlepoint.errors import UsageError
from needlepoint.methods.phrases import Phrases
from needlepoint.parts import Floats
from needlepoint.train.contrastive import info_nce
from needlepoint.train.keywords import PLAIN
from needlepoint.train.samplers import Indices


class Lesson(Protocol):
    """One way of teaching: ``keys`` has an entry an item, equal for items that come together."""

    @property
    def keys(self) -> Sequence[Hashable]: ...

    def loss(self, phi: Phi, rows: Indices, step: int) -> Tensor:
        """The loss of some items, a scalar."""
        ...


@dataclass(frozen=True, slots=True)
class Captions:
    """LinCIR: a caption's own vector in place of its keywords gives the caption back.

    ``masked`` are the N captions with ``{}`` for their keywords, ``raw`` float32 ``[N, D]`` the
    vectors of the whole captions, not normalised.
    """

    slots: Slots
    masked: Sequence[str]
    raw: Floats
    noise: float = 1.0

    @property
    def keys(self) -> Sequence[Hashable]:
        return range(len(self.masked))

    def loss(self, phi: Phi, rows: Indices, step: int) -> Tensor:
        """Mean squared error of the vectors, not normalised."""
        goal = _given(self.raw, rows, phi)
        words = phi(noised(goal, self.noise))
        return self_masking_loss(self.slots, [self.masked[i] for i in rows], words, goal)


def noised(raw: Tensor, noise: float) -> Tensor:
    """``z + noise u e`` with one u in [0, 1] a row and normal e: E|z' - z|^2 = noise^2 D / 3."""
    if not noise:
        return raw
    share = torch.rand(len(raw), 1, device=raw.device)
    return raw + noise * share * torch.randn_like(raw)


def self_masking_loss(slots: Slots, masked: Sequence[str], words: Tensor, goal: Tensor) -> Tensor:
    """LinCIR's loss, a scalar: captions with pseudo-words in place, against the whole captions.

    Args:
        slots: the frozen text tower.
        masked: B captions with ``{}``; all places of one take the same word.
        words: pseudo-words ``[B, C]``.
        goal: vectors ``[B, D]`` of the whole captions, not normalised.
    """
    return torch.nn.functional.mse_loss(slots.fill(masked, words), goal)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pic2Word: "a photo of" and a picture's word, told apart from those of other pictures.

    ``vectors`` float32 ``[N, D]`` have unit length; ``sharpness`` is the encoder's own inverse
    temperature and stays as it is.
    """

    slots: Slots
    vectors: Floats
    sharpness: float

    @property
    def keys(self) -> Sequence[Hashable]:
        return range(len(self.vectors))

    def loss(self, phi: Phi, rows: Indices, step: int) -> Tensor:
        """Symmetric InfoNCE; the word is put in before the end token."""
        seen = _given(self.vectors, rows, phi)
        read = self.slots.append([PLAIN.replace(" {}", "")] * len(rows), phi(seen * phi.scale))
        return paired_loss(torch.nn.functional.normalize(read, dim=1), seen, self.sharpness)


def paired_loss(one: Tensor, other: Tensor, sharpness: float) -> Tensor:
    """Symmetric InfoNCE of B pairs of unit vectors ``[B, D]``; swapping the sides changes nothing.

    Example:
        >>> same = torch.ones(4, 1)
        >>> round(float(paired_loss(same, same, 100.0)), 4)  # ln 4
        1.3863
    """
    own = torch.eye(len(one), dtype=torch.bool, device=one.device)
    return info_nce(one, other, torch.tensor(sharpness), own, ~own)


@dataclass(frozen=True, slots=True)
class Distilled:
    """SEARLE's second stage: words found by optimisation, and what is said with their concepts.

    ``vectors`` float32 ``[N, D]`` of unit length, ``words`` float32 ``[N, C]`` found for them;
    ``near`` int64 ``[N, T]`` are the concepts of ``phrases`` nearest to each picture. Items of one
    of ``kin`` come together in a step (iSEARLE's hard negatives).
    """

    slots: Slots
    vectors: Floats
    words: Floats
    near: Indices
    phrases: Phrases
    kin: Sequence[Hashable]
    phrase_weight: float = 0.75
    temperature: float = 0.25
    seed: int = 0

    @property
    def keys(self) -> Sequence[Hashable]:
        return self.kin

    def loss(self, phi: Phi, rows: Indices, step: int) -> Tensor:
        """``L_distil + phrase_weight L_phrase``."""
        made = phi(_given(self.vectors, rows, phi) * phi.scale)
        loss = distilled_loss(made, _given(self.words, rows, phi), self.temperature)
        if not self.phrase_weight:
            return loss
        drawn = np.random.default_rng([self.seed, step, 5])
        concepts = self.near[rows, drawn.integers(self.near.shape[1], size=len(rows))]
        said = [self.phrases.draw(int(one), drawn) for one in concepts]
        read = self.slots.fill([phrase for phrase, _ in said], made)
        with torch.no_grad():
            meant = self.slots.read([phrase.replace("{}", name) for phrase, name in said])
        strayed = 1 - torch.cosine_similarity(read, meant)
        return loss + self.phrase_weight * strayed.mean()


def distilled_loss(made: Tensor, found: Tensor, temperature: float) -> Tensor:
    """SEARLE's contrastive loss of B pairs of words ``[B, C]``, a scalar.

    All 2B words, of unit length, stand in one row: each has its other half as the right answer
    and all the rest, of its own side too, as wrong ones.
    """
    if made.shape != found.shape or made.ndim != 2:
        raise UsageError(
            f"words: both must be [B, C], received {list(made.shape)} and {list(found.shape)}"
        )
    both = torch.nn.functional.normalize(torch.cat([made, found]).float(), dim=1)
    count = len(made)
    scores = both @ both.T / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(itself, float("-inf"))
    right = torch.arange(2 * count, device=scores.device).roll(count)
    return torch.nn.functional.cross_entropy(scores, right)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def echo(phi: Phi, slots: Slots, raw: Floats) -> dict[str, float | int]:
    """How often "a photo of" and the word of an item finds the item again: R@1, R@5 among all.

    Args:
        phi: the network.
        slots: the frozen text tower.
        raw: vectors ``[N, D]`` as the network is given them.
    """
    given = _given(raw, np.arange(len(raw)), phi)
    phi.eval()
    parts = [slots.fill([PLAIN] * len(some), phi(some)) for some in given.split(256)]
    read = torch.nn.functional.normalize(torch.cat(parts), dim=1)
    scores = read @ torch.nn.functional.normalize(given, dim=1).T
    ranks = 1 + (scores > scores.diagonal()[:, None]).sum(1)
    cosine = float(scores.diagonal().mean())
    told: dict[str, Any] = {"items": len(raw), "cosine": round(cosine, 4)}
    return told | {f"R@{k}": round(float((ranks <= k).float().mean()), 4) for k in (1, 5)}


def _given(array: Floats, rows: Indices, phi: Phi) -> Tensor:
    """Some rows, where the network is."""
    return torch.from_numpy(array[rows]).to(next(phi.parameters()).device)
