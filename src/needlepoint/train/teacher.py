"""What the built-in sentence model says of texts, computed once and kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from needlepoint.encoders.builtin.words import Sentences
from needlepoint.parts import Floats

TEACHER_DIM = 384


class Teacher:
    """Vectors float32 ``[384]`` of texts by the built-in sentence model, kept in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def vectors(self, texts: Sequence[str]) -> dict[str, Floats]:
        """The vector of each text; only new ones are computed."""
        known: dict[str, Floats] = {}
        if self._path.is_file():
            with np.load(self._path) as kept:
                known = dict(zip(kept["texts"].tolist(), kept["vectors"], strict=True))
        new = [text for text in texts if text not in known]
        if new:
            known |= zip(new, Sentences(1).encode(new), strict=True)
            part = self._path.with_name(f".{self._path.name}")
            with part.open("wb") as file:
                np.savez(file, texts=np.array(list(known)), vectors=np.stack(list(known.values())))
            os.replace(part, self._path)
        return {text: known[text] for text in texts}
