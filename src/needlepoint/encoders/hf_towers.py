"""The modules of transformers' CLIP, SigLIP, DINOv2 and DINOv3 as towers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from needlepoint.encoders.torch_tools import (
    causal_mask,
    class_row,
    end_place,
    follow_attention,
    mask_for,
    one_row,
    sharpness_of,
    split_heads,
)
from needlepoint.encoders.towers import Tensor


class _Layers:
    """Blocks whose attention has ``q_proj``, ``k_proj``, ``v_proj`` and an output projection."""

    def __init__(self, blocks: Sequence[Any], heads: int) -> None:
        self.blocks = blocks
        self._heads = heads

    def _split(self, attention: Any, inner: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        queries = split_heads(attention.q_proj(asked), self._heads)
        keys = split_heads(attention.k_proj(inner), self._heads)
        return queries * queries.shape[-1] ** -0.5, keys


class _ClipLayers(_Layers):
    """Layers of CLIP and SigLIP, image or text."""

    def _inner(self, block: Any, tokens: Tensor) -> Tensor:
        return block.layer_norm1(tokens)

    def query_key(
        self, block: Any, tokens: Tensor, context: Any = None, asking: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        inner = self._inner(block, tokens)
        asked = inner if asking is None else self._inner(block, asking)
        return self._split(block.self_attn, inner, asked)


class _ClipPatches(_ClipLayers):
    """What the image models of CLIP and SigLIP share."""

    patch: int
    _vision: Any

    def _patches(self, pixels: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Patch embeddings ``[N, P, C]`` without positions, and their rows and columns."""
        made = self._vision.embeddings.patch_embedding(pixels)
        return made.flatten(2).transpose(1, 2), (made.shape[2], made.shape[3])

    def _placed(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens with their positions, interpolated where the grid is not that of training."""
        height, width = (side * self.patch for side in grid)
        embeddings = self._vision.embeddings
        return tokens + embeddings.interpolate_pos_encoding(tokens, height, width)


class ClipImages(_ClipPatches):
    """``CLIPVisionModel`` with its projection: one class token in front.

    Cells are the value path of the last block: value and output projection of its attention for
    each patch alone, without mixing, residual or MLP (Zhou et al., ECCV 2022, section 3.1; the
    residual left out as in Lan et al., ECCV 2024). The head is the final norm and projection.
    """

    def __init__(self, model: Any) -> None:
        vision, config = model.vision_model, model.config.vision_config
        super().__init__(vision.encoder.layers, config.num_attention_heads)
        self.prefix, self.patch, self.width = 1, int(config.patch_size), int(config.hidden_size)
        self._vision, self._project = vision, model.visual_projection

    def embed(self, pixels: Tensor) -> tuple[Tensor, Any]:
        return self.place(*self._patches(pixels))

    def place(self, patches: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Any]:
        first = self._vision.embeddings.class_embedding.expand(patches.shape[0], 1, -1)
        placed = self._placed(torch.cat((first, patches), dim=1), grid)
        return self._vision.pre_layrnorm(placed), None

    def run(self, block: Any, tokens: Tensor, context: Any) -> Tensor:
        return block(tokens, None)

    def pool(self, tokens: Tensor) -> Tensor:
        return self.head(tokens[:, 0])

    def pooling(self, before: Tensor, after: Tensor, context: Any) -> Tensor:
        return class_row(self, before, context)

    def final(self, tokens: Tensor) -> Tensor:
        return self._vision.post_layernorm(tokens[:, self.prefix :])

    def joint(self, final: Tensor) -> Tensor:
        return self._project(final)

    def values(self, tokens: Tensor, context: Any) -> Tensor:
        block = self.blocks[-1]
        return block.self_attn.v_proj(self._inner(block, tokens[:, self.prefix :]))

    def merge(self, values: Tensor) -> Tensor:
        return self.blocks[-1].self_attn.out_proj(values)

    def cells(self, tokens: Tensor, context: Any) -> Tensor:
        return self.merge(self.values(tokens, context))

    def head(self, means: Tensor) -> Tensor:
        return self.joint(self._vision.post_layernorm(means))


class SiglipImages(_ClipPatches):
    """``SiglipVisionModel`` with its attention-pooling head: no class token.

    The head lets a learned probe attend to all final tokens. A cell is what the probe would get
    from one token alone: value and output projection of the pooling attention; the mean over a
    window stands for the probe paying equal attention within it. The head adds the pooling MLP.
    """

    def __init__(self, model: Any) -> None:
        vision, config = model.vision_model, model.config.vision_config
        super().__init__(vision.encoder.layers, config.num_attention_heads)
        self.prefix, self.patch, self.width = 0, int(config.patch_size), int(config.hidden_size)
        self._vision = vision

    def embed(self, pixels: Tensor) -> tuple[Tensor, Any]:
        return self.place(*self._patches(pixels))

    def place(self, patches: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Any]:
        return self._placed(patches, grid), None

    def run(self, block: Any, tokens: Tensor, context: Any) -> Tensor:
        return block(tokens, None)

    def pool(self, tokens: Tensor) -> Tensor:
        return self._vision.head(self._vision.post_layernorm(tokens))

    def pooling(self, before: Tensor, after: Tensor, context: Any) -> Tensor:
        head = self._vision.head
        queries = split_heads(self._part(head.probe, 0), head.attention.num_heads)
        keys = split_heads(self._part(self.final(after), 1), head.attention.num_heads)
        return one_row(queries * queries.shape[-1] ** -0.5, keys)

    def final(self, tokens: Tensor) -> Tensor:
        return self._vision.post_layernorm(tokens)

    def joint(self, final: Tensor) -> Tensor:
        return self.head(self.merge(self._part(final, 2)))

    def values(self, tokens: Tensor, context: Any) -> Tensor:
        return self._part(self.final(self.run(self.blocks[-1], tokens, context)), 2)

    def merge(self, values: Tensor) -> Tensor:
        return self._vision.head.attention.out_proj(values)

    def _part(self, tokens: Tensor, part: int) -> Tensor:
        """Queries (0), keys (1) or values (2) of the pooling attention, heads side by side."""
        pooling, width = self._vision.head.attention, tokens.shape[-1]
        rows = slice(part * width, (part + 1) * width)
        return torch.nn.functional.linear(
            tokens, pooling.in_proj_weight[rows], pooling.in_proj_bias[rows]
        )

    def cells(self, tokens: Tensor, context: Any) -> Tensor:
        return self.merge(self.values(tokens, context))

    def head(self, means: Tensor) -> Tensor:
        return means + self._vision.head.mlp(self._vision.head.layernorm(means))


class DinoImages(_Layers):
    """DINOv2 (with or without registers) and DINOv3 ViT: class token, then registers.

    The vector is the normalised class token. Cells are the final normalised patch tokens, and
    the head is the identity: no value path leads to the vector, so values are cells too.
    """

    def __init__(self, model: Any) -> None:
        config = model.config
        self._rope = getattr(model, "rope_embeddings", None)
        layers = model.encoder.layer if self._rope is None else model.model.layer
        super().__init__(layers, config.num_attention_heads)
        self.prefix = 1 + int(getattr(config, "num_register_tokens", 0))
        self.patch = int(config.patch_size)
        self._embeddings = model.embeddings
        self._norm = model.layernorm if self._rope is None else model.norm

    def embed(self, pixels: Tensor) -> tuple[Tensor, Any]:
        rope = None if self._rope is None else self._rope(pixels)
        return self._embeddings(pixels), rope

    def run(self, block: Any, tokens: Tensor, context: Any) -> Tensor:
        return block(tokens) if context is None else block(tokens, position_embeddings=context)

    def query_key(
        self, block: Any, tokens: Tensor, context: Any, asking: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        inner = block.norm1(tokens)
        asked = inner if asking is None else block.norm1(asking)
        queries, keys = self._split(block.attention, inner, asked)
        if context is None:
            return queries, keys
        turned = self._turn(queries, context) if asking is None else queries
        return turned, self._turn(keys, context)

    def _turn(self, heads: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
        """Rotary position embedding of the patches; class and register tokens have none."""
        cos, sin = rope
        fixed, moved = heads[:, :, : self.prefix], heads[:, :, self.prefix :]
        one, two = moved.chunk(2, dim=-1)
        return torch.cat((fixed, moved * cos + torch.cat((-two, one), dim=-1) * sin), dim=2)

    def pool(self, tokens: Tensor) -> Tensor:
        return self._norm(tokens)[:, 0]

    def pooling(self, before: Tensor, after: Tensor, context: Any) -> Tensor:
        return class_row(self, before, context)

    def final(self, tokens: Tensor) -> Tensor:
        return self._norm(tokens)[:, self.prefix :]

    def joint(self, final: Tensor) -> Tensor:
        return final

    def values(self, tokens: Tensor, context: Any) -> Tensor:
        return self.final(self.run(self.blocks[-1], tokens, context))

    def merge(self, values: Tensor) -> Tensor:
        return values

    def cells(self, tokens: Tensor, context: Any) -> Tensor:
        return self.values(tokens, context)

    def head(self, means: Tensor) -> Tensor:
        return means


class _Texts(_ClipLayers):
    """What the text models of CLIP and SigLIP share."""

    mask: Tensor | None = None

    def __init__(self, model: Any) -> None:
        self._reader = model.text_model
        super().__init__(self._reader.encoder.layers, model.config.text_config.num_attention_heads)
        self.sharpness = sharpness_of(model)

    def words(self, ids: Tensor) -> Tensor:
        return self._reader.embeddings.token_embedding(ids)

    def start(self, words: Tensor) -> Tensor:
        return self._reader.embeddings(inputs_embeds=words)

    def run(self, block: Any, tokens: Tensor) -> Tensor:
        mask = mask_for(self.mask, tokens)
        return block(tokens, None if mask is None else mask[None, None])

    def memory(self, block: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
        inner, attend = self._inner(block, tokens), block.self_attn
        keys, values = (
            split_heads(part(inner), self._heads) for part in (attend.k_proj, attend.v_proj)
        )
        return keys, values

    def follow(self, block: Any, memory: tuple[Tensor, Tensor], tokens: Tensor) -> Tensor:
        attend = block.self_attn
        queries = split_heads(attend.q_proj(self._inner(block, tokens)), self._heads)
        seen = follow_attention(memory, queries, *self.memory(block, tokens), self.mask)
        tokens = tokens + attend.out_proj(seen)
        return tokens + block.mlp(block.layer_norm2(tokens))

    def final(self, tokens: Tensor) -> Tensor:
        return self._reader.final_layer_norm(tokens)


class ClipTexts(_Texts):
    """Causal; the end token stands for the text."""

    def __init__(self, model: Any, device: str) -> None:
        super().__init__(model)
        config = model.config.text_config
        self.mask = causal_mask(int(config.max_position_embeddings), device)
        self._end, self._project = int(config.eos_token_id), model.text_projection

    def where(self, ids: Tensor) -> Tensor:
        # configs older than transformers 4.31 state 2 where the end token was the highest id
        return ids.argmax(-1) if self._end == 2 else end_place(ids, self._end)

    def joint(self, final: Tensor) -> Tensor:
        return self._project(final)


class SiglipTexts(_Texts):
    """Every token sees every token; the last position stands for the text, padding or not."""

    def where(self, ids: Tensor) -> Tensor:
        return torch.full_like(ids[:, 0], ids.shape[1] - 1)

    def joint(self, final: Tensor) -> Tensor:
        return self._reader.head(final)
