"""MaO written out slowly, with autograd, on the modules of the libraries themselves."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch.nn import functional as F

FAMILIES = {
    "clip": ("open_clip_folder", {"quick_gelu": True}, "block"),
    "hf-clip": ("hf_clip", {}, "block"),
    "siglip-mean": ("hf_siglip", {}, "block"),
    "siglip-head": ("hf_siglip", {}, "head"),
    "dinov2": ("hf_dino", {"kind": "dinov2"}, "block"),
    "dinov2-registers": ("hf_dino", {"kind": "dinov2_with_registers"}, "block"),
    "dinov3": ("hf_dino", {"kind": "dinov3_vit"}, "block"),
    "timm-registers": ("open_clip_folder", {"timm": 4}, "block"),
    "timm-siglip-mean": ("open_clip_folder", {"siglip": True}, "block"),
    "timm-siglip-head": ("open_clip_folder", {"siglip": True}, "head"),
}


def address(maker, folder):
    return f"open_clip:local-dir:{folder}" if maker == "open_clip_folder" else f"hf:{folder}"


class Slow:
    """Attention of N crops as a leaf, and the feature that follows from it."""

    def __init__(self, family, encoder, pixels, dtype):
        self.family, self.prefix = family, encoder.tower.prefix
        tower, seen = encoder.tower, {}
        with torch.no_grad():
            tokens, context = tower.embed(pixels)
            for block in tower.blocks:
                seen["before"], tokens = tokens, tower.run(block, tokens, context)
            seen["after"], self.base = tokens, tower.pool(tokens).to(dtype)
        self.rope = None if context is None else [part.to(dtype) for part in context]
        with torch.enable_grad():
            self._build(tower, seen, dtype)

    def library(self, encoder, pixels):
        """Output of the last block and the vector, by the library's own forward."""
        block, seen = encoder.tower.blocks[-1], {}
        if self.family.startswith("dino"):
            parts = self.dino.model if self.family == "dinov3" else self.dino.encoder
            block = parts.layer[-1]
        hook = block.register_forward_hook(lambda module, args, out: seen.update(after=out))
        with torch.no_grad():
            base = self._whole(encoder, pixels)
        hook.remove()
        return seen["after"], base

    dino = None
    """The library's own DINO, whose forward is hooked in place of the tower's blocks."""

    def _whole(self, encoder, pixels):
        """The encoder's vector by the library's own forward."""
        tower = encoder.tower
        if self.family.startswith("timm"):
            return tower._after(tower._trunk(pixels))
        if self.family == "clip":
            return tower._visual(pixels)
        if self.family == "hf-clip":
            return tower._project(tower._vision(pixel_values=pixels).pooler_output)
        if self.family.startswith("siglip"):
            return tower._vision(pixel_values=pixels).pooler_output
        return self.dino(pixel_values=pixels).pooler_output

    def _build(self, tower, seen, dtype):
        def own(module):
            return copy.deepcopy(module).to(dtype).requires_grad_(False)

        x = seen["before"].to(dtype)
        block = own(tower.blocks[-1])
        if self.family.endswith("head"):
            self._head(tower, seen["after"].to(dtype), own)
            return
        if self.family == "clip":
            q, k, v = F.linear(
                block.ln_1(x), block.attn.in_proj_weight, block.attn.in_proj_bias
            ).chunk(3, -1)
            heads, out = block.attn.num_heads, block.attn.out_proj
        elif self.family.startswith("timm"):
            q, k, v = block.attn.qkv(block.norm1(x)).chunk(3, -1)
            heads, out = block.attn.num_heads, block.attn.proj
        else:
            inner = (block.layer_norm1 if hasattr(block, "layer_norm1") else block.norm1)(x)
            attn = block.self_attn if hasattr(block, "self_attn") else block.attention
            q, k, v = attn.q_proj(inner), attn.k_proj(inner), attn.v_proj(inner)
            heads = 4
            out = attn.out_proj if hasattr(attn, "out_proj") else attn.o_proj
        n, t, c = x.shape
        q, k, v = (part.view(n, t, heads, c // heads).permute(0, 2, 1, 3) for part in (q, k, v))
        if self.family == "timm-registers":
            q, k = block.attn.q_norm(q), block.attn.k_norm(k)
        if self.rope is not None:
            q, k = (self._turn(part) for part in (q, k))
        self.shares = torch.softmax(q @ k.transpose(-1, -2) / (c // heads) ** 0.5, -1)
        self.shares.requires_grad_()
        y = out((self.shares @ v).permute(0, 2, 1, 3).reshape(n, t, c))
        if self.family == "clip":
            x = x + y
            x = x + block.mlp(block.ln_2(x))
        elif self.family.startswith("timm"):
            x = x + block.ls1(y)
            x = x + block.ls2(block.mlp(block.norm2(x)))
        elif hasattr(block, "layer_norm2"):
            x = x + y
            x = x + block.mlp(block.layer_norm2(x))
        else:
            x = x + block.layer_scale1(y)
            x = x + block.layer_scale2(block.mlp(block.norm2(x)))
        self.output = x
        self.feature = F.normalize(self._pooled(tower, x, own), dim=-1)

    def _turn(self, part):
        cos, sin = self.rope
        head, tail = part[:, :, : self.prefix], part[:, :, self.prefix :]
        half = tail.shape[-1] // 2
        turned = torch.cat([-tail[..., half:], tail[..., :half]], -1)
        return torch.cat([head, tail * cos + turned * sin], 2)

    def _pooled(self, tower, x, own):
        if self.family == "clip":
            visual = tower._visual
            return own(visual.ln_post)(x.mean(1)) @ visual.proj.detach().to(x.dtype)
        if self.family == "hf-clip":
            return own(tower._project)(own(tower._vision.post_layernorm)(x.mean(1)))
        if self.family == "siglip-mean":
            return own(tower._vision.post_layernorm)(x).mean(1)
        if self.family == "timm-siglip-mean":
            return own(tower._trunk.norm)(x).mean(1)
        if self.family == "timm-registers":
            return own(tower._after)(own(tower._trunk.head)(own(tower._trunk.norm)(x.mean(1))))
        return own(tower._norm)(x.mean(1))

    def _head(self, tower, after, own):
        """The pooling head with its attention as the leaf."""
        self.output = after
        if self.family == "siglip-head":
            head, tokens = own(tower._vision.head), own(tower._vision.post_layernorm)(after)
            parts = zip(
                head.attention.in_proj_weight.chunk(3),
                head.attention.in_proj_bias.chunk(3),
                strict=True,
            )
            q, k, v = (
                F.linear(t, w, b)
                for t, (w, b) in zip((head.probe, tokens, tokens), parts, strict=True)
            )
            heads, out, norm, mlp = 4, head.attention.out_proj, head.layernorm, head.mlp
        else:
            pool, tokens = own(tower._trunk.attn_pool), own(tower._trunk.norm)(after)
            q, (k, v) = pool.q(pool.latent), pool.kv(tokens).chunk(2, -1)
            heads, out, norm, mlp = pool.num_heads, pool.proj, pool.norm, pool.mlp
        n, c = len(tokens), tokens.shape[2]
        q = q.expand(n, 1, c)
        q, k, v = (p.reshape(n, -1, heads, c // heads).permute(0, 2, 1, 3) for p in (q, k, v))
        self.shares = torch.softmax(q @ k.transpose(-1, -2) / (c // heads) ** 0.5, -1)
        self.shares.requires_grad_()
        y = out((self.shares @ v).permute(0, 2, 1, 3).reshape(n, 1, c))
        y = (y + mlp(norm(y)))[:, 0]
        self.feature = y  # not normalised: its derivative would vanish at the start

    def sensitivity(self, tokens):
        """ds/dA of all crops, for u [N, D]; a graph is kept for the next derivative."""
        score = (tokens * self.feature).sum()
        return torch.autograd.grad(score, self.shares, create_graph=True)[0][..., self.prefix :]

    def maps(self, tokens):
        mean = self.sensitivity(tokens).relu().mean(dim=(1, 2))
        side = round(mean.shape[-1] ** 0.5)
        return mean.view(-1, 1, side, side)

    def large(self, tokens, size):
        return F.interpolate(self.maps(tokens), size=(size, size), mode="bilinear")[:, 0]


def scaled(maps, normal, floor):
    """Min-max of pixel maps [N, S, S], per crop or over all of them."""
    low, high = (
        (maps.amin((1, 2), True), maps.amax((1, 2), True))
        if normal == "crop"
        else (maps.min(), maps.max())
    )
    if floor is None:
        return (maps - low) / (high - low) if (high - low) > 1e-6 else maps
    return (maps - low) / (high - low + floor)


def overlaps(maps, masks, kind):
    """Soft IoU or Dice at pixel resolution, [N]."""
    both, lit, area = (maps * masks).sum((1, 2)), maps.sum((1, 2)), masks.sum((1, 2))
    if kind == "iou":
        return both / (maps + masks - maps * masks).sum((1, 2))
    return (2 * both + 1e-6) / (lit + area + 1e-6)


def loss_of(slow, tokens, masks, owner, *, overlap, normal, floor, alpha):
    """One number: the sum over tokens of their losses, each a mean over its own crops."""
    unit = F.normalize(tokens, dim=-1)
    maps = scaled(slow.large(unit[owner], masks.shape[1]), normal, floor)
    near = (unit[owner] * F.normalize(slow.base, dim=-1)).sum(-1)
    each = 1 - overlaps(maps, masks, overlap) + alpha * (1 - near)
    return each.mean()


def refine(slow, masks, owner, steps, *, lr=0.1, **how):
    """Tokens of unit length after so many steps of torch's own AdamW."""
    start = torch.stack([slow.base[owner == i].mean(0) for i in range(int(owner.max()) + 1)])
    tokens = torch.nn.Parameter(start.clone())
    walk = torch.optim.AdamW([tokens], lr=lr, weight_decay=0)
    losses = []
    for _ in range(steps):
        walk.zero_grad()
        loss = loss_of(slow, tokens, masks, owner, **how)
        tokens.grad = torch.autograd.grad(loss, tokens)[0]
        losses.append(float(loss.detach()))
        walk.step()
    return F.normalize(tokens.detach(), dim=-1), losses


def masks_for(count, size, seed=0):
    """Random blobs bool [N, S, S], none of them empty."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size]
    made = []
    for _ in range(count):
        cy, cx = rng.uniform(size * 0.2, size * 0.8, 2)
        ry, rx = rng.uniform(size * 0.1, size * 0.3, 2)
        made.append(((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1)
    return made
