"""Encoders on torch: vectors, tokens, attention, pseudo-words and maps of cells from any tower.

What is returned for the P patches never holds class or register tokens: they take part in every
block and every softmax, and are dropped from the result. Rows of ``attention`` therefore sum to
one minus the attention a patch pays to those tokens. ``received`` is the mean of ``attention``
over its rows: how much attention each patch gets from the patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from needlepoint.encoders.convenience import EncodesImages, EncodesTexts
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.encoders.torch_tools import (
    OnTorch,
    array,
    attention,
    block_index,
    check_wants,
    no_gradient,
    received,
    unit,
)
from needlepoint.encoders.towers import ImageTower, TextTower, Tokenize
from needlepoint.errors import UsageError
from needlepoint.parts import DenseFeatures, EncoderCard, Floats, ImageFeatures, TextFeatures
from needlepoint.picture import Pixels

_IMAGE_WANTS = frozenset({"tokens", "attention", "received"})
_TEXT_WANTS = frozenset({"tokens", "attention", "ids"})

#: window means projected at a time: thousands of windows must not widen into gigabytes
_PROJECTED = 4096

#: single-word pairs tried in turn to find the one token a placeholder becomes
_PROBES = (("dog", "cat"), ("one", "two"), ("a", "b"), ("x", "y"), ("0", "1"))

PLACEHOLDER = "{}"


class TorchImages(OnTorch, EncodesImages):
    """Vectors of an image tower that can only be asked as a whole (not a plain ViT)."""

    def __init__(
        self,
        card: EncoderCard,
        preprocess: Preprocess,
        forward: Any,
        device: str,
        threads: int | None,
    ) -> None:
        super().__init__(card, device, threads)
        self.preprocess = preprocess
        self.forward = forward

    @no_gradient
    def image_features(
        self, pictures: Sequence[Pixels], *, want: frozenset[str] = frozenset(), block: int = -1
    ) -> ImageFeatures:
        """Vectors float32 ``[N, D]`` of N pictures uint8 ``[H, W, 3]``.

        Raises:
            UsageError: ``want`` is not empty: this tower has no patches to tell about.
        """
        if want:
            raise UsageError(
                f"want={sorted(want)}: {self.card.address} has no plain vision transformer, so "
                "only vectors can be had"
            )
        pixels = self.tensor(self.preprocess.batch(pictures))
        return ImageFeatures(vector=unit(self.forward(pixels)))


class TorchViT(OnTorch, EncodesImages):
    """Vectors, tokens, attention and maps of cells of a plain Vision Transformer."""

    def __init__(
        self,
        card: EncoderCard,
        preprocess: Preprocess,
        tower: ImageTower,
        device: str,
        threads: int | None,
    ) -> None:
        super().__init__(card, device, threads)
        self.preprocess = preprocess
        self.tower = tower

    @no_gradient
    def image_features(
        self, pictures: Sequence[Pixels], *, want: frozenset[str] = frozenset(), block: int = -1
    ) -> ImageFeatures:
        """Vectors of N pictures uint8 ``[H, W, 3]``, and what ``want`` names of one block.

        Args:
            pictures: the N pictures; they are resized and normalised as the card says.
            want: subset of ``tokens`` (raw output of the block, float32 ``[N, P, C]``),
                ``attention`` (``[N, H, P, P]``) and ``received`` (``[N, H, P]``).
            block: 0 is the first; negative counts from the last.

        Raises:
            UsageError: an unknown want or block.
        """
        check_wants(want, _IMAGE_WANTS)
        tower = self.tower
        chosen = block_index(block, len(tower.blocks))
        tensor = self.tensor(self.preprocess.batch(pictures))
        rows, cols = (side // tower.patch for side in tensor.shape[-2:])
        features = ImageFeatures(vector=np.empty(0, np.float32), grid=(rows, cols))
        tokens, context = tower.embed(tensor)
        for index, layer in enumerate(tower.blocks):
            if index == chosen and want & {"attention", "received"}:
                queries, keys = tower.query_key(layer, tokens, context)
                if "attention" in want:
                    shares = attention(queries, keys, None)
                    features.attention = array(shares[:, :, tower.prefix :, tower.prefix :])
                if "received" in want:
                    features.received = array(received(queries, keys, tower.prefix))
            tokens = tower.run(layer, tokens, context)
            if index == chosen and "tokens" in want:
                features.tokens = array(tokens[:, tower.prefix :])
        features.vector = unit(tower.pool(tokens))
        return features

    @no_gradient
    def dense_features(self, pixels: Pixels, *, long_side: int) -> DenseFeatures:
        """One picture uint8 ``[H, W, 3]`` as a map of cells, one cell a patch.

        The picture is resized whole (no crop) to ``long_side`` pixels; position embeddings are
        interpolated to its grid. What a cell is, see ``docs/encoders.md``: CLIP and SigLIP use
        the value path of the attention that makes the vector, DINO its final patch tokens.
        """
        if long_side < 1:
            raise UsageError(f"long_side: must be at least 1 pixel, received {long_side}")
        tower = self.tower
        tensor = self.tensor(self.preprocess.grid(pixels, long_side, tower.patch))
        rows, cols = (side // tower.patch for side in tensor.shape[-2:])
        tokens, context = tower.embed(tensor)
        for layer in tower.blocks[:-1]:
            tokens = tower.run(layer, tokens, context)
        cells = array(tower.cells(tokens, context)[0]).reshape(rows, cols, -1)
        height, width = pixels.shape[:2]
        return DenseFeatures(cells, width / cols, height / rows, width, height)

    @no_gradient
    def project(self, means: Floats, space: str) -> Floats:
        """Window means float32 ``[..., K]`` of cells to unit vectors ``[..., D]``."""
        known = [s.name for s in self.card.spaces]
        if space not in known:
            raise UsageError(f"space '{space}' is not one of {known} of {self.card.address}")
        rows = np.asarray(means, np.float32).reshape(-1, means.shape[-1])
        parts = [
            unit(self.tower.head(self.tensor(rows[start : start + _PROJECTED])))
            for start in range(0, len(rows), _PROJECTED)
        ]
        dim = self.card.dim
        flat = np.concatenate(parts) if parts else np.empty((0, dim), np.float32)
        return flat.reshape(*means.shape[:-1], dim)


class TorchLook(TorchViT):
    """A ViT without words whose cells are final patch tokens (DINO).

    The class token and the patch tokens of such a model are different kinds of vectors, so a
    question is asked with both (``query_features``).
    """

    def dense_features(self, pixels: Pixels, *, long_side: int) -> DenseFeatures:
        """As ``TorchViT.dense_features``; the cells are in the space already: ``lead`` is set."""
        features = super().dense_features(pixels, long_side=long_side)
        return replace(features, lead=features.cells)

    @no_gradient
    def query_features(self, pictures: Sequence[Pixels], *, alone: bool = True) -> Floats:
        """How a picture is asked with: float32 ``[N, D]``, unit length.

        The sum of the unit class token, which whole pictures are stored with, and the unit mean
        of the patch tokens, which places are stored with; it meets both kinds halfway. ``alone``
        changes nothing: the class token finds the subject of a picture by itself.
        """
        tensor = self.tensor(self.preprocess.batch(pictures))
        tokens, context = self.tower.embed(tensor)
        for layer in self.tower.blocks[:-1]:
            tokens = self.tower.run(layer, tokens, context)
        mean = unit(self.tower.cells(tokens, context).mean(dim=1))
        whole = unit(self.tower.pool(self.tower.run(self.tower.blocks[-1], tokens, context)))
        return unit(torch.from_numpy(mean + whole))


class _ReadsTexts(OnTorch, EncodesTexts):
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
                (``[N, H, L, L]``) and ``ids`` (int64 ``[N, L]``).
            block: 0 is the first; negative counts from the last.
        """
        check_wants(want, _TEXT_WANTS)
        ids = self.tokenize(texts)
        tensor = self.tensor(ids)
        features = self._read(self.text.words(tensor), self.text.where(tensor), want, block)
        if "ids" in want:
            features.ids = ids
        return features

    def token_ids(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Token ids int64 ``[N, L]`` of N texts."""
        ids: npt.NDArray[np.int64] = self.tokenize(texts)
        return ids

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
        """Vectors of texts in which one word is replaced by a pseudo-word.

        Args:
            texts: N templates with ``{}`` exactly once, as ``"a photo of {} at night"``.
            vectors: float32 ``[N, C]``, the token embeddings to put there.

        Returns:
            float32 ``[N, D]``, unit length.

        Raises:
            UsageError: no or several placeholders, or shapes that do not fit.
        """
        vectors = np.asarray(vectors, np.float32)
        found = [self._slot(text) for text in texts]
        ids = np.stack([one for one, _ in found])
        embeddings = self.token_embeddings(ids)
        if vectors.shape != (len(texts), embeddings.shape[2]):
            raise UsageError(
                f"vectors: must be [N, C] = [{len(texts)}, {embeddings.shape[2]}], received "
                f"{list(vectors.shape)}"
            )
        embeddings[np.arange(len(texts)), [slot for _, slot in found]] = vectors
        return self.encode_embeddings(embeddings, self.text_positions(ids))

    def _slot(self, text: str) -> tuple[npt.NDArray[np.int64], int]:
        """Ids of the template with a stand-in word, and where that word's only token is.

        Any tokenizer will do: the place is where two templates with two one-token words differ.
        """
        if text.count(PLACEHOLDER) != 1:
            raise UsageError(f"template '{text}' must hold {PLACEHOLDER} exactly once")
        for pair in _PROBES:
            first, second = self.tokenize([text.replace(PLACEHOLDER, word) for word in pair])
            differ = np.flatnonzero(first != second)
            if len(differ) == 1:
                return first, int(differ[0])
        raise UsageError(
            f"template '{text}': no single token stands for {PLACEHOLDER}; set it apart by spaces "
            f"and keep the text within {self.card.context} tokens"
        )

    def _read(self, words: Any, where: Any, want: frozenset[str], block: int) -> TextFeatures:
        tower = self.text
        chosen = block_index(block, len(tower.blocks))
        features = TextFeatures(vector=np.empty(0, np.float32))
        if tower.mask is not None and not want:
            # nothing looks ahead, so what follows the last end token changes no vector
            words = words[:, : int(where.max()) + 1]
        tokens = tower.start(words)
        for index, layer in enumerate(tower.blocks):
            if index == chosen and "attention" in want:
                features.attention = array(attention(*tower.query_key(layer, tokens), tower.mask))
            tokens = tower.run(layer, tokens)
            if index == chosen and "tokens" in want:
                features.tokens = array(tokens)
        features.vector = unit(tower.pool(tokens, where))
        return features


class TorchClip(TorchViT, _ReadsTexts):
    """A ViT and a text tower in one space."""

    def __init__(
        self,
        card: EncoderCard,
        preprocess: Preprocess,
        tower: ImageTower,
        text: TextTower,
        tokenize: Tokenize,
        device: str,
        threads: int | None,
    ) -> None:
        super().__init__(card, preprocess, tower, device, threads)
        self.text, self.tokenize = text, tokenize


class TorchPlainClip(TorchImages, _ReadsTexts):
    """An image tower that is not a plain ViT and a text tower in one space."""

    def __init__(
        self,
        card: EncoderCard,
        preprocess: Preprocess,
        forward: Any,
        text: TextTower,
        tokenize: Tokenize,
        device: str,
        threads: int | None,
    ) -> None:
        super().__init__(card, preprocess, forward, device, threads)
        self.text, self.tokenize = text, tokenize
