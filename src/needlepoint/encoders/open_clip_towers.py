"""open_clip's own transformers as towers; timm's trunks are in ``timm_towers``."""

from __future__ import annotations

from typing import Any

import torch

from needlepoint.encoders.stem import StemConv
from needlepoint.encoders.timm_towers import timm_tower
from needlepoint.encoders.torch_tools import (
    class_row,
    end_place,
    follow_attention,
    mask_for,
    resample_positions,
    sharpness_of,
    split_heads,
)
from needlepoint.encoders.towers import JointTower, Tensor
from needlepoint.errors import UsageError


class _Blocks:
    """open_clip's ``ResidualAttentionBlock`` around ``torch.nn.MultiheadAttention``."""

    def query_key(
        self, block: Any, tokens: Tensor, context: Any = None, asking: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        inner = block.ln_1(tokens)
        asked = inner if asking is None else block.ln_1(asking)
        queries, keys = self._part(block, asked, 0), self._part(block, inner, 1)
        queries, keys = (split_heads(part, block.attn.num_heads) for part in (queries, keys))
        return queries * queries.shape[-1] ** -0.5, keys

    def _part(self, block: Any, inner: Tensor, part: int) -> Tensor:
        """Queries (0), keys (1) or values (2) ``[N, T, C]`` of tokens after the first norm."""
        attention, width = block.attn, inner.shape[-1]
        rows = slice(part * width, (part + 1) * width)
        return torch.nn.functional.linear(
            inner, attention.in_proj_weight[rows], attention.in_proj_bias[rows]
        )


class NativeImages(_Blocks):
    """``open_clip.transformer.VisionTransformer`` that pools its class token.

    Cells are the value path of the last block, as for CLIP in ``hf_towers``.
    """

    prefix = 1

    def __init__(self, visual: Any, stride: int = 0) -> None:
        self._visual = visual
        self.blocks = visual.transformer.resblocks
        self.patch = int(visual.patch_size[0])
        self.width = int(visual.class_embedding.shape[-1])
        self._stride = stride or self.patch

    def strided(self, stride: int) -> NativeImages:
        """The same weights on patches ``stride`` pixels apart, which overlap below ``patch``."""
        if stride != self.patch and isinstance(self._visual.conv1, StemConv):
            raise UsageError(
                f"stride: this model's patches come from a network of stride {self.patch}; "
                f"received {stride}. Ask for a larger input instead"
            )
        return NativeImages(self._visual, stride)

    def embed(self, pixels: Tensor) -> tuple[Tensor, Any]:
        conv = self._visual.conv1
        if self._stride == self.patch:
            patches = conv(pixels)
        else:
            patches = torch.nn.functional.conv2d(pixels, conv.weight, conv.bias, self._stride)
        grid = (patches.shape[2], patches.shape[3])
        return self.place(patches.flatten(2).transpose(1, 2), grid)

    def place(self, patches: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Any]:
        visual = self._visual
        first = visual.class_embedding.expand(patches.shape[0], 1, -1)
        positions = visual.positional_embedding
        placed = torch.cat((positions[:1], resample_positions(positions[1:], grid)))
        return visual.ln_pre(torch.cat((first, patches), dim=1) + placed), None

    def run(self, block: Any, tokens: Tensor, context: Any) -> Tensor:
        return block(tokens)

    def pool(self, tokens: Tensor) -> Tensor:
        return self.head(tokens[:, 0])

    def pooling(self, before: Tensor, after: Tensor, context: Any) -> Tensor:
        return class_row(self, before, context)

    def final(self, tokens: Tensor) -> Tensor:
        return self._visual.ln_post(tokens[:, self.prefix :])

    def joint(self, final: Tensor) -> Tensor:
        return final if self._visual.proj is None else final @ self._visual.proj

    def values(self, tokens: Tensor, context: Any) -> Tensor:
        block = self.blocks[-1]
        return self._part(block, block.ln_1(tokens[:, self.prefix :]), 2)

    def merge(self, values: Tensor) -> Tensor:
        block = self.blocks[-1]
        return block.ls_1(block.attn.out_proj(values))

    def cells(self, tokens: Tensor, context: Any) -> Tensor:
        return self.merge(self.values(tokens, context))

    def head(self, means: Tensor) -> Tensor:
        return self.joint(self._visual.ln_post(means))


class NativeTexts(_Blocks):
    """open_clip's own text transformer, as part of ``CLIP`` or as ``TextTransformer``."""

    def __init__(self, model: Any) -> None:
        tower = getattr(model, "text", model)
        self._tower = tower
        self.blocks = tower.transformer.resblocks
        self.mask = tower.attn_mask
        self._how = getattr(tower, "pool_type", None) or tower.text_pool_type
        self._end = getattr(tower, "eos_id", None) or tower.text_eos_id
        self.sharpness = sharpness_of(model)

    def words(self, ids: Tensor) -> Tensor:
        return self._tower.token_embedding(ids)

    def start(self, words: Tensor) -> Tensor:
        return words + self._tower.positional_embedding[: words.shape[1]]

    def run(self, block: Any, tokens: Tensor) -> Tensor:
        return block(tokens, attn_mask=mask_for(self.mask, tokens))

    def memory(self, block: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
        inner, heads = block.ln_1(tokens), block.attn.num_heads
        keys, values = (split_heads(self._part(block, inner, n), heads) for n in (1, 2))
        return keys, values

    def follow(self, block: Any, memory: tuple[Tensor, Tensor], tokens: Tensor) -> Tensor:
        attend, inner = block.attn, block.ln_1(tokens)
        parts = torch.nn.functional.linear(inner, attend.in_proj_weight, attend.in_proj_bias)
        queries, keys, values = (split_heads(p, attend.num_heads) for p in parts.chunk(3, dim=-1))
        seen = follow_attention(memory, queries, keys, values, self.mask)
        tokens = tokens + block.ls_1(attend.out_proj(seen))
        return tokens + block.ls_2(block.mlp(block.ln_2(tokens)))

    def where(self, ids: Tensor) -> Tensor:
        if self._how == "argmax":  # the end token is the highest id of CLIP's vocabulary
            return end_place(ids, self._tower.token_embedding.num_embeddings - 1)
        if self._how == "eos":
            return end_place(ids, self._end)
        return torch.full_like(ids[:, 0], 0 if self._how == "first" else ids.shape[1] - 1)

    def final(self, tokens: Tensor) -> Tensor:
        return self._tower.ln_final(tokens)

    def joint(self, final: Tensor) -> Tensor:
        project = self._tower.text_projection
        if project is None:
            return final
        return project(final) if isinstance(project, torch.nn.Linear) else final @ project


def image_tower(visual: Any) -> JointTower | None:
    """The tower of an open_clip image model, or None when it is not a plain ViT of a known kind."""
    if getattr(visual, "trunk", None) is not None:
        return timm_tower(visual.trunk, visual.head)
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", ())
    plain = (
        len(blocks) > 0
        and _all_plain(blocks)
        and getattr(visual, "attn_pool", None) is None
        and getattr(visual, "pool_type", "") == "tok"
    )
    return NativeImages(visual) if plain else None


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
