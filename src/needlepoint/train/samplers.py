"""The order in which a run sees its pairs: from a seed, with a state to go on from."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError

Indices = npt.NDArray[np.int64]


class Batches:
    """Endless batches of indices, each epoch in an order of its own.

    Items of one ``key`` come in runs of up to ``run``, so that a batch holds things that differ
    in little (the same name in other colours): hard negatives. Every item comes once an epoch; a
    batch may begin in one epoch and end in the next.

    Args:
        keys: one for each item; items without kin have a key of their own.
        batch: items of a batch.
        run: longest run of one key; 1 is plain shuffling.
        seed: of all orders.

    Raises:
        UsageError: nothing to draw from, or a batch larger than the data.

    Example:
        >>> batches = Batches("aabb", batch=2, run=2, seed=0)
        >>> first = next(batches)
        >>> np.sort(np.concatenate([first, next(batches)]))
        array([0, 1, 2, 3])
    """

    def __init__(self, keys: Sequence[Hashable], *, batch: int, run: int, seed: int) -> None:
        if not 1 <= batch <= len(keys):
            raise UsageError(f"batch: must be 1 … {len(keys)} (the pairs there are), not {batch}")
        if run < 1:
            raise UsageError(f"run: must be at least 1, received {run}")
        self._batch, self._run, self._seed = batch, run, seed
        numbers: dict[Hashable, int] = {}
        self._keys = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
        self._epoch, self._position = 0, 0
        self._order = self._shuffled(0)

    def __iter__(self) -> Iterator[Indices]:
        return self

    def __next__(self) -> Indices:
        taken: list[Indices] = []
        wanted = self._batch
        while wanted:
            part = self._order[self._position : self._position + wanted]
            taken.append(part)
            wanted -= len(part)
            self._position += len(part)
            if self._position == len(self._order):
                self._epoch, self._position = self._epoch + 1, 0
                self._order = self._shuffled(self._epoch)
        return np.concatenate(taken)

    def state(self) -> dict[str, int]:
        """Where the run is: ``epoch`` and ``position`` in it."""
        return {"epoch": self._epoch, "position": self._position}

    def restore(self, state: dict[str, int]) -> None:
        """Go on where another run of the same seed and items was."""
        self._epoch, self._position = state["epoch"], state["position"]
        self._order = self._shuffled(self._epoch)

    def _shuffled(self, epoch: int) -> Indices:
        rng = np.random.default_rng([self._seed, epoch])
        order = rng.permutation(len(self._keys))
        if self._run == 1:
            return order
        # stable: within a key the shuffled order stays
        order = order[np.argsort(self._keys[order], kind="stable")]
        keys = self._keys[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
        lengths = np.diff(np.r_[starts, len(keys)])
        place = np.arange(len(keys)) - np.repeat(starts, lengths)
        heads = np.flatnonzero(place % self._run == 0)
        runs = np.split(order, heads[1:])
        return np.concatenate([runs[i] for i in rng.permutation(len(runs))])
