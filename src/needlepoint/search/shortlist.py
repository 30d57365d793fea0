"""The best of a ranking put in order again by a second score; the rest keeps its order below.

Shapes: Q questions, G pictures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats


def reorder(
    scores: Floats, second: Floats, share: float, shortlist: int
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Order pictures by their score, then the first ones again.

    Args:
        scores: float32 ``[Q, G]``.
        second: float32 ``[Q, G]``; read only where a picture is on the shortlist.
        share: 0 to 1, of the second score in ``(1 - share) scores + share second``.
        shortlist: how many of each question's best are put in order again, at least 0.

    Returns:
        Columns in their new order, int64 ``[Q, G]``, and float32 ``[Q, G]`` the scores the new
        order rests on, by column: mixed on the shortlist, as given below it. A picture below the
        shortlist may have the higher score. Equal scores stand in column order.

    Raises:
        UsageError: a share outside 0 to 1, a negative shortlist, or shapes that differ.

    Example:
        >>> order, _ = reorder(np.float32([[3, 2, 1]]), np.float32([[0, 5, 99]]), 0.5, 2)
        >>> order.tolist()
        [[1, 0, 2]]
    """
    if not 0 <= share <= 1 or shortlist < 0:
        raise UsageError(
            f"share is {share:g}, shortlist {shortlist}. Allowed: a share of 0 to 1 and a "
            "shortlist of 0 or more."
        )
    if scores.shape != second.shape:
        raise UsageError(
            f"second scores are {list(second.shape)}. Allowed: {list(scores.shape)}, as the first."
        )
    order = np.argsort(-scores, axis=1, kind="stable")
    best = np.sort(order[:, :shortlist], axis=1)
    mixed = scores.copy()
    kept = (1 - np.float32(share)) * np.take_along_axis(scores, best, 1)
    added = np.float32(share) * np.take_along_axis(second, best, 1)
    np.put_along_axis(mixed, best, kept + added, 1)
    again = np.argsort(-np.take_along_axis(mixed, best, 1), axis=1, kind="stable")
    order[:, :shortlist] = np.take_along_axis(best, again, 1)
    return order, mixed
