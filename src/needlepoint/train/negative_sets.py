"""The sets of negatives of a run: made anew every few epochs, kept on disk in between.

Shapes: Q questions of a block, L those learnt from, B of a step, G pictures, K negatives.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from needlepoint.parts import Floats
from needlepoint.train.loop import CHECKPOINT
from needlepoint.train.negatives import Block, Choice, Mask, Pools, make_pools
from needlepoint.train.ragged import Rows
from needlepoint.train.triplets import Triplets

Scores = Callable[[Rows], Floats]
"""Scores float32 ``[Q, G]`` of questions int64 ``[Q]`` against the whole gallery."""

_BLOCK = 256
_SETS, _TOLD = "negatives-*.npz", "negatives.json"


@dataclass(frozen=True, slots=True)
class Refresh:
    """One refresh of the sets of negatives, as it is told.

    ``fallback`` is the share of questions whose rule found nothing, ``empty`` that of questions
    without any negative, ``near`` the share of kept negatives that would have been right answers
    though nobody labelled them, ``caught`` the share of such answers that are in their question's
    set, ``size`` the mean length of the sets.
    """

    epoch: int
    fallback: float
    empty: float
    near: float
    caught: float
    size: float


class NegativeSets:
    """Sets of negatives by the model as it stands; those of epoch 0 are drawn at random.

    Args:
        model: put into eval mode while sets are made.
        data: triplets.
        learnt: int64 ``[L]``, the questions that are learnt from.
        choice: the rule, its bounds and sizes.
        scores: called at each refresh, without gradients; gives what scores questions then.
        run: folder of the run; the sets of a refresh lie there as long as it may go on from them.
        every: epochs between two refreshes.
        candidates: ``gallery``, or ``targets``: pictures that are a target somewhere.
        seed: of all draws.
        say: told of each refresh.
    """

    def __init__(
        self,
        model: Any,
        data: Triplets,
        learnt: Rows,
        choice: Choice,
        scores: Callable[[], Scores],
        run: Path,
        *,
        every: int,
        candidates: Literal["gallery", "targets"],
        seed: int,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.refreshes: list[Refresh] = []
        self._model, self._data, self._learnt, self._choice = model, data, learnt, choice
        self._scores, self._run, self._every = scores, run, every
        self._candidates, self._seed, self._say = candidates, seed, say
        self._pools: tuple[int, Pools] | None = None
        if (run / CHECKPOINT).is_file() and (run / _TOLD).is_file():
            rows = json.loads((run / _TOLD).read_text("utf-8"))
            self.refreshes = [Refresh(**row) for row in rows]
        else:
            for stale in run.glob(_SETS):
                stale.unlink()

    def draw(self, indices: Rows, count: int, epoch: int) -> tuple[Rows, Mask]:
        """Negatives of the questions ``learnt[indices]``: int64 ``[B, K]``, and which are given."""
        since, pools = self._fresh(epoch)
        return pools.draw(indices, count, epoch - since)

    def _fresh(self, epoch: int) -> tuple[int, Pools]:
        """The sets of this epoch and when they were made: computed, kept, or read again.

        What lies on disk is of this run: made again at the same step it would be the same.
        """
        since = epoch - epoch % self._every
        if self._pools is None or self._pools[0] != since:
            path = self._run / f"negatives-{since}.npz"
            if not path.is_file():
                self.refresh(since).save(path)
                self._tidy()
            self._pools = since, Pools.load(path)
        return self._pools

    def _tidy(self) -> None:
        """Remove sets that were replaced before the last checkpoint: no run reads them again."""
        checkpoint = self._run / CHECKPOINT
        saved = checkpoint.stat().st_mtime_ns if checkpoint.is_file() else 0
        files = sorted(self._run.glob(_SETS), key=lambda path: int(path.stem.partition("-")[2]))
        for old, new in pairwise(files):
            if new.stat().st_mtime_ns < saved:
                old.unlink()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def refresh(self, epoch: int) -> Pools:
        """Sets of negatives of all learnt questions by the model as it stands, in eval mode."""
        training = self._model.training
        self._model.eval()
        choice = self._choice if epoch else replace(self._choice, rule="random")
        seed = self._seed * 100_003 + epoch
        pools = make_pools(self._blocks(), choice, self._data.keys, seed=seed)
        self._model.train(training)
        told = self._told(epoch, pools)
        self.refreshes = [one for one in self.refreshes if one.epoch < epoch] + [told]
        rows = [asdict(one) for one in self.refreshes]
        (self._run / _TOLD).write_text(json.dumps(rows), encoding="utf-8")
        self._say(
            f"epoch {epoch}: {told.size:.0f} negatives a question, fallback {told.fallback:.1%}, "
            f"unlabelled answers among them {told.near:.2%}"
        )
        return pools

    def _blocks(self) -> Iterator[Block]:
        scores = self._scores()
        for start in range(0, len(self._learnt), _BLOCK):
            some = self._learnt[start : start + _BLOCK]
            yield Block(
                scores(some),
                self._data.targets[some],
                self._data.eligible(some, self._candidates),
                self._data.question_keys[some],
            )

    def _told(self, epoch: int, pools: Pools) -> Refresh:
        lengths, wrong, planted = pools.members.lengths(), 0, 0
        for row, question in enumerate(self._learnt):
            near = self._data.near[int(question)]
            planted += len(near)
            if len(near):
                wrong += int(np.isin(pools.members[row], near).sum())
        return Refresh(
            epoch,
            float(pools.fallback.mean()),
            float((lengths == 0).mean()),
            wrong / max(1, int(lengths.sum())),
            wrong / max(1, planted),
            float(lengths.mean()),
        )
