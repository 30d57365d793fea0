"""The last attention of an image tower, and what follows it, as modules: whoever wrote them.

Shapes: N pictures, H heads, T tokens in, Q tokens out of the attention (T of a block, 1 of a
pooling head), C width, K = H d width of the values, F width of the MLP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from needlepoint.encoders.hf_towers import ClipImages, DinoImages, SiglipImages
from needlepoint.encoders.open_clip_towers import NativeImages
from needlepoint.encoders.timm_towers import TimmPooled, TimmToken
from needlepoint.encoders.torch_tools import attention, split_heads
from needlepoint.encoders.towers import ImageTower, Tensor
from needlepoint.errors import UsageError

Layer = Literal["block", "head"]
"""The attention looked at: the last block's, or that of an attention-pooling head."""

Attend = Callable[[Tensor, Any], tuple[Tensor, Tensor]]
"""Tokens ``[N, T, C]`` and context to shares ``[N, H, Q, T]`` and values ``[N, H, T, d]``."""


@dataclass(frozen=True)
class Anatomy:
    """Modules of an attention and of what follows it, whoever wrote them.

    ``norm`` is the final norm: ``after`` the mean of the Q tokens, ``before`` it, or None where a
    pooling head ends without one. ``project`` is linear, or None.
    """

    attend: Attend
    residual: bool
    out: Any
    scale1: Tensor | None
    norm2: Any
    fc1: Any
    act: Callable[[Tensor], Tensor]
    fc2: Any
    scale2: Tensor | None
    norm: Any
    place: Literal["after", "before"] | None
    project: Any

    def outgoing(self, tokens: Tensor, context: Any) -> tuple[Tensor, ...]:
        """The block written out: tokens to values, middle, hidden and output tokens.

        Returns:
            values ``[N, H, T, d]``; tokens between attention and MLP ``[N, Q, C]``; the MLP
            before its activation ``[N, Q, F]``; tokens after the block ``[N, Q, C]``.
        """
        shares, values = self.attend(tokens, context)
        mixed = self.out((shares @ values).transpose(1, 2).flatten(2))
        middle = _scaled(mixed, self.scale1)
        middle = tokens + middle if self.residual else middle
        hidden = self.fc1(self.norm2(middle))
        after = middle + _scaled(self.fc2(self.act(hidden)), self.scale2)
        return values, middle, hidden, after


def anatomy(tower: ImageTower, layer: Layer, cast: Callable[[Any], Any]) -> Anatomy:
    """The parts of a tower's last attention, copied in the precision of ``cast``."""
    if isinstance(tower, NativeImages):
        return _native(tower, cast)
    if isinstance(tower, ClipImages | SiglipImages):
        return _siglip_head(tower, cast) if layer == "head" else _hf(tower, cast)
    if isinstance(tower, DinoImages):
        return _dino(tower, cast)
    if isinstance(tower, TimmPooled | TimmToken):
        return _timm_head(tower, cast) if layer == "head" else _timm(tower, cast)
    raise UsageError(f"the last block of a {type(tower).__name__} cannot be taken apart")


