"""How well pictures and texts find each other: what a run says of itself while it learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from needlepoint.parts import Floats


def found_at(
    texts: Floats, images: Floats, meanings: Sequence[frozenset[str]], ks: Sequence[int] = (1, 5)
) -> dict[str, float]:
    """Share of texts that have a right picture among the first k, as ``{"R@1": …}``.

    Args:
        texts: float32 ``[N, D]``, unit length; text i belongs to picture i.
        images: float32 ``[N, D]``, unit length.
        meanings: pictures whose own text means the same are right too.
        ks: places that count.

    Example:
        >>> eye = np.eye(2, dtype=np.float32)
        >>> found_at(eye, eye[::-1], [frozenset("a"), frozenset("b")], (1, 2))
        {'R@1': 0.0, 'R@2': 1.0}
    """
    numbers: dict[frozenset[str], int] = {}
    kinds = np.array([numbers.setdefault(meaning, len(numbers)) for meaning in meanings])
    order = np.argsort(-(texts @ images.T), axis=1, kind="stable")
    right = kinds[order] == kinds[:, None]
    return {f"R@{k}": float(right[:, :k].any(1).mean()) for k in ks}
