"""Which candidates a composed question is trained against, chosen by how far they lie below the
target.

Rules work on blocks of scores and keep lists of candidates, never a matrix of all questions by all
candidates. Every draw hangs on the seed, the question's key and the candidates' keys alone: not on
the order of the gallery, the size of a block or the number of workers.

Shapes: Q questions (of a block or of all), G candidates, B questions of a step, K negatives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats
from needlepoint.train.ragged import Lists, Rows

Mask = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]
Rule = Literal["trns", "random", "hardest", "qure"]

NEVER, AMBIGUOUS, MID, EASY = range(4)
"""Zones of candidates; ``NEVER`` holds those that are no candidates at all."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The ends of the mid-zone, both inside.

    ``by`` says whether ``low`` and ``high`` are gaps (differences of scores) or quantiles, in
    0 … 1, of a question's own gaps.
    """

    low: float = 0.05
    high: float = 0.30
    by: Literal["gap", "quantile"] = "gap"

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise UsageError(
                f"bounds: low must not be above high, received {self.low}, {self.high}"
            )
        if self.by not in ("gap", "quantile"):
            raise UsageError(f"bounds: by must be gap or quantile, received {self.by!r}")
        if self.by == "quantile" and (self.low < 0 or self.high > 1):
            raise UsageError(f"bounds: quantiles are 0 to 1, received {self.low}, {self.high}")

    def of(self, gaps: Floats, eligible: Mask) -> tuple[Floats, Floats]:
        """Both ends for each question, float32 ``[Q, 1]``, from gaps and candidates ``[Q, G]``."""
        ends = np.empty((2, len(gaps), 1), np.float32)
        ends[:, :, 0] = np.array([self.low, self.high])[:, None]
        if self.by == "quantile":
            for row, (found, allowed) in enumerate(zip(gaps, eligible, strict=True)):
                if allowed.any():
                    ends[:, row, 0] = np.quantile(found[allowed], [self.low, self.high])
        return ends[0], ends[1]


@dataclass(frozen=True, slots=True)
class Choice:
    """How negatives are chosen from a gallery.

    Attributes:
        rule: ``trns`` takes the mid-zone, ``random`` any candidate, ``hardest`` the best scored,
            ``qure`` those between the two steepest drops below the target.
        bounds: of the mid-zone.
        hardest: how many the rule of that name keeps.
        cap: most candidates kept of a question; more are thinned out at random.
    """

    rule: Rule = "trns"
    bounds: Bounds = Bounds()
    hardest: int = 16
    cap: int = 256

    def __post_init__(self) -> None:
        if self.rule not in _RULES:
            raise UsageError(f"rule: must be one of {', '.join(_RULES)}, received {self.rule!r}")
        for name in ("hardest", "cap"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: must be at least 1, received {getattr(self, name)}")


def gaps_of(scores: Floats, targets: Rows) -> Floats:
    """How far each candidate lies below the target, float32 ``[Q, G]``; below 0 where above it.

    Args:
        scores: float ``[Q, G]``, before any temperature.
        targets: int64 ``[Q]``, columns of the targets.
    """
    exact = np.asarray(scores, np.float32)
    found: Floats = np.take_along_axis(exact, targets[:, None], 1) - exact
    return found


def zones_of(gaps: Floats, eligible: Mask, bounds: Bounds) -> npt.NDArray[np.int8]:
    """The zone of every candidate, int8 ``[Q, G]``: each is in exactly one.

    Example:
        >>> gaps = np.array([[0.0, -0.1, 0.05, 0.3, 0.5]], np.float32)
        >>> zones_of(gaps, np.array([[False, True, True, True, True]]), Bounds()).tolist()
        [[0, 1, 2, 2, 3]]
    """
    low, high = bounds.of(gaps, eligible)
    zones = np.where(gaps < low, AMBIGUOUS, np.where(gaps > high, EASY, MID))
    return np.where(eligible, zones, NEVER).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Block:
    """Some questions and the scores of all candidates.

    ``scores`` float32 ``[Q, G]``; ``targets`` int64 ``[Q]``, columns; ``eligible`` bool ``[Q, G]``
    leaves out the target, other known answers, the reference and what is the same picture;
    ``keys`` uint64 ``[Q]`` tell the questions apart.
    """

    scores: Floats
    targets: Rows
    eligible: Mask
    keys: Keys


@dataclass(frozen=True, slots=True)
class Pools:
    """What each of all questions may be trained against until the next refresh.

    ``members`` lists candidates in the order they are drawn, ``gaps`` float32 ``[N]`` those of all
    members; ``fallback`` bool ``[Q]`` marks questions whose rule found nothing.
    """

    members: Lists
    gaps: Floats
    fallback: Mask

    def draw(self, questions: Rows, count: int, turn: int) -> tuple[Rows, Mask]:
        """Negatives of a step.

        Nothing is drawn twice before all of a question's members were drawn, and never twice in
        one turn.

        Args:
            questions: int64 ``[B]``.
            count: how many each (K); fewer where there are not so many.
            turn: 0 for the first draw after a refresh, then 1, …

        Returns:
            candidates int64 ``[B, K]`` and which of them are given, bool ``[B, K]``.
        """
        sizes = self.members.lengths()[questions][:, None]
        place = np.arange(count)[None]
        given = place < sizes
        safe = np.maximum(sizes, 1)
        at = self.members.offsets[questions][:, None] + (turn * count + place) % safe
        # an empty list has a place all the same: that of whatever comes first
        filled = np.append(self.members.values, 0)
        return np.where(given, filled[np.where(given, at, -1)], 0), given

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file that ``load`` reads, whole or not at all."""
        part = path.with_name(f".{path.name}.part.npz")
        np.savez(
            part,
            offsets=self.members.offsets,
            values=self.members.values,
            gaps=self.gaps,
            fallback=self.fallback,
        )
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Pools:
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as held:
            return cls(Lists(held["offsets"], held["values"]), held["gaps"], held["fallback"])