def _in_block(tower: Any, block: Any, value: Callable[[Tensor], Tensor], heads: int) -> Attend:
    """Attention of a block among all its tokens; ``value`` ``[N, T, C]`` to ``[N, T, K]``."""

    def attend(tokens: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        queries, keys = tower.query_key(block, tokens, context)
        shares = attention(queries, keys, None)
        return shares, split_heads(value(tokens), heads)

    return attend


def _native(tower: NativeImages, cast: Callable[[Any], Any]) -> Anatomy:
    block, visual = cast(tower.blocks[-1]), tower._visual
    width = block.attn.embed_dim
    weight, bias = block.attn.in_proj_weight, block.attn.in_proj_bias

    def value(tokens: Tensor) -> Tensor:
        third = slice(2 * width, 3 * width)
        return torch.nn.functional.linear(block.ln_1(tokens), weight[third], bias[third])

    project = None if visual.proj is None else cast(_matrix(visual.proj))
    return Anatomy(
        attend=_in_block(tower, block, value, block.attn.num_heads),
        residual=True,
        out=block.attn.out_proj,
        scale1=_gamma(block.ls_1),
        norm2=block.ln_2,
        fc1=block.mlp.c_fc,
        act=block.mlp.gelu,
        fc2=block.mlp.c_proj,
        scale2=_gamma(block.ls_2),
        norm=cast(visual.ln_post),
        place="after",
        project=project,
    )


def _hf(tower: ClipImages | SiglipImages, cast: Callable[[Any], Any]) -> Anatomy:
    block, clip = cast(tower.blocks[-1]), isinstance(tower, ClipImages)

    def value(tokens: Tensor) -> Tensor:
        return block.self_attn.v_proj(block.layer_norm1(tokens))

    return Anatomy(
        attend=_in_block(tower, block, value, block.self_attn.num_heads),
        residual=True,
        out=block.self_attn.out_proj,
        scale1=None,
        norm2=block.layer_norm2,
        fc1=block.mlp.fc1,
        act=block.mlp.activation_fn,
        fc2=block.mlp.fc2,
        scale2=None,
        norm=cast(tower._vision.post_layernorm),
        place="after" if clip else "before",
        project=cast(tower._project) if isinstance(tower, ClipImages) else None,
    )


def _siglip_head(tower: Any, cast: Callable[[Any], Any]) -> Anatomy:
    head, norm = cast(tower._vision.head), cast(tower._vision.post_layernorm)
    pooling = head.attention
    heads, width = pooling.num_heads, pooling.embed_dim

    def part(tokens: Tensor, which: int) -> Tensor:
        rows = slice(which * width, (which + 1) * width)
        weight, bias = pooling.in_proj_weight[rows], pooling.in_proj_bias[rows]
        return split_heads(torch.nn.functional.linear(tokens, weight, bias), heads)

    def attend(tokens: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        final = norm(tokens)
        queries = part(head.probe, 0) * (width // heads) ** -0.5
        return attention(queries, part(final, 1), None), part(final, 2)

    return Anatomy(
        attend=attend,
        residual=False,
        out=pooling.out_proj,
        scale1=None,
        norm2=head.layernorm,
        fc1=head.mlp.fc1,
        act=head.mlp.activation_fn,
        fc2=head.mlp.fc2,
        scale2=None,
        norm=None,
        place=None,
        project=None,
    )


def _dino(tower: DinoImages, cast: Callable[[Any], Any]) -> Anatomy:
    block = cast(tower.blocks[-1])
    mlp = block.mlp
    if not (hasattr(mlp, "fc1") or type(mlp).__name__ == "DINOv3ViTMLP"):
        raise UsageError(
            f"the MLP of this DINO ({type(mlp).__name__}) is gated, so its derivative is not one "
            "number a hidden unit; use a model with a plain MLP (small, base or large)"
        )
    fc1, act, fc2 = (
        (mlp.fc1, mlp.activation_fn, mlp.fc2)
        if hasattr(mlp, "fc1")
        else (mlp.up_proj, mlp.act_fn, mlp.down_proj)
    )

    def value(tokens: Tensor) -> Tensor:
        return block.attention.v_proj(block.norm1(tokens))

    return Anatomy(
        attend=_in_block(tower, block, value, tower._heads),
        residual=True,
        out=block.attention.o_proj,
        scale1=block.layer_scale1.lambda1,
        norm2=block.norm2,
        fc1=fc1,
        act=act,
        fc2=fc2,
        scale2=block.layer_scale2.lambda1,
        norm=cast(tower._norm),
        place="after",
        project=None,
    )


def _timm(tower: TimmPooled | TimmToken, cast: Callable[[Any], Any]) -> Anatomy:
    block, token = cast(tower.blocks[-1]), isinstance(tower, TimmToken)
    _check_identity(block.attn.norm, "a norm behind its attention")

    def value(tokens: Tensor) -> Tensor:
        return block.attn.qkv(block.norm1(tokens)).chunk(3, -1)[2]

    trunk = tower._trunk
    if token:
        _check_identity(trunk.fc_norm, "a norm behind its pooling")
    return Anatomy(
        attend=_in_block(tower, block, value, block.attn.num_heads),
        residual=True,
        out=block.attn.proj,
        scale1=_gamma(block.ls1),
        norm2=block.norm2,
        fc1=block.mlp.fc1,
        act=block.mlp.act,
        fc2=block.mlp.fc2,
        scale2=_gamma(block.ls2),
        norm=cast(trunk.norm),
        place="after" if token else "before",
        project=_linear(cast, trunk.head, tower._after) if token else None,
    )


def _timm_head(tower: Any, cast: Callable[[Any], Any]) -> Anatomy:
    trunk = tower._trunk
    pooling, norm = cast(trunk.attn_pool), cast(trunk.norm)
    _check_identity(trunk.fc_norm, "a norm behind its pooling")
    heads = pooling.num_heads

    def attend(tokens: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        keys, values = pooling.kv(norm(tokens)).chunk(2, -1)
        queries = pooling.q_norm(split_heads(pooling.q(pooling.latent), heads))
        shares = attention(queries * pooling.scale, pooling.k_norm(split_heads(keys, heads)), None)
        return shares, split_heads(values, heads)

    return Anatomy(
        attend=attend,
        residual=False,
        out=pooling.proj,
        scale1=None,
        norm2=pooling.norm,
        fc1=pooling.mlp.fc1,
        act=pooling.mlp.act,
        fc2=pooling.mlp.fc2,
        scale2=None,
        norm=None,
        place=None,
        project=_linear(cast, trunk.head, tower._after),
    )


def _matrix(weight: Tensor) -> Any:
    """A projection kept as a bare matrix ``[C, D]`` as a layer."""
    layer = torch.nn.Linear(*weight.shape, bias=False)
    layer.weight = torch.nn.Parameter(weight.T.contiguous())
    return layer


def _linear(cast: Callable[[Any], Any], *modules: Any) -> Any:
    """The one linear layer among modules that otherwise change nothing, or None."""
    flat = [m for module in modules for m in module.modules() if not list(m.children())]
    linear = [m for m in flat if isinstance(m, torch.nn.Linear)]
    for module in flat:
        if module not in linear:
            _check_identity(module, f"a {type(module).__name__} behind its pooling")
    if len(linear) > 1:
        raise UsageError("the last block of a model with two projections cannot be taken apart")
    return cast(linear[0]) if linear else None


def _gamma(scale: Any) -> Tensor | None:
    return getattr(scale, "gamma", None)


def _check_identity(module: Any, what: str) -> None:
    kinds = (torch.nn.Identity, torch.nn.Dropout, torch.nn.Sequential)
    if not isinstance(module, kinds):
        raise UsageError(f"the last block of a model with {what} cannot be taken apart")


def _scaled(tokens: Tensor, scale: Tensor | None) -> Tensor:
    return tokens if scale is None else tokens * scale
