"""A direction in which liked vectors lie and others do not: a small logistic regression.

Shapes: P liked, N disliked, W weak, M = P + N + W, D dim.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from needlepoint.parts import Floats

Doubles = npt.NDArray[np.float64]

_STEPS = 30
_STILL = 1e-8  # change of the largest coefficient at which the fit has ended


def liked_direction(liked: Floats, disliked: Floats, weak: Floats, l2: float) -> Floats:
    """The weights of a logistic regression that tells liked from disliked vectors.

    Weak negatives are pictures nobody has marked: most are not what is sought, and some may be.
    Liked vectors weigh 1 together, disliked and weak ones a half each. The fit is Newton's, over
    M coefficients instead of D weights, and always the same for the same vectors.

    Args:
        liked: float32 ``[P, D]``, at least one.
        disliked: float32 ``[N, D]``, at least one.
        weak: float32 ``[W, D]``; may be empty.
        l2: penalty on the squared weights, above 0.

    Returns:
        float32 ``[D]`` of unit length.
    """
    rows: Doubles = np.concatenate([liked, disliked, weak]).astype(np.float64)
    label: Doubles = np.zeros(len(rows))
    label[: len(liked)] = 1.0
    groups = ((len(liked), 1.0), (len(disliked), 0.5), (len(weak), 0.5))
    share: Doubles = np.concatenate([np.full(n, total / max(n, 1)) for n, total in groups])
    kernel = rows @ rows.T + 1.0  # the 1 is a feature that all have
    coefficients: Doubles = np.zeros(len(rows))
    for _ in range(_STEPS):
        scores = kernel @ coefficients
        chance = 1.0 / (1.0 + np.exp(-scores))
        curve = np.maximum(share * chance * (1.0 - chance), 1e-12)
        target = scores + share * (label - chance) / curve
        damped = kernel + l2 * np.diag(1.0 / curve)
        now = np.linalg.solve(damped, target).astype(np.float64)
        still = float(np.abs(now - coefficients).max()) < _STILL
        coefficients = now
        if still:
            break
    weights = rows.T @ coefficients
    direction: Floats = (weights / max(float(np.linalg.norm(weights)), 1e-12)).astype(np.float32)
    return direction
