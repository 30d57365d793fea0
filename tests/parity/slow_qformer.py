"""BLIP-2's Q-Former from its formulas, one row at a time in float64, on the raw tensors of a file.

Written from the description of SPRC (ICLR 2024) and QuRe (ICML 2025), not from transformers.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

HEADS = 4


class SlowQFormer:
    """Passes over one picture and one text each."""

    def __init__(self, folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        self.w = {name: value.astype(np.float64) for name, value in tensors.items()}
        self.layers = 1 + max(int(n.split(".")[3]) for n in self.w if n.startswith("qformer.enc"))
        self.queries = self.w["query_tokens"][0]

    def words(self, ids: list[int]) -> np.ndarray:
        tokens = self.w["embeddings.word_embeddings.weight"][ids]
        return tokens + self.w["embeddings.position_embeddings.weight"][: len(ids)]

    def run(self, rows: np.ndarray, count: int, seen: np.ndarray | None) -> np.ndarray:
        """The first ``count`` rows are queries that look at ``seen``; the rest are words."""
        rows = self.norm(rows, "qformer.layernorm")
        for number in range(self.layers):
            name = f"qformer.encoder.layer.{number}"
            rows = self.attend(rows, rows, f"{name}.attention")
            if seen is None:
                rows = self.forward(rows, name, "")
                continue
            queries, words = rows[:count], rows[count:]
            if f"{name}.crossattention.attention.query.weight" in self.w:
                queries = self.attend(queries, seen, f"{name}.crossattention")
            queries = self.forward(queries, name, "_query")
            rows = np.concatenate([queries, self.forward(words, name, "")])
        return rows

    def attend(self, asking: np.ndarray, told: np.ndarray, name: str) -> np.ndarray:
        query, key, value = (
            self.linear(rows, f"{name}.attention.{part}")
            for rows, part in ((asking, "query"), (told, "key"), (told, "value"))
        )
        size = query.shape[1] // HEADS
        mixed = np.empty_like(query)
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            for row in range(len(query)):
                scores = key[:, part] @ query[row, part] / math.sqrt(size)
                shares = np.exp(scores - scores.max())
                mixed[row, part] = shares @ value[:, part] / shares.sum()
        return self.norm(
            asking + self.linear(mixed, f"{name}.output.dense"), f"{name}.output.LayerNorm"
        )

    def forward(self, rows: np.ndarray, name: str, kind: str) -> np.ndarray:
        inner = self.linear(rows, f"{name}.intermediate{kind}.dense")
        bent = inner * 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(inner / math.sqrt(2)))
        out = self.linear(bent, f"{name}.output{kind}.dense")
        return self.norm(rows + out, f"{name}.output{kind}.LayerNorm")

    def linear(self, rows: np.ndarray, name: str) -> np.ndarray:
        return rows @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, rows: np.ndarray, name: str) -> np.ndarray:
        centred = rows - rows.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-12)
        return scaled * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    # -- what composed questions are made of

    def tokens(self, seen: np.ndarray) -> np.ndarray:
        """The K unit vectors of a picture."""
        out = self.run(self.queries, len(self.queries), seen)
        return _unit(self.linear(out, "vision_projection"))

    def text(self, ids: list[int]) -> np.ndarray:
        return _unit(self.linear(self.run(self.words(ids), 0, None)[:1], "text_projection"))[0]

    def prompts(self, seen: np.ndarray, ids: list[int]) -> np.ndarray:
        rows = np.concatenate([self.queries, self.words(ids)])
        return self.run(rows, len(self.queries), seen)[: len(self.queries)]

    def qure(self, seen: np.ndarray, ids: list[int]) -> np.ndarray:
        return _unit(self.linear(self.prompts(seen, ids), "text_projection").mean(0)[None])[0]

    def sprc(self, seen: np.ndarray, ids: list[int]) -> np.ndarray:
        """The first word's output of a pass over prompts and words, without the picture."""
        rows = np.concatenate([self.prompts(seen, ids), self.words(ids)])
        out = self.run(rows, 0, None)[len(self.queries)]
        return _unit(self.linear(out[None], "text_projection"))[0]


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
