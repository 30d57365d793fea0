"""Sentences with pseudo-words in them, as vectors that gradients flow through.

Shapes: N sentences, S slots of a sentence, L tokens, C token width, D joint dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from needlepoint.encoders.text import PLACEHOLDER, slots_of
from needlepoint.encoders.torch_texts import ReadsTexts
from needlepoint.encoders.torch_tools import pick
from needlepoint.errors import UsageError
from needlepoint.parts import Encoder

Tensor = Any


class Slots:
    """A frozen text tower that reads sentences in which ``{}`` stands for pseudo-words.

    Args:
        encoder: one with the ability ``inject``.

    Raises:
        UsageError: the encoder cannot be given pseudo-words.

    Example:
        >>> slots = Slots(encoder)  # doctest: +SKIP
        >>> slots.fill(["a photo of {}"], torch.zeros(1, slots.width)).shape  # doctest: +SKIP
        torch.Size([1, 512])
    """

    def __init__(self, encoder: Encoder) -> None:
        if not isinstance(encoder, ReadsTexts):
            raise UsageError(
                f"{encoder.card.address} cannot be given pseudo-words. Choose a --model with the "
                "ability inject (needlepoint models): open_clip: ones, and hf: CLIP and SigLIP."
            )
        self._encoder = encoder
        self._known: dict[str, tuple[npt.NDArray[np.int64], tuple[int, ...]]] = {}
        self._ahead: dict[bytes, list[tuple[Tensor, Tensor]]] = {}
        self.width = int(encoder.token_embeddings(encoder.token_ids(["a"])).shape[2])
        self.dim = encoder.card.dim

    def fill(self, texts: Sequence[str], vectors: Tensor) -> Tensor:
        """Vectors ``[N, D]`` of sentences, not normalised; ``{}`` is replaced in place.

        Args:
            texts: N sentences with ``{}`` at least once.
            vectors: ``[N, C]``, the same for every slot of a sentence, or ``[N, S, C]``, slot by
                slot in the order of the sentence; every sentence then has S.

        Raises:
            UsageError: no slot, shapes that do not fit, or a slot beyond the context.
        """
        found = [self._slots(text) for text in texts]
        if vectors.ndim not in (2, 3) or len(vectors) != len(texts):
            raise self._misfit(texts, vectors)
        words = self._words(np.stack([ids for ids, _ in found])).clone()
        rows: list[int] = []
        places: list[int] = []
        which: list[int] = []
        for row, (_, slots) in enumerate(found):
            if vectors.ndim == 3 and len(slots) != vectors.shape[1]:
                raise self._misfit([texts[row]], vectors)
            rows += [row] * len(slots)
            places += slots
            which += list(range(len(slots)))
        if vectors.shape[-1] != self.width:
            raise self._misfit(texts, vectors)
        put = vectors[rows] if vectors.ndim == 2 else vectors[rows, which]
        words = words.index_put((torch.tensor(rows), torch.tensor(places)), put.to(words.dtype))
        ids = np.stack([ids for ids, _ in found])
        same = (ids[:, : min(places)] == ids[0, : min(places)]).all(axis=0)
        shared = len(same) if same.all() else int(same.argmin())
        return self._read(
            words, self._encoder.text.where(self._encoder.tensor(ids)), ids[0, :shared]
        )

    def append(self, texts: Sequence[str], vectors: Tensor) -> Tensor:
        """Vectors ``[N, D]`` of sentences with one more word before their end token.

        The form Pic2Word is trained in; :meth:`fill` is the one it is asked in.

        Args:
            texts: N sentences, each at least one token shorter than the context.
            vectors: ``[N, C]``.
        """
        if vectors.shape != (len(texts), self.width):
            raise self._misfit(texts, vectors)
        ids = self._encoder.token_ids(list(texts))
        end = self._encoder.text.where(self._encoder.tensor(ids))
        if int(end.max()) + 1 >= ids.shape[1]:
            raise UsageError(f"texts: no room for one more word in {ids.shape[1]} tokens")
        words = self._words(ids)
        place = torch.arange(ids.shape[1], device=words.device)
        shifted = words[
            torch.arange(len(texts))[:, None], place[None] - (place[None] > end[:, None]).long()
        ]
        at = place[None, :, None] == end[:, None, None]
        return self._read(torch.where(at, vectors[:, None].to(words.dtype), shifted), end + 1)

    def read(self, texts: Sequence[str]) -> Tensor:
        """Vectors ``[N, D]`` of plain texts, not normalised."""
        ids = self._encoder.token_ids(list(texts))
        return self._read(self._words(ids), self._encoder.text.where(self._encoder.tensor(ids)))

    def token_vectors(self, words: Sequence[str]) -> Tensor:
        """Embeddings ``[N, C]`` of words; of a word of several tokens, their mean."""
        ids = self._encoder.token_ids(list(words))
        mask = torch.from_numpy(self._encoder.word_mask(ids)).to(self._encoder.device)
        held = self._words(ids) * mask[..., None]
        return held.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)

    def _words(self, ids: npt.NDArray[np.int64]) -> Tensor:
        return self._encoder.text.words(self._encoder.tensor(ids)).detach()

    def _slots(self, text: str) -> tuple[npt.NDArray[np.int64], tuple[int, ...]]:
        if text not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            context = self._encoder.card.context
            self._known[text] = slots_of(text, self._encoder.token_ids, context)
        return self._known[text]

    def _read(
        self, words: Tensor, where: Tensor, shared: npt.NDArray[np.int64] | None = None
    ) -> Tensor:
        """Vectors of token embeddings ``[N, L, C]`` that begin with the same ``shared`` ids."""
        tower = self._encoder.text
        if tower.mask is None:
            tokens = tower.start(words)
            for block in tower.blocks:
                tokens = tower.run(block, tokens)
            return tower.joint(tower.final(pick(tokens, where))).float()
        # nothing looks ahead: what follows the last end token changes no vector, and what all
        # sentences begin with is read once
        first = np.empty(0, np.int64) if shared is None else shared
        tokens = tower.start(words[:, : int(where.max()) + 1])[:, len(first) :]
        for block, memory in zip(tower.blocks, self._memories(first), strict=True):
            tokens = tower.follow(block, memory, tokens)
        return tower.joint(tower.final(pick(tokens, where - len(first)))).float()

    def _memories(self, ids: npt.NDArray[np.int64]) -> list[tuple[Tensor, Tensor]]:
        """Of each block, what it remembers of the first tokens; the weights are frozen."""
        key = ids.tobytes()
        if key not in self._ahead:
            if len(self._ahead) > 1000:
                self._ahead.clear()
            tower, held = self._encoder.text, []
            with torch.no_grad():
                tokens = tower.start(self._words(ids[None]))
                for block in tower.blocks:
                    held.append(tower.memory(block, tokens))
                    tokens = tower.run(block, tokens) if len(ids) else tokens
            self._ahead[key] = held
        return self._ahead[key]

    def _misfit(self, texts: Sequence[str], vectors: Tensor) -> UsageError:
        slots = texts[0].count(PLACEHOLDER) if texts else 0
        return UsageError(
            f"vectors: must be [N, {self.width}] or [N, S, {self.width}] for N = {len(texts)} "
            f"sentences with S = {slots} slots, received {list(vectors.shape)}"
        )
