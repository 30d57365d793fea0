"""The modules of open_clip (its own transformers, and timm's ViT with attention pooling) as
towers."""

from __future__ import annotations

from typing import Any

import torch

from needlepoint.encoders.torch_tools import mask_for, pick, resample_positions, split_heads
from needlepoint.encoders.towers import ImageTower, Tensor


class _Blocks:
    """open_clip's ``ResidualAttentionBlock`` around ``torch.nn.MultiheadAttention``."""

    def query_key(self, block: Any, tokens: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        attention, inner = block.attn, block.ln_1(tokens)
        width = inner.shape[-1]
        packed = torch.nn.functional.linear(
            inner, attention.in_proj_weight[: 2 * width], attention.in_proj_bias[: 2 * width]
        )
        queries, keys = (split_heads(part, attention.num_heads) for part in packed.chunk(2, -1))
        return queries * queries.shape[-1] ** -0.5, keys


class NativeImages(_Blocks):
    """``open_clip.transformer.VisionTransformer`` that pools its class token.

    Cells are the value path of the last block, as for CLIP in ``hf_towers``.
    """

    prefix = 1

    def __init__(self, visual: Any) -> None:
        self._visual = visual
        self.blocks = visual.transformer.resblocks
        self.patch = int(visual.patch_size[0])

    def embed(self, pixels: Tensor) -> tuple[Tensor, Any]:
        visual = self._visual
        patches = visual.conv1(pixels)
        grid = (patches.shape[2], patches.shape[3])
        patches = patches.flatten(2).transpose(1, 2)
        first = visual.class_embedding.expand(patches.shape[0], 1, -1)
        positions = visual.positional_embedding
        placed = torch.cat((positions[:1], resample_positions(positions[1:], grid)))
        return visual.ln_pre(torch.cat((first, patches), dim=1) + placed), None

    def run(self, block: Any, tokens: Tensor, context: Any) -> Tensor:
        return block(tokens)

    def pool(self, tokens: Tensor) -> Tensor:
        return self.head(tokens[:, 0])

    def cells(self, tokens: Tensor, context: Any) -> Tensor:
        block = self.blocks[-1]
        attention, inner = block.attn, block.ln_1(tokens[:, self.prefix :])
        width = inner.shape[-1]
        values = torch.nn.functional.linear(
            inner, attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
        )
        return block.ls_1(attention.out_proj(values))

    def head(self, means: Tensor) -> Tensor:
        normal = self._visual.ln_post(means)
        return normal if self._visual.proj is None else normal @ self._visual.proj


class TimmImages:
    """timm's ``VisionTransformer`` with an attention-pooling head: SigLIP in open_clip.

    Cells are the value path of the pooling attention, as for SigLIP in ``hf_towers``.
    """

    prefix = 0

    def __init__(self, visual: Any) -> None:
        self._trunk, self._after = visual.trunk, visual.head
        self.blocks = self._trunk.blocks
        self.patch = int(self._trunk.patch_embed.patch_size[0])

    def embed(self, pixels: Tensor) -> tuple[Tensor, Any]:
        patches = self._trunk.patch_embed.proj(pixels)
        grid = (patches.shape[2], patches.shape[3])
        patches = self._trunk.patch_embed.norm(patches.flatten(2).transpose(1, 2))
        placed = patches + resample_positions(self._trunk.pos_embed[0], grid)
        return self._trunk.norm_pre(placed), None

    def run(self, block: Any, tokens: Tensor, context: Any) -> Tensor:
        return block(tokens)

    def query_key(self, block: Any, tokens: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        attention = block.attn
        queries, keys, _ = attention.qkv(block.norm1(tokens)).chunk(3, -1)
        queries = attention.q_norm(split_heads(queries, attention.num_heads))
        keys = attention.k_norm(split_heads(keys, attention.num_heads))
        return queries * attention.scale, keys

    def pool(self, tokens: Tensor) -> Tensor:
        return self._after(self._trunk.forward_head(self._trunk.norm(tokens)))

    def cells(self, tokens: Tensor, context: Any) -> Tensor:
        final = self._trunk.norm(self.run(self.blocks[-1], tokens, context))
        pooling = self._trunk.attn_pool
        return pooling.proj(pooling.kv(final).chunk(2, -1)[1])

    def head(self, means: Tensor) -> Tensor:
        pooling = self._trunk.attn_pool
        pooled = means + pooling.mlp(pooling.norm(means))
        return self._after(self._trunk.head(self._trunk.fc_norm(pooled)))


class NativeTexts(_Blocks):
    """open_clip's own text transformer, as part of ``CLIP`` or as ``TextTransformer``."""

    def __init__(self, model: Any) -> None:
        tower = getattr(model, "text", model)
        self._tower = tower
        self.blocks = tower.transformer.resblocks
        self.mask = tower.attn_mask
        self._how = getattr(tower, "pool_type", None) or tower.text_pool_type
        self._end = getattr(tower, "eos_id", None) or tower.text_eos_id

    def words(self, ids: Tensor) -> Tensor:
        return self._tower.token_embedding(ids)

    def start(self, words: Tensor) -> Tensor:
        return words + self._tower.positional_embedding[: words.shape[1]]

    def run(self, block: Any, tokens: Tensor) -> Tensor:
        return block(tokens, attn_mask=mask_for(self.mask, tokens))

    def where(self, ids: Tensor) -> Tensor:
        if self._how == "argmax":
            return ids.argmax(-1)
        if self._how == "eos":
            return (ids == self._end).int().argmax(-1)
        return torch.full_like(ids[:, 0], 0 if self._how == "first" else ids.shape[1] - 1)

    def pool(self, tokens: Tensor, where: Tensor) -> Tensor:
        ends = pick(tokens, where)
        final, project = self._tower.ln_final(ends), self._tower.text_projection
        if project is None:
            return final
        return project(final) if isinstance(project, torch.nn.Linear) else final @ project


def image_tower(visual: Any) -> ImageTower | None:
    """The tower of an open_clip image model, or None when it is not a plain ViT of a known kind."""
    trunk = getattr(visual, "trunk", None)
    if trunk is None:
        blocks = getattr(getattr(visual, "transformer", None), "resblocks", ())
        plain = (
            len(blocks) > 0
            and all(
                isinstance(getattr(b, "attn", None), torch.nn.MultiheadAttention) for b in blocks
            )
            and getattr(visual, "attn_pool", None) is None
            and getattr(visual, "pool_type", "") == "tok"
        )
        return NativeImages(visual) if plain else None
    pooling = getattr(trunk, "attn_pool", None)
    plain = (
        pooling is not None
        and getattr(pooling, "pool", "") == "token"
        and getattr(pooling, "mlp", None) is not None
        and getattr(pooling, "pos_embed", None) is None
        and getattr(trunk, "num_prefix_tokens", -1) == 0
        and getattr(trunk, "pos_embed", None) is not None
        and all(hasattr(block.attn, "qkv") for block in trunk.blocks)
    )
    return TimmImages(visual) if plain else None


def text_tower(model: Any) -> NativeTexts | None:
    """The tower of an open_clip text model, or None when it is of another kind."""
    tower = getattr(model, "text", model)
    blocks = getattr(getattr(tower, "transformer", None), "resblocks", ())
    plain = (
        len(blocks) > 0
        and _all_plain(blocks)
        and getattr(tower, "cls_emb", None) is None
        and not getattr(tower, "use_pad_mask", False)
    )
    return NativeTexts(model) if plain else None


def _all_plain(blocks: Any) -> bool:
    return all(isinstance(getattr(b, "attn", None), torch.nn.MultiheadAttention) for b in blocks)
