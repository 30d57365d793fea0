"""Encoders on torch: vectors, tokens, attention and maps of cells from any image tower.

What is returned for the P patches never holds class or register tokens: they take part in every
block and every softmax, and are dropped from the result. Rows of ``attention`` therefore sum to
one minus the attention a patch pays to those tokens. ``received`` is the mean of ``attention``
over its rows: how much attention each patch gets from the patches. ``pooling`` sums to one minus
what the class token pays itself and the registers, to one where a pooling head makes the vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from needlepoint.encoders.convenience import EncodesImages
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.encoders.torch_texts import ReadsTexts
from needlepoint.encoders.torch_tools import (
    OnTorch,
    array,
    attention,
    block_index,
    check_wants,
    lengths,
    no_gradient,
    received,
    unit,
)
from needlepoint.encoders.towers import ImageTower, JointTower, TextTower, Tokenize
from needlepoint.errors import UsageError
from needlepoint.parts import DenseFeatures, EncoderCard, Floats, ImageFeatures
from needlepoint.picture import Pixels

_WANTS = frozenset({"tokens", "attention", "received", "pooling", "final", "joint", "length"})
_DENSE_WANTS = frozenset({"joint", "values"})

#: window means projected at a time: thousands of windows must not widen into gigabytes
_PROJECTED = 4096


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
        self,
        pictures: Sequence[Pixels],
        *,
        want: frozenset[str] = frozenset(),
        block: int = -1,
        size: tuple[int, int] | None = None,
        stride: int = 0,
    ) -> ImageFeatures:
        """Vectors of N pictures uint8 ``[H, W, 3]``, and what ``want`` names of one block.

        Args:
            pictures: the N pictures; they are resized and normalised as the card says.
            want: subset of ``tokens`` (raw output of the block, float32 ``[N, P, C]``),
                ``attention`` (``[N, H, P, P]``) and ``received`` (``[N, H, P]``); and of the last
                block, whatever ``block`` says, ``pooling`` (``[N, H, P]``, one row of attention),
                ``final`` (``[N, P, C]``), ``joint`` (``[N, P, D]``) and ``length`` (``[N]``).
            block: 0 is the first; negative counts from the last.
            size: height and width in pixels that pictures are squashed to, in place of what the
                card says. Position embeddings are interpolated (bicubic) unless the grid has the
                shape of training; as many patches in another shape are interpolated too.
            stride: pixels between patches; 0 for the patch size. Less makes patches overlap,
                which needs a tower of open_clip's own. The grid is
                ``(side - patch) // stride + 1`` in each direction.

        Raises:
            UsageError: an unknown want or block, a size or stride that gives no patch, a tower
                that takes no stride.
        """
        check_wants(want, _WANTS)
        tower, stride = self._strided(stride), stride or self.tower.patch
        chosen = block_index(block, len(tower.blocks))
        tensor = self.tensor(self._preprocess(size).batch(pictures))
        rows, cols = ((side - tower.patch) // stride + 1 for side in tensor.shape[-2:])
        features = ImageFeatures(vector=np.empty(0, np.float32), grid=(rows, cols))
        tokens, context = tower.embed(tensor)
        for index, layer in enumerate(tower.blocks):
            before = tokens
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
        if "pooling" in want:
            features.pooling = array(tower.pooling(before, tokens, context))
        if want & {"final", "joint"}:
            final = tower.final(tokens)
            features.final = array(final) if "final" in want else None
            features.joint = array(tower.joint(final)) if "joint" in want else None
        pooled = tower.pool(tokens)
        features.length = lengths(pooled) if "length" in want else None
        features.vector = unit(pooled)
        return features

    def _preprocess(self, size: tuple[int, int] | None) -> Preprocess:
        if size is None:
            return self.preprocess
        if min(size) < self.tower.patch:
            raise UsageError(
                f"size: both sides must be at least {self.tower.patch} pixels (one patch), "
                f"received {size[0]}x{size[1]}"
            )
        return replace(self.preprocess, size=size[0], width=size[1], rule="squash")

    def _strided(self, stride: int) -> ImageTower:
        if stride in (0, self.tower.patch):
            return self.tower
        if stride < 0 or not hasattr(self.tower, "strided"):
            raise UsageError(
                f"stride: received {stride}; {self.card.address} allows "
                + ("1 or more" if stride < 0 else "the patch size only; open_clip's own towers any")
            )
        tower: ImageTower = self.tower.strided(stride)
        return tower

    @no_gradient
    def dense_features(
        self, pixels: Pixels, *, long_side: int, want: frozenset[str] = frozenset()
    ) -> DenseFeatures:
        """One picture uint8 ``[H, W, 3]`` as a map of cells, one cell a patch.

        The picture is resized whole (no crop) to ``long_side`` pixels; position embeddings are
        interpolated to its grid. What a cell is, see ``docs/encoders.md``: CLIP and SigLIP use
        the value path of the attention that makes the vector, DINO its final patch tokens.

        Args:
            pixels: the picture.
            long_side: in pixels; rounded to whole patches.
            want: ``joint``, or ``values`` (which fills ``shares`` too); see ``DenseFeatures``.
        """
        if long_side < 1:
            raise UsageError(f"long_side: must be at least 1 pixel, received {long_side}")
        check_wants(want, _DENSE_WANTS)
        tower = self.tower
        tensor = self.tensor(self.preprocess.grid(pixels, long_side, tower.patch))
        rows, cols = (side // tower.patch for side in tensor.shape[-2:])
        tokens, context = tower.embed(tensor)
        for layer in tower.blocks[:-1]:
            tokens = tower.run(layer, tokens, context)

        def placed(made: Any) -> Floats:
            return array(made[0]).reshape(rows, cols, -1)

        values = tower.values(tokens, context)
        height, width = pixels.shape[:2]
        features = DenseFeatures(
            placed(tower.merge(values)), width / cols, height / rows, width, height
        )
        if want:
            after = tower.run(tower.blocks[-1], tokens, context)
        if "joint" in want:
            features.joint = placed(tower.joint(tower.final(after)))
        if "values" in want:
            features.values = placed(values)
            features.shares = placed(tower.pooling(tokens, after, context).transpose(1, 2))
        return features

    @no_gradient
    def merge(self, values: Floats) -> Floats:
        """Values float32 ``[..., K]``, pooled within each head, to means of cells ``[..., C]``.

        What ``project`` takes; ``values`` and the shares to pool them by are in the map.
        """
        rows = np.asarray(values, np.float32).reshape(-1, values.shape[-1])
        flat = array(self.tower.merge(self.tensor(rows)))
        return flat.reshape(*values.shape[:-1], flat.shape[-1])

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

    def dense_features(
        self, pixels: Pixels, *, long_side: int, want: frozenset[str] = frozenset()
    ) -> DenseFeatures:
        """As ``TorchViT.dense_features``; the cells are in the space already: ``lead`` is set."""
        features = super().dense_features(pixels, long_side=long_side, want=want)
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


class TorchClip(TorchViT, ReadsTexts):
    """A ViT and a text tower in one space."""

    tower: JointTower

    def __init__(
        self,
        card: EncoderCard,
        preprocess: Preprocess,
        tower: JointTower,
        text: TextTower,
        tokenize: Tokenize,
        device: str,
        threads: int | None,
    ) -> None:
        super().__init__(card, preprocess, tower, device, threads)
        self.text, self.tokenize = text, tokenize


class TorchPlainClip(TorchImages, ReadsTexts):
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
