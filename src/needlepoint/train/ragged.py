"""Lists of different lengths in two arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lists:
    """List i is ``values[offsets[i] : offsets[i + 1]]``; ``offsets`` int64 ``[Q + 1]``.

    Example:
        >>> lists = Lists.of([[3, 1], [], [2]])
        >>> len(lists), lists[0].tolist(), lists.mask(np.array([2, 0]), 4).tolist()
        (3, [3, 1], [[False, False, True, False], [False, True, False, True]])
    """

    offsets: Rows
    values: Rows

    @classmethod
    def of(cls, lists: Iterable[Sequence[int] | Rows]) -> Lists:
        """Lists put one after the other."""
        kept = [np.asarray(one, np.int64) for one in lists]
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in kept])]).astype(np.int64)
        return cls(offsets, np.concatenate([np.zeros(0, np.int64), *kept]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> Rows:
        return self.values[self.offsets[number] : self.offsets[number + 1]]

    def lengths(self) -> Rows:
        """How long each list is, int64 ``[Q]``."""
        return np.diff(self.offsets)

    def flat(self, numbers: Rows) -> tuple[Rows, Rows]:
        """The values of B lists one after the other, and which of the B each is of."""
        lengths = self.lengths()[numbers]
        ends = np.cumsum(lengths)
        place = np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)
        values = self.values[np.repeat(self.offsets[numbers], lengths) + place]
        return np.repeat(np.arange(len(numbers)), lengths), values

    def mask(self, numbers: Rows, width: int) -> npt.NDArray[np.bool_]:
        """Which of ``width`` values each of B lists holds, bool ``[B, width]``."""
        held = np.zeros((len(numbers), width), bool)
        held[self.flat(numbers)] = True
        return held
