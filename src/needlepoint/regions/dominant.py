"""Patches that draw most of a picture's attention, and the vector moved towards the others.

Contrastive Visual Enhancer of CalibCLIP (arXiv 2510.05586). ``enhance`` is parameter-free and of
our own making; ``enhance_released`` is what the released code computes.
Shapes: N pictures, P patches, C width, E joint dim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats

Mask = npt.NDArray[np.bool_]

LEAST = 1e-8
"""Attention on context patches at or below which there is no context."""


def dominant_patches(
    attention: Floats, percentile: float = 90.0
) -> tuple[npt.NDArray[np.float64], Mask]:
    """Patches whose attention reaches the percentile of their picture.

    Quantiles are interpolated linearly, in float64. Ties at the threshold are all dominant, and
    at least one patch always is.

    Args:
        attention: float32 ``[N, P]``, P at least 1.
        percentile: 0 to 100.

    Returns:
        Thresholds float64 ``[N]`` and mask bool ``[N, P]``.

    Example:
        >>> dominant_patches(np.float32([[0.1, 0.2, 0.3, 0.0]]), 50)[1].tolist()
        [[False, True, True, False]]
    """
    shares = attention.astype(np.float64)
    threshold = np.quantile(shares, percentile / 100, axis=1)
    # interpolation may round above the largest value it interpolates between
    threshold = np.minimum(threshold, shares.max(axis=1))
    return threshold, shares >= threshold[:, None]


def weighted_means(tokens: Floats, weights: Floats) -> Floats:
    """Means of tokens ``[N, P, C]`` by weights ``[N, P]``: float32 ``[N, C]``.

    Where all weights of a picture are (nearly) 0 the mean is 0.
    """
    sums = np.einsum("np,npc->nc", weights, tokens)
    means: Floats = (sums / np.maximum(weights.sum(axis=1, keepdims=True), LEAST)).astype(
        np.float32
    )
    return means


def enhance(
    vectors: Floats,
    joint: Floats,
    attention: Floats,
    *,
    rho: float = 0.1,
    rho_d: float = 0.0,
    percentile: float = 90.0,
) -> Floats:
    """Vectors moved towards the context patches and away from the dominant ones.

    ``normalise(f + rho u - rho_d w)``: f is the unit vector; u and w are unit attention-weighted
    means of the projected patches outside and inside the dominant ones. A picture without context
    (every patch is dominant, as under uniform attention) keeps its vector. No parameters.

    Args:
        vectors: float32 ``[N, E]``, unit length.
        joint: float32 ``[N, P, E]``, final patch tokens through the projection of the vector.
        attention: float32 ``[N, P]``, what the pooling token pays each patch, mean over heads.
        rho, rho_d: weights; both 0 give ``vectors`` back, bit for bit.
        percentile: from which on patches are dominant.

    Returns:
        float32 ``[N, E]``, unit length.
    """
    _, mask = dominant_patches(attention, percentile)
    context = np.where(mask, np.float32(0), attention)
    some = context.sum(axis=1) > LEAST
    if not some.any() or (rho == 0 and rho_d == 0):
        return vectors
    moved = vectors + np.float32(rho) * unit(weighted_means(joint, context))
    moved -= np.float32(rho_d) * unit(
        weighted_means(joint, np.where(mask, attention, np.float32(0)))
    )
    enhanced: Floats = np.where(some[:, None], unit(moved), vectors)
    return enhanced


def add_mean(vectors: Floats, joint: Floats, rho: float) -> Floats:
    """The control: vectors moved towards the plain mean of all projected patches.

    Shapes as for ``enhance``.
    """
    return unit(vectors + np.float32(rho) * unit(joint.mean(axis=1)))


def unit(vectors: Floats) -> Floats:
    """Vectors ``[..., D]`` scaled to unit length; zero stays zero.

    Example:
        >>> unit(np.float32([[3, 4], [0, 0]])).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    made: Floats = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return made


