"""The passes of BLIP-2's Q-Former that composed questions are made of, on frozen vision tokens.

Shapes: N pictures or texts, P vision tokens of C numbers, K learned queries, L tokens of a text,
H width of the Q-Former, E joint dim.

Queries and words share the self-attention of every block; the feed-forward weights of queries are
copies of their own. A pass without a picture runs everything through those of the words (SPRC's
code; where a picture is given, queries go through theirs and look at it in every second block).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from needlepoint.errors import UsageError

Base = Literal["sprc", "qure"]
"""How a composed question becomes a vector: two passes (SPRC), or one and a mean (QuRe)."""


class QFormer(nn.Module):  # type: ignore[misc]
    """Everything of ``Blip2ForImageTextRetrieval`` behind the vision tower, under its names."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.query_tokens = model.query_tokens
        self.embeddings = model.embeddings
        self.qformer = model.qformer
        self.vision_projection = model.vision_projection
        self.text_projection = model.text_projection
        self.pad = int(model.config.qformer_config.pad_token_id or 0)

    @property
    def queries(self) -> int:
        """How many vectors a picture is kept as (K)."""
        return int(self.query_tokens.shape[1])

    @property
    def dim(self) -> int:
        """Numbers of a vector (E)."""
        return int(self.text_projection.out_features)

    def look(self, seen: Tensor) -> Tensor:
        """Pictures ``[N, P, C]`` to unit vectors ``[N, K, E]``, one for each query."""
        queries = self.query_tokens.expand(len(seen), -1, -1)
        out = self._pass(queries, None, seen)
        return nn.functional.normalize(self.vision_projection(out), dim=-1)

    def read(self, ids: Tensor) -> Tensor:
        """Texts int64 ``[N, L]`` to vectors ``[N, E]``, not normalised: their first token."""
        ids = self._cut(ids)
        embedded = self.embeddings(input_ids=ids)
        return self.text_projection(self._pass(embedded, self._filled(ids), None)[:, 0])

    def mix(self, seen: Tensor, ids: Tensor) -> Tensor:
        """What the queries make of a picture ``[N, P, C]`` with a text: ``[N, K, H]``.

        SPRC's sentence-level prompt.
        """
        ids, queries = self._cut(ids), self.query_tokens.expand(len(seen), -1, -1)
        embedded = self.embeddings(input_ids=ids, query_embeds=queries)
        return self._pass(embedded, self._filled(ids, self.queries), seen)[:, : self.queries]

    def prompt(self, prompts: Tensor, ids: Tensor) -> Tensor:
        """Texts behind prompts ``[N, K, H]``, no picture: ``[N, K + l, H]``, l up to L."""
        ids = self._cut(ids)
        embedded = self.embeddings(input_ids=ids, query_embeds=prompts)
        return self._pass(embedded, self._filled(ids, prompts.shape[1]), None)

    def compose(self, seen: Tensor, ids: Tensor, base: Base, mixed: Tensor | None = None) -> Tensor:
        """Composed questions as vectors ``[N, E]``, not normalised.

        Args:
            seen: vision tokens of the references, ``[N, P, C]``.
            ids: the changes in words, int64 ``[N, L]``.
            base: ``sprc``: the first word's output of a second pass, without the picture, over
                [mixed, text]; ``qure``: the mean of the queries' projected outputs.
            mixed: what ``mix`` gave, where it is known already.
        """
        mixed = self.mix(seen, ids) if mixed is None else mixed
        if base == "qure":
            return self.text_projection(mixed).mean(1)
        if base == "sprc":
            return self.text_projection(self.prompt(mixed, ids)[:, self.queries])
        raise UsageError(f"base: must be sprc or qure, received {base!r}")

    def _cut(self, ids: Tensor) -> Tensor:
        """Ids without the places that are padding in all of them: nothing looks at those."""
        return ids[:, : int((ids != self.pad).sum(1).max())]

    def _filled(self, ids: Tensor, before: int = 0) -> Tensor:
        """Mask ``[N, before + L]``: 1 for queries and words, 0 for padding."""
        words = (ids != self.pad).long()
        return torch.cat([words.new_ones(len(ids), before), words], dim=1)

    def _pass(self, embedded: Tensor, filled: Tensor | None, seen: Tensor | None) -> Tensor:
        found: Tensor = self.qformer(
            query_embeds=embedded,
            query_length=0 if seen is None else self.queries,
            attention_mask=filled,
            encoder_hidden_states=seen,
        ).last_hidden_state
        return found
