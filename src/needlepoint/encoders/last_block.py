"""All that is needed of the last attention of an image tower and of what follows it, once a crop.

A score ``s = <u, feature>`` depends on the attention ``A`` of that block through a mean of tokens,
an MLP and norms, whose Jacobians do not depend on ``u``. So the gradient of ``s`` with respect to
what each head hands on is linear in ``u`` (``pull_back``), and so is its transpose (``push``):
after the caching here neither needs a graph (MaskInversion, arXiv 2407.20034, section 3.3).

Shapes: N crops, H heads, T tokens in, Q tokens out of the attention (T of a block, 1 of a pooling
head), P patches, C width, K = H d width of the values, F width of the MLP, D dim of the vector.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from needlepoint.encoders.anatomy import Anatomy, Layer, anatomy
from needlepoint.encoders.hf_towers import SiglipImages
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.encoders.timm_towers import TimmPooled
from needlepoint.encoders.torch_tools import no_gradient
from needlepoint.encoders.towers import Tensor
from needlepoint.encoders.vit import TorchViT
from needlepoint.errors import UsageError
from needlepoint.parts import Encoder
from needlepoint.picture import Pixels

_BATCH = 32  # crops in one pass of the tower: 32 x 3 x 224 x 224 float32 are 19 MB


@dataclass(frozen=True)
class _Norm:
    """A layer norm at fixed inputs: ``ready`` x-hat ``[..., C]``, ``steep`` 1 / sigma."""

    weight: Tensor
    ready: Tensor
    steep: Tensor

    @classmethod
    def at(cls, norm: Any, tokens: Tensor) -> _Norm:
        centred = tokens - tokens.mean(-1, keepdim=True)
        steep = (centred.square().mean(-1, keepdim=True) + norm.eps).rsqrt()
        return cls(norm.weight, centred * steep, steep)

    def pull_back(self, gradient: Tensor) -> Tensor:
        return self._centred(gradient * self.weight)

    def push(self, change: Tensor) -> Tensor:
        return self._centred(change) * self.weight

    def _centred(self, x: Tensor) -> Tensor:
        along = (x * self.ready).mean(-1, keepdim=True)
        return (x - x.mean(-1, keepdim=True) - self.ready * along) * self.steep


@dataclass(frozen=True)
class _Weights:
    """Products of weights that every crop shares.

    ``out`` ``[C, K]`` output projection with the scale in front of the residual; ``back``
    ``[F, K]`` first layer of the MLP, norm weight and output projection in one; ``mean`` ``[F]``
    and ``ones`` ``[K]`` what the norm's mean takes off; ``fc2`` ``[C, F]`` second layer with its
    scale.
    """

    out: Tensor
    back: Tensor
    mean: Tensor
    ones: Tensor
    fc2: Tensor


@dataclass(frozen=True)
class LastBlock:
    """N crops at the last attention.

    ``base`` ``[N, D]`` is the encoder's own output, not normalised; ``values`` ``[N, H, P, d]`` of
    the patches; ``grid`` rows and columns; ``queries`` is Q.
    """

    base: Tensor
    values: Tensor
    grid: tuple[int, int]
    queries: int
    weights: _Weights
    slope: Tensor
    """Derivative of the activation ``[N, Q, F]``."""
    turned: Tensor
    """``slope`` times the hidden layer of x-hat alone ``[N, Q, F]``."""
    carried: Tensor
    """x-hat before the MLP through the output projection ``[N, Q, K]``."""
    steep: Tensor
    """1 / sigma before the MLP ``[N, Q, 1]``."""
    norm: _Norm | None
    place: Literal["after", "before"] | None
    project: Tensor | None
    feature: Tensor
    """What ``u`` is compared with ``[N, D]``.

    A mean of tokens is normalised. What a pooling head gives is not: it is the vector that the
    token starts from, and the cosine of a vector with itself has no derivative.
    """
    length: Tensor | None
    """Its length before ``[N, 1]``, where it was normalised."""

    def __len__(self) -> int:
        return len(self.base)

    def pull_back(self, tokens: Tensor) -> Tensor:
        """Gradient of ``<u, feature>`` with respect to each head's output: linear in ``u``.

        Args:
            tokens: u, ``[N, D]``, one a crop.

        Returns:
            ``[N, Q, K]``.
        """
        w, width = self.weights, self.weights.out.shape[0]
        back = self._turned(tokens)
        back = back if self.project is None else back @ self.project
        back = back[:, None] / self.queries
        into = back if self.norm is None else self.norm.pull_back(back)  # [N, 1 or Q, C]
        inner = into @ w.fc2  # [N, 1 or Q, F]
        gradient = (self.slope * inner) @ w.back
        gradient -= _dot(self.slope, inner * w.mean) * w.ones
        gradient -= _dot(self.turned, inner) / width * self.carried
        return into @ w.out + gradient * self.steep

    def push(self, gradients: Tensor) -> Tensor:
        """The transpose of ``pull_back``: ``<push(y), u> = <y, pull_back(u)>`` crop by crop.

        Args:
            gradients: ``[N, Q, K]``.

        Returns:
            ``[N, D]``.
        """
        w, width = self.weights, self.weights.out.shape[0]
        steep = gradients * self.steep
        mean = (steep @ w.ones)[..., None]
        along = (steep * self.carried).sum(-1, keepdim=True) / width
        inner = self.slope * (steep @ w.back.T)
        if self.place == "before":
            inner -= mean * w.mean * self.slope + along * self.turned
            change = gradients @ w.out.T + inner @ w.fc2.T
        else:
            inner = inner.sum(1, keepdim=True) - _sum(mean, self.slope) * w.mean
            inner -= _sum(along, self.turned)
            change = gradients.sum(1, keepdim=True) @ w.out.T + inner @ w.fc2.T
        change = change if self.norm is None else self.norm.push(change)
        change = change.sum(1) / self.queries
        change = change if self.project is None else change @ self.project.T
        return self._turned(change)

    def _turned(self, tokens: Tensor) -> Tensor:
        """Through the normalisation of the feature; its Jacobian is symmetric."""
        if self.length is None:
            return tokens
        along = (tokens * self.feature).sum(-1, keepdim=True)
        return (tokens - along * self.feature) / self.length


class LastBlocks:
    """Reads crops through an encoder's tower and keeps what ``LastBlock`` holds.

    Args:
        encoder: one that runs a plain Vision Transformer on torch.
        layer: which attention; None takes the pooling head where there is one.
        double: float64 from the last attention on.

    Raises:
        UsageError: another kind of encoder, or one without such an attention.
    """

    def __init__(self, encoder: Encoder, layer: Layer | None = None, double: bool = False) -> None:
        if not isinstance(encoder, TorchViT):
            raise UsageError(
                f"{encoder.card.address} has no plain vision transformer on torch, whose last "
                "attention is needed. Use an hf: or open_clip: ViT, or mao:stage=a."
            )
        self.encoder, self._dtype = encoder, torch.float64 if double else torch.float32
        tower = encoder.tower
        pools = isinstance(tower, SiglipImages | TimmPooled)
        self.layer: Layer = layer or ("head" if pools else "block")
        if self.layer == "head" and not pools:
            raise UsageError(
                f"layer is head, but {encoder.card.address} has no attention-pooling head. "
                "Allowed for it: block."
            )
        self._tower = tower
        #: everything of a crop is seen: no centre is cut out of it
        self.preprocess: Preprocess = replace(encoder.preprocess, rule="squash")
        dtype = self._dtype

        def cast(module: Any) -> Any:
            return copy.deepcopy(module).to(dtype).requires_grad_(False)

        self.anatomy = anatomy(tower, self.layer, cast)
        if self.anatomy.place == "before" and encoder.card.dim != self._width():
            raise UsageError(
                f"layer is block, but {encoder.card.address} projects what its pooling head gives "
                f"from {self._width()} to {encoder.card.dim} numbers. Allowed for it: head."
            )
        with torch.inference_mode():
            self.weights = _weights(self.anatomy)

    def _width(self) -> int:
        return int(self.anatomy.fc2.weight.shape[0])

    def vectors(self, crops: Sequence[Pixels]) -> Tensor:
        """The encoder's own output for square crops uint8 ``[S, S, 3]``: ``[N, D]``, raw."""
        return torch.cat([self.ahead(crops[i : i + _BATCH])[2] for i in _starts(crops)])

    def read(self, crops: Sequence[Pixels]) -> LastBlock:
        """All of the last attention for N square crops uint8 ``[S, S, 3]``, N at least 1."""
        parts = [self.ahead(crops[i : i + _BATCH]) for i in _starts(crops)]
        tokens, base = (torch.cat([part[i] for part in parts]) for i in (0, 2))
        grid = (self.preprocess.size // self._tower.patch,) * 2
        with torch.inference_mode():
            return self.at(tokens, parts[0][1], base, grid)

    def ahead(self, crops: Sequence[Pixels]) -> tuple[Tensor, Any, Tensor]:
        """Tokens in front of the last attention ``[N, T, C]``, context, and vectors ``[N, D]``."""
        encoder, tower = self.encoder, self._tower

        @no_gradient
        def run(on: TorchViT) -> tuple[Tensor, Any, Tensor]:
            tokens, context = tower.embed(on.tensor(self.preprocess.batch(crops)))
            for block in tower.blocks[:-1]:
                tokens = tower.run(block, tokens, context)
            after = tower.run(tower.blocks[-1], tokens, context)
            ahead = after if self.layer == "head" else tokens
            return ahead.to(self._dtype), context, tower.pool(after).to(self._dtype)

        tokens, context, base = run(encoder)
        return tokens, _cast_context(context, self._dtype), base

    def at(self, tokens: Tensor, context: Any, base: Tensor, grid: tuple[int, int]) -> LastBlock:
        """The cache for tokens in front of the last attention ``[N, T, C]``.

        ``base`` ``[N, D]`` is the encoder's output for the same crops.
        """
        body, w = self.anatomy, self.weights
        values, middle, hidden, after = body.outgoing(tokens, context)
        before_mlp = _Norm.at(body.norm2, middle)
        slope = _slope(body.act, hidden)
        plain = (before_mlp.ready * before_mlp.weight) @ body.fc1.weight.T
        place = body.place
        if place == "before":
            norm: _Norm | None = _Norm.at(body.norm, after)
            mean = body.norm(after).mean(1)
        else:
            mean = after.mean(1)
            norm = None if body.norm is None else _Norm.at(body.norm, mean[:, None])
            mean = mean if body.norm is None else body.norm(mean)
        raw = mean if body.project is None else body.project(mean)
        length = None if place is None else raw.norm(dim=-1, keepdim=True)
        return LastBlock(
            base=base,
            values=values[:, :, self._tower.prefix :].contiguous(),
            grid=grid,
            queries=middle.shape[1],
            weights=w,
            slope=slope,
            turned=slope * plain,
            carried=before_mlp.ready @ w.out,
            steep=before_mlp.steep,
            norm=norm,
            place=place,
            project=None if body.project is None else body.project.weight,
            feature=raw if length is None else raw / length,
            length=length,
        )


def _weights(body: Anatomy) -> _Weights:
    out, fc2 = body.out.weight, body.fc2.weight
    out = out if body.scale1 is None else out * body.scale1[:, None]
    fc2 = fc2 if body.scale2 is None else fc2 * body.scale2[:, None]
    inner = body.fc1.weight * body.norm2.weight
    return _Weights(out, inner @ out, inner.mean(1), out.sum(0), fc2.contiguous())


def _slope(act: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
    """Derivative of an activation, number by number, whatever function it is."""
    with torch.inference_mode(False), torch.enable_grad():
        at = hidden.clone().requires_grad_()
        (slope,) = torch.autograd.grad(act(at).sum(), at)
    return slope


def _dot(many: Tensor, one: Tensor) -> Tensor:
    """``[N, Q, F]`` with ``[N, 1 or Q, F]`` to ``[N, Q, 1]``."""
    return many @ one.transpose(1, 2) if one.shape[1] == 1 else (many * one).sum(-1, keepdim=True)


def _sum(shares: Tensor, many: Tensor) -> Tensor:
    """``[N, Q, 1]`` and ``[N, Q, F]`` to the weighted sum ``[N, 1, F]``."""
    return shares.transpose(1, 2) @ many


def _starts(crops: Sequence[Pixels]) -> range:
    return range(0, len(crops), _BATCH)


def _cast_context(context: Any, dtype: Any) -> Any:
    return None if context is None else tuple(part.to(dtype) for part in context)