@dataclass(frozen=True, slots=True)
class Layers:
    """The two linear layers of the released code: context C to E, gate 2E to E.

    ``context`` float32 ``[E, C]``, ``context_bias`` ``[E]``, ``gate`` ``[E, 2E]``, ``gate_bias``
    ``[E]``. The authors published none: in their package the layers are as initialised.
    """

    context: Floats
    context_bias: Floats
    gate: Floats
    gate_bias: Floats

    @classmethod
    def untrained(cls, width: int, dim: int, seed: int) -> Layers:
        """Layers as a fresh linear layer is: uniform within one over the root of the inputs.

        Example:
            >>> Layers.untrained(8, 4, seed=0).gate.shape
            (4, 8)
        """
        draw = np.random.default_rng(seed)

        def made(inputs: int, *shape: int) -> Floats:
            bound = inputs**-0.5
            return draw.uniform(-bound, bound, shape).astype(np.float32)

        return cls(
            made(width, dim, width),
            made(width, dim),
            made(2 * dim, dim, 2 * dim),
            made(2 * dim, dim),
        )

    @classmethod
    def read(cls, path: Path) -> Layers:
        """Layers from an ``.npz`` or ``.safetensors`` file with the names of the fields.

        Raises:
            UsageError: another kind of file, or a name or shape that is missing.
        """
        held: Mapping[str, npt.NDArray[np.float32]]
        try:
            if path.suffix == ".safetensors":
                from safetensors.numpy import load_file

                held = load_file(path)
            elif path.suffix == ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    held = dict(arrays)
            else:
                raise UsageError(f"layers: {path} must end in .npz or .safetensors.")
        except (OSError, ValueError) as error:
            raise UsageError(f"layers: {path} cannot be read: {error}") from error
        if absent := sorted(set(cls.__slots__) - set(held)):
            raise UsageError(
                f"layers: {path} lacks {', '.join(absent)}. Needed: {', '.join(cls.__slots__)}."
            )
        return cls(*(np.asarray(held[name], np.float32) for name in cls.__slots__))

    def check(self, width: int, dim: int) -> None:
        """Refuse layers that do not fit an encoder of width C and joint dim E.

        Raises:
            UsageError: a tensor of another shape.
        """
        wanted = {"context": (dim, width), "context_bias": (dim,), "gate": (dim, 2 * dim)}
        for name, shape in {**wanted, "gate_bias": (dim,)}.items():
            if (found := getattr(self, name).shape) != shape:
                raise UsageError(
                    f"layers: {name} is {list(found)}; an encoder of width {width} and joint dim "
                    f"{dim} needs {list(shape)}."
                )


@dataclass(frozen=True, slots=True)
class Enhanced:
    """Every step of ``enhance_released``, float32 ``[N, C]`` or ``[N, E]``."""

    context: Floats
    projected: Floats
    gate: Floats
    vectors: Floats


def enhance_released(
    pooled: Floats,
    final: Floats,
    attention: Floats,
    layers: Layers,
    *,
    rho: float = 0.1,
    percentile: float = 90.0,
) -> Enhanced:
    """What the released code computes: a context vector through random layers, gated and added.

    ``u``, the attention-weighted mean of context patches; ``v = W_c u + b_c``;
    ``gate = sigmoid(W_g [f; v] + b_g)``; ``normalise(f + rho gate v)``. Where there is no context,
    ``u`` is 0 and the bias is added all the same.

    Args:
        pooled: float32 ``[N, E]``, the vector *before* it is normalised.
        final: float32 ``[N, P, C]``, patch tokens after the final norm, not projected.
        attention: float32 ``[N, P]``, mean over heads.
        layers: the four tensors.
        rho, percentile: as released.

    Raises:
        UsageError: layers of other shapes.
    """
    layers.check(final.shape[2], pooled.shape[1])
    _, mask = dominant_patches(attention, percentile)
    context = weighted_means(final, np.where(mask, np.float32(0), attention))
    projected = context @ layers.context.T + layers.context_bias
    both = np.concatenate((pooled, projected), axis=1)
    gate: Floats = 1 / (1 + np.exp(-(both @ layers.gate.T + layers.gate_bias)))
    return Enhanced(context, projected, gate, unit(pooled + np.float32(rho) * gate * projected))
