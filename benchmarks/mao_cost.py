"""What MaO's stage B costs in closed form and with autograd, on one machine, side by side.

A random vision transformer of the shape of ViT-B/16 at 224 pixels (the depth does not matter: only
the last block is worked on), one picture of several crops, one joint token. Runs take turns, so
that whatever else the machine does falls on all alike. Two autograd versions: ``released`` keeps
the graph of the last block and calls ``backward`` each step with the block's weights as leaves, as
the released code does (whose regulariser goes through the block as well; that is left out here);
``lean`` freezes the weights and asks for the token's gradient alone.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from common import hardware, write_rows
from needlepoint.encoders.hf_towers import ClipImages
from needlepoint.encoders.last_block import LastBlocks
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.encoders.vit import TorchViT
from needlepoint.parts import EncoderCard, SpaceCard
from needlepoint.regions.masks import Mask
from needlepoint.regions.relevance import Aim, Refinement

RATE, ALPHA = 0.1, 0.03


def encoder(width: int, heads: int, size: int, patch: int, threads: int) -> TorchViT:
    """A random CLIP image tower of two blocks."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    vision = {
        "hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": 2,
        "num_attention_heads": heads, "image_size": size, "patch_size": patch,
    }  # fmt: skip
    text = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=512)
    model = CLIPModel(config).eval()
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim == 2:  # wider than the library draws, so that attention is not flat
                value.normal_(0, 1.5 * value.shape[-1] ** -0.5)
    card = EncoderCard(
        "random", "random ViT-B/16", "clip", 512, (SpaceCard("joint", 512, "i8", ("image",)),),
        size, "squash", (0.5,) * 3, (0.25,) * 3, "bicubic", "", "", abilities=("tokens",),
    )  # fmt: skip
    preprocess = Preprocess(size, "squash", "bicubic", (0.5,) * 3, (0.25,) * 3)
    return TorchViT(card, preprocess, ClipImages(model), "cpu", threads)


class Graph:
    """Stage B of one joint token with the graph of the last block."""

    def __init__(self, encoder: TorchViT, crops: list[Any], masks: list[Mask], *, lean: bool):
        tower: Any = encoder.tower
        reader = LastBlocks(encoder)
        tokens, _, base = (
            part.clone() if part is not None else None for part in reader.ahead(crops)
        )
        self.base, self.lean = base, lean
        self.masks = torch.from_numpy(np.stack(masks)).float()
        block = copy.deepcopy(tower.blocks[-1]).requires_grad_(not lean)
        after, project = (
            copy.deepcopy(module).requires_grad_(False)
            for module in (tower._vision.post_layernorm, tower._project)
        )
        inner, attend = block.layer_norm1(tokens), block.self_attn
        count, length, width = tokens.shape
        heads = attend.num_heads

        def split(part: Any) -> Any:
            return part.view(count, length, heads, -1).transpose(1, 2)

        q, k, v = (split(part(inner)) for part in (attend.q_proj, attend.k_proj, attend.v_proj))
        self.shares = torch.softmax(q @ k.transpose(-1, -2) * (width // heads) ** -0.5, -1)
        if lean:
            self.shares.requires_grad_()
        mixed = (self.shares @ v).transpose(1, 2).reshape(count, length, width)
        middle = tokens + attend.out_proj(mixed)
        output = middle + block.mlp(block.layer_norm2(middle))
        self.feature = F.normalize(project(after(output.mean(1))), dim=-1)

    def run(self, steps: int) -> Any:
        """The token after so many steps."""
        token = torch.nn.Parameter(self.base.mean(0))
        walk = torch.optim.AdamW([token], lr=RATE, weight_decay=0)
        unit = F.normalize(self.base, dim=-1)
        size = self.masks.shape[1]
        for _ in range(steps):
            asked = F.normalize(token, dim=-1)
            score = (self.feature @ asked).sum()
            (slope,) = torch.autograd.grad(score, self.shares, create_graph=True)
            maps = slope.relu().mean((1, 2))[:, 1:]
            side = round(maps.shape[1] ** 0.5)
            large = F.interpolate(maps.view(-1, 1, side, side), (size, size), mode="bilinear")[:, 0]
            low, high = large.amin((1, 2), True), large.amax((1, 2), True)
            large = (large - low) / (high - low + 1e-6)
            both = (large * self.masks).sum((1, 2))
            union = (large + self.masks).sum((1, 2)) - both
            loss = (1 - both / union).mean() + ALPHA * (1 - unit @ asked).mean()
            walk.zero_grad()
            if self.lean:
                (token.grad,) = torch.autograd.grad(loss, token, retain_graph=True)
            else:
                loss.backward(retain_graph=True)
            walk.step()
        return F.normalize(token.detach(), dim=-1)


def scene(count: int, size: int) -> tuple[list[Any], list[Mask]]:
    """Crops of noise and masks of ellipses."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:size, 0:size] / size
    crops, masks = [], []
    for _ in range(count):
        small = rng.integers(0, 255, (size // 16, size // 16, 3), np.uint8)
        crops.append(small.repeat(16, 0).repeat(16, 1))
        cy, cx, ry, rx = rng.uniform([0.3, 0.3, 0.1, 0.1], [0.7, 0.7, 0.3, 0.3])
        masks.append(((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1)
    return crops, masks


def timed(run: Callable[[int], Any], steps: int) -> float:
    """Milliseconds a step."""
    start = time.perf_counter()
    run(steps)
    return (time.perf_counter() - start) / steps * 1e3


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=int, nargs="+", default=[1, 6])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    told = parser.parse_args()
    size = 224
    model = encoder(768, 12, size, 16, told.threads)
    rows = []
    for count in told.crops:
        crops, masks = scene(count, size)
        start = time.perf_counter()
        block = LastBlocks(model).read(crops)
        cached = (time.perf_counter() - start) * 1e3
        owner = torch.zeros(count, dtype=torch.long)
        closed = Refinement.of(block, Aim.at(block, masks), owner, ALPHA)
        graphs = {kind: Graph(model, crops, masks, lean=kind == "lean") for kind in KINDS}
        runs: dict[str, Callable[[int], Any]] = {"closed": lambda n, c=closed: c.run(n, RATE)[0]}
        runs |= {kind: graph.run for kind, graph in graphs.items()}
        ends = {kind: run(1) for kind, run in runs.items()}  # also the warm-up
        times: dict[str, list[float]] = {kind: [] for kind in runs}
        for _ in range(told.repeats):
            for kind, run in runs.items():
                times[kind].append(timed(run, told.steps))
        for kind in KINDS:
            ratios = np.array(times[kind]) / np.array(times["closed"])
            rows.append(
                {
                    "crops": count, "threads": told.threads, "steps": told.steps,
                    "autograd": kind,
                    "closed_ms_a_step": round(float(np.median(times["closed"])), 1),
                    "autograd_ms_a_step": round(float(np.median(times[kind])), 1),
                    "ratio_median": round(float(np.median(ratios)), 2),
                    "ratio_lowest": round(float(ratios.min()), 2),
                    "ratio_highest": round(float(ratios.max()), 2),
                    "crop_passes_and_cache_ms": round(cached, 1),
                    "largest_difference_after_one_step": float(
                        f"{(ends['closed'] - ends[kind]).abs().max():.1e}"
                    ),
                    "torch": torch.__version__,
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    print(write_rows("mao-cost", rows), hardware())


KINDS = ("released", "lean")

if __name__ == "__main__":
    main()
