"""An encoder of a few lines: colours of a 4 x 4 grid and hashed words, through a fixed matrix."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from PIL import Image

from needlepoint.parts import EncoderCard, ImageFeatures, SpaceCard, TextFeatures

DIM = 12


def toy_card(**changes) -> EncoderCard:
    card = EncoderCard(
        address="toy",
        title="toy",
        family="toy",
        dim=DIM,
        spaces=(SpaceCard("joint", DIM, "i8", ("image", "text")),),
        input_size=128,
        resize="squash",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        interpolation="bicubic",
        weights_hash="toy",
        licence="CC0-1.0",
        abilities=("text",),
    )
    return replace(card, **changes)


class ToyEncoder:
    """Sees pictures and words; ``calls`` tells what it was asked for."""

    def __init__(self, **changes) -> None:
        self.card = toy_card(**changes)
        self.calls: list[tuple[str, int]] = []
        self._matrix = np.random.default_rng(5).standard_normal((48, DIM)).astype(np.float32)

    def image_features(self, pictures, *, want=frozenset(), block=-1) -> ImageFeatures:
        self.calls.append(("image", len(pictures)))
        rows = [
            np.asarray(Image.fromarray(p).resize((4, 4), Image.Resampling.BOX), np.float32).ravel()
            for p in pictures
        ]
        raw = (np.stack(rows) - 120) @ self._matrix
        features = ImageFeatures(raw / np.linalg.norm(raw, axis=1, keepdims=True))
        if "tokens" in want:
            features.tokens = np.stack(rows).reshape(len(rows), 16, 3) + block
            features.grid = (4, 4)
        return features

    def text_features(self, texts, *, want=frozenset()) -> TextFeatures:
        self.calls.append(("text", len(texts)))
        rows = []
        for text in texts:
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
            rows.append(np.random.default_rng(seed).standard_normal(DIM).astype(np.float32))
        raw = np.stack(rows)
        return TextFeatures(raw / np.linalg.norm(raw, axis=1, keepdims=True))