def make_pools(blocks: Iterable[Block], choice: Choice, keys: Keys, *, seed: int) -> Pools:
    """Apply a rule to all questions, a block at a time.

    Args:
        blocks: all questions in order.
        choice: the rule.
        keys: uint64 ``[G]`` tell the candidates apart.
        seed: of the order in which members are drawn; another one at every refresh.
    """
    lists: list[Rows] = []
    gaps: list[Floats] = []
    fallback: list[Mask] = []
    for block in blocks:
        below = gaps_of(block.scores, block.targets)
        chosen, fell = _RULES[choice.rule](block, below, choice, keys)
        for row in range(len(chosen)):
            found = np.flatnonzero(chosen[row])
            order = np.lexsort((keys[found], _mixed(seed, block.keys[row], keys[found])))
            found = found[order[: choice.cap]]
            lists.append(found)
            gaps.append(below[row, found])
        fallback.append(fell)
    none = np.zeros(0, np.float32)
    return Pools(
        Lists.of(lists),
        np.concatenate([none, *gaps]),
        np.concatenate([np.zeros(0, bool), *fallback]),
    )


def stable_keys(names: Sequence[str]) -> Keys:
    """A number for each name, uint64 ``[N]``, the same in every run and on every machine."""
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _trns(block: Block, gaps: Floats, choice: Choice, keys: Keys) -> tuple[Mask, Mask]:
    chosen = zones_of(gaps, block.eligible, choice.bounds) == MID
    low, high = choice.bounds.of(gaps, block.eligible)
    return _or_nearest(chosen, np.abs(gaps - (low + high) / 2), block.eligible, keys)


def _random(block: Block, gaps: Floats, choice: Choice, keys: Keys) -> tuple[Mask, Mask]:
    return block.eligible.copy(), np.zeros(len(gaps), bool)


def _hardest(block: Block, gaps: Floats, choice: Choice, keys: Keys) -> tuple[Mask, Mask]:
    # equal gaps: by key, so that the order of the gallery tells nothing
    held = np.where(block.eligible, gaps, np.inf)
    count = min(choice.hardest, held.shape[1])
    last = np.partition(held, count - 1, axis=1)[:, count - 1 : count]
    chosen = (held <= last) & block.eligible
    for row in np.flatnonzero(chosen.sum(1) > count):
        tied = np.flatnonzero(chosen[row] & (held[row] == last[row]))
        spare = int(chosen[row].sum()) - count
        chosen[row, tied[np.argsort(keys[tied])][len(tied) - spare :]] = False
    return chosen, np.zeros(len(gaps), bool)


def _qure(block: Block, gaps: Floats, choice: Choice, keys: Keys) -> tuple[Mask, Mask]:
    chosen = np.zeros(gaps.shape, bool)
    fell = np.zeros(len(gaps), bool)
    for row in range(len(gaps)):
        behind = np.flatnonzero(block.eligible[row] & (gaps[row] >= 0))
        behind = behind[np.lexsort((keys[behind], gaps[row, behind]))]
        # drop number j lies before candidate j; the first is that from the target itself
        drops = np.diff(gaps[row, behind], prepend=np.float32(0))
        steep = np.argsort(-drops, kind="stable")
        second = next((j for j in steep[1:] if abs(int(j) - int(steep[0])) > 1), None)
        fell[row] = second is None
        if second is None:
            chosen[row, behind] = True
        else:
            chosen[row, behind[min(steep[0], second) : max(steep[0], second)]] = True
    found, empty = _or_nearest(chosen, np.abs(gaps), block.eligible, keys)
    return found, fell | empty


_RULES = {"trns": _trns, "random": _random, "hardest": _hardest, "qure": _qure}


def _or_nearest(chosen: Mask, far: Floats, eligible: Mask, keys: Keys) -> tuple[Mask, Mask]:
    """What was chosen, or the eligible candidate least ``far`` where nothing was."""
    empty = np.logical_not(chosen.any(axis=1))
    for row in np.flatnonzero(empty):
        left = np.flatnonzero(eligible[row])
        if len(left):
            chosen[row, left[np.lexsort((keys[left], far[row, left]))[0]]] = True
    return chosen, empty


def _mixed(seed: int, key: np.uint64, keys: Keys) -> Keys:
    """A pseudo-random number for each key, uint64 ``[N]`` (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        start = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + key
        found = keys ^ _scrambled(np.asarray(start)[None])
        return _scrambled(found)


def _scrambled(numbers: Keys) -> Keys:
    with np.errstate(over="ignore"):
        mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
