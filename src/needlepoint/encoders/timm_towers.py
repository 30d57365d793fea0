"""timm's ``VisionTransformer`` as a tower: with an attention-pooling head, or a class token."""

from __future__ import annotations

from typing import Any

import torch

from needlepoint.encoders.torch_tools import (
    class_row,
    one_row,
    resample_positions,
    split_heads,
)
from needlepoint.encoders.towers import JointTower, Tensor


class _Timm:
    """What both kinds share: the stem, the blocks, and what follows the trunk (``after``)."""

    def __init__(self, trunk: Any, after: Any) -> None:
        self._trunk, self._after = trunk, after
        self.blocks = trunk.blocks
        self.prefix = int(trunk.num_prefix_tokens)
        self.patch = int(trunk.patch_embed.patch_size[0])
        self.width = int(trunk.embed_dim)

    def embed(self, pixels: Tensor) -> tuple[Tensor, Any]:
        stem = self._trunk.patch_embed
        patches = stem.proj(pixels)
        grid = (patches.shape[2], patches.shape[3])
        return self.place(stem.norm(patches.flatten(2).transpose(1, 2)), grid)

    def place(self, patches: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Any]:
        """As timm's ``_pos_embed``: prefix tokens get a position unless ``no_embed_class``."""
        trunk = self._trunk
        firsts = [
            one.expand(patches.shape[0], -1, -1)
            for one in (trunk.cls_token, trunk.reg_token)
            if one is not None
        ]
        placed = 0 if trunk.no_embed_class else self.prefix
        ahead, positions = trunk.pos_embed[0, :placed], trunk.pos_embed[0, placed:]
        tokens = torch.cat((*firsts, patches + resample_positions(positions, grid)), dim=1)
        if placed:
            tokens = torch.cat((tokens[:, :placed] + ahead, tokens[:, placed:]), dim=1)
        return trunk.norm_pre(tokens), None

    def run(self, block: Any, tokens: Tensor, context: Any) -> Tensor:
        return block(tokens)

    def query_key(
        self, block: Any, tokens: Tensor, context: Any, asking: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        attention = block.attn
        queries, keys, _ = attention.qkv(block.norm1(tokens)).chunk(3, -1)
        if asking is not None:
            queries = attention.qkv(block.norm1(asking)).chunk(3, -1)[0]
        queries = attention.q_norm(split_heads(queries, attention.num_heads))
        keys = attention.k_norm(split_heads(keys, attention.num_heads))
        return queries * attention.scale, keys

    def pool(self, tokens: Tensor) -> Tensor:
        return self._after(self._trunk.forward_head(self._trunk.norm(tokens)))

    def final(self, tokens: Tensor) -> Tensor:
        return self._trunk.norm(tokens)[:, self.prefix :]


class TimmPooled(_Timm):
    """An attention-pooling head and no class token: SigLIP in open_clip.

    Cells are the value path of the pooling attention, as for SigLIP in ``hf_towers``.
    """

    def pooling(self, before: Tensor, after: Tensor, context: Any) -> Tensor:
        pooling = self._trunk.attn_pool
        queries = pooling.q_norm(split_heads(pooling.q(pooling.latent), pooling.num_heads))
        keys = pooling.kv(self.final(after)).chunk(2, -1)[0]
        keys = pooling.k_norm(split_heads(keys, pooling.num_heads))
        return one_row(queries * pooling.scale, keys)

    def joint(self, final: Tensor) -> Tensor:
        return self.head(self.merge(self._trunk.attn_pool.kv(final).chunk(2, -1)[1]))

    def values(self, tokens: Tensor, context: Any) -> Tensor:
        final = self.final(self.run(self.blocks[-1], tokens, context))
        return self._trunk.attn_pool.kv(final).chunk(2, -1)[1]

    def merge(self, values: Tensor) -> Tensor:
        return self._trunk.attn_pool.proj(values)

    def cells(self, tokens: Tensor, context: Any) -> Tensor:
        return self.merge(self.values(tokens, context))

    def head(self, means: Tensor) -> Tensor:
        pooling = self._trunk.attn_pool
        pooled = means + pooling.mlp(pooling.norm(means))
        return self._after(self._trunk.head(self._trunk.fc_norm(pooled)))


class TimmToken(_Timm):
    """A class token that makes the vector, perhaps registers: timm's CLIP in open_clip.

    Cells are the value path of the last block, as for CLIP in ``hf_towers``.
    """

    def pooling(self, before: Tensor, after: Tensor, context: Any) -> Tensor:
        return class_row(self, before, context)

    def joint(self, final: Tensor) -> Tensor:
        return self._after(self._trunk.head(self._trunk.fc_norm(final)))

    def values(self, tokens: Tensor, context: Any) -> Tensor:
        block = self.blocks[-1]
        return block.attn.qkv(block.norm1(tokens[:, self.prefix :])).chunk(3, -1)[2]

    def merge(self, values: Tensor) -> Tensor:
        block = self.blocks[-1]
        return block.ls1(block.attn.proj(block.attn.norm(values)))

    def cells(self, tokens: Tensor, context: Any) -> Tensor:
        return self.merge(self.values(tokens, context))

    def head(self, means: Tensor) -> Tensor:
        return self.joint(self._trunk.norm(means))


def timm_tower(trunk: Any, after: Any) -> JointTower | None:
    """The tower of a timm trunk, or None when it is not a plain ViT of a known kind.

    Args:
        trunk: the timm model.
        after: what follows it (open_clip's projection; may be the identity).
    """
    blocks = getattr(trunk, "blocks", ())
    stem = getattr(trunk, "patch_embed", None)
    plain = (
        len(blocks) > 0
        and all(type(block).__name__ == "Block" and _plain(block) for block in blocks)
        and isinstance(getattr(stem, "proj", None), torch.nn.Conv2d)
        and getattr(trunk, "pos_embed", None) is not None
        and getattr(trunk, "rope", None) is None
    )
    if not plain:
        return None
    pooling = getattr(trunk, "attn_pool", None)
    if pooling is None:
        return TimmToken(trunk, after) if trunk.global_pool == "token" else None
    pools = (
        trunk.num_prefix_tokens == 0
        and getattr(pooling, "pool", "") == "token"
        and getattr(pooling, "mlp", None) is not None
        and getattr(pooling, "pos_embed", None) is None
    )
    return TimmPooled(trunk, after) if pools else None


def _plain(block: Any) -> bool:
    """Whether a block's attention is timm's own: fused qkv, no rotation, no gate."""
    attention = getattr(block, "attn", None)
    return type(attention).__name__ == "Attention" and getattr(attention, "gate", None) is None
