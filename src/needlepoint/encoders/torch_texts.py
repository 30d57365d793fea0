"""Texts on torch: vectors, tokens, attention and pseudo-words of any text tower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint.encoders.convenience import EncodesTexts
from needlepoint.encoders.text import slots_of, word_mask
from needlepoint.encoders.torch_tools import (
    OnTorch,
    array,
    attention,
    block_index,
    check_wants,
    lengths,
    no_gradient,
    one_row,
    pick,
    unit,
)
from needlepoint.encoders.towers import TextTower, Tokenize
from needlepoint.errors import UsageError
from needlepoint.parts import Floats, TextFeatures

_WANTS = frozenset(
    {"tokens", "attention", "ids", "words", "ends", "pooling", "final", "joint", "length"}
)


class ReadsTexts(OnTorch, EncodesTexts):
    """Vectors, tokens, attention and pseudo-words of a text tower."""

    text: TextTower
    tokenize: Tokenize

    @no_gradient
    def text_features(
        self, texts: Sequence[str], *, want: frozenset[str] = frozenset(), block: int = -1
    ) -> TextFeatures:
        """Vectors float32 ``[N, D]`` of N texts, and what ``want`` names of one block.

        Args:
            texts: canonicalised, tokenised and padded to L tokens as the card says.
            want: subset of ``tokens`` (raw output of the block, ``[N, L, C]``), ``attention``
                (``[N, H, L, L]``), ``ids`` (int64 ``[N, L]``), ``words`` (bool ``[N, L]``) and
                ``ends`` (int64 ``[N]``); and of the last block, whatever ``block`` says,
                ``pooling`` (``[N, H, L]``, one row of attention), ``final`` (``[N, L, C]``),
                ``joint`` (``[N, L, D]``) and ``length`` (``[N]``).
            block: 0 is the first; negative counts from the last.
        """
        check_wants(want, _WANTS)
        ids = self.tokenize(texts)
        tensor = self.tensor(ids)
        where = self.text.where(tensor)
        features = self._read(self.text.words(tensor), where, want, block)
        features.ids = ids if "ids" in want else None
        features.ends = where.cpu().numpy() if "ends" in want else None
        features.words = self.word_mask(ids) if "words" in want else None
        return features

    def token_ids(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Token ids int64 ``[N, L]`` of N texts."""
        ids: npt.NDArray[np.int64] = self.tokenize(texts)
        return ids

    def word_mask(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which tokens of ids int64 ``[N, L]`` are neither start nor end nor padding."""
        return word_mask(ids, self.tokenize.tokenizer)

    @no_gradient
    def token_embeddings(self, ids: npt.NDArray[np.int64]) -> Floats:
        """Embeddings float32 ``[N, L, C]`` of token ids int64 ``[N, L]``, without positions."""
        return array(self.text.words(self.tensor(ids)))

    @no_gradient
    def encode_embeddings(self, embeddings: Floats, where: npt.NDArray[np.int64]) -> Floats:
        """Vectors float32 ``[N, D]`` of texts given as token embeddings.

        Args:
            embeddings: float32 ``[N, L, C]``, as ``token_embeddings`` gives them.
            where: int64 ``[N]``, position of the token that stands for the text (the end token
                of CLIP; the last position of SigLIP), as ``text_positions`` gives it.
        """
        words = self.tensor(np.asarray(embeddings, np.float32))
        return self._read(words, self.tensor(where), frozenset(), -1).vector

    @no_gradient
    def text_positions(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Position int64 ``[N]`` of the token that stands for each text of ids ``[N, L]``."""
        positions: npt.NDArray[np.int64] = self.text.where(self.tensor(ids)).cpu().numpy()
        return positions

    def inject(self, texts: Sequence[str], vectors: Floats) -> Floats:
        """Vectors of texts in which a pseudo-word stands; ``slots.Slots`` has it with gradients.

        Args:
            texts: N templates with ``{}`` at least once, as ``"a photo of {} at night"``.
            vectors: float32 ``[N, C]``, the token embedding to put at each of its places, or
                ``[N, S, C]``, place by place; every sentence then has S.

        Returns:
            float32 ``[N, D]``, unit length.

        Raises:
            UsageError: no placeholder, or shapes that do not fit.
        """
        vectors = np.asarray(vectors, np.float32)
        found = [slots_of(text, self.token_ids, self.card.context) for text in texts]
        ids = np.stack([one for one, _ in found])
        embeddings = self.token_embeddings(ids)
        counts = {len(places) for _, places in found}
        count, width = len(texts), embeddings.shape[2]
        allowed = [(count, width), *((count, some, width) for some in counts if len(counts) == 1)]
        if vectors.shape not in allowed:
            raise UsageError(
                f"vectors: must be [N, C] = [{count}, {width}], or [N, S, C] where every sentence "
                f"has S places, received {list(vectors.shape)}"
            )
        for row, (_, places) in enumerate(found):
            embeddings[row, list(places)] = vectors[row]
        return self.encode_embeddings(embeddings, self.text_positions(ids))

    def _read(self, words: Any, where: Any, want: frozenset[str], block: int) -> TextFeatures:
        tower = self.text
        chosen = block_index(block, len(tower.blocks))
        features = TextFeatures(vector=np.empty(0, np.float32))
        if tower.mask is not None and not want:
            # nothing looks ahead, so what follows the last end token changes no vector
            words = words[:, : int(where.max()) + 1]
        tokens = tower.start(words)
        for index, layer in enumerate(tower.blocks):
            before = tokens
            if index == chosen and "attention" in want:
                features.attention = array(attention(*tower.query_key(layer, tokens), tower.mask))
            tokens = tower.run(layer, tokens)
            if index == chosen and "tokens" in want:
                features.tokens = array(tokens)
        if "pooling" in want:
            asking = pick(before, where)[:, None]
            pair = tower.query_key(tower.blocks[-1], before, asking=asking)
            mask = None if tower.mask is None else tower.mask[where][:, None, None]
            features.pooling = array(one_row(*pair, mask))
        if want & {"final", "joint"}:
            final = tower.final(tokens)
            features.final = array(final) if "final" in want else None
            features.joint = array(tower.joint(final)) if "joint" in want else None
        pooled = tower.joint(tower.final(pick(tokens, where)))
        features.length = lengths(pooled) if "length" in want else None
        features.vector = unit(pooled)
        return features
