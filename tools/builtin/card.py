"""card.json: what the built-in card says of its files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

NUMBERS = (
    "look.onnx",
    "words.onnx",
    "tokenizer.json",
    "classifier.npz",
    "concepts.npz",
    "whitening.npz",
)
"""The files that change a vector (calibration does not)."""

QUERY_SIDES = {"alone": (96, 128, 192), "placed": (128, 192, 256)}
"""Sizes at which a picture to ask with is seen, filled by its thing or not; from the dev scenes."""


def build(folder: Path) -> None:
    """Write card.json for the files that stand in ``folder``."""
    digest = hashlib.sha256()
    for name in NUMBERS:
        digest.update((folder / name).read_bytes())
    with np.load(folder / "whitening.npz") as look, np.load(folder / "concepts.npz") as words:
        facts = {
            "look_dim": int(look["matrix"].shape[1]),
            "words_dim": int(words["basis"].shape[1]),
        }
    facts["query_sides"] = {kind: list(sides) for kind, sides in QUERY_SIDES.items()}
    facts["weights_hash"] = digest.hexdigest()[:16]
    facts["size_mb"] = round(sum(f.stat().st_size for f in folder.iterdir()) / 1e6, 1)
    (folder / "card.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
