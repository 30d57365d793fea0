"""Small real pictures and a quick encoder that counts what it sees."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from needlepoint.parts import EncoderCard, ImageFeatures, SpaceCard, TextFeatures

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
NAMES = (
    *("photo-cat", "photo-coffee", "photo-rocket", "photo-astronaut", "photo-dogs", "photo-wine"),
    *("photo-sunset", "desk-00", "desk-01", "kitchen-04", "toys-08", "yard-00", "yard-01"),
)


def save(target: Path, name: str, size: tuple[int, int] = (320, 240)) -> Path:
    """A sample picture, made small, at ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(SAMPLES / "pictures" / f"{name}.jpg") as image:
        image.convert("RGB").resize(size).save(target, quality=92)
    return target


def flat(target: Path, seed: int, size: tuple[int, int] = (40, 30)) -> Path:
    """A tiny picture unlike that of any other seed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(target)
    return target


def tree(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Every file below a folder: its content's hash, mode and mtime in ns."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mode,
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Fake:
    """Mean colours of a 4 x 4 grid; words are hashed. Counts what it sees."""

    def __init__(self, address: str, weights: str = "1", words: bool = True) -> None:
        answers = ("image", "text") if words else ("image",)
        self.card = EncoderCard(
            address=address, title="fake", family="fake", dim=48,
            spaces=(SpaceCard("joint", 48, "f16", answers),), input_size=32, resize="squash",
            mean=(0, 0, 0), std=(1, 1, 1), interpolation="box", weights_hash=weights,
            licence="none", abilities=("text",) if words else (),
        )  # fmt: skip
        self.seen = 0

    def image_features(self, pictures, *, want=frozenset(), block=-1):
        rows = []
        for pixels in pictures:
            self.seen += 1
            small = Image.fromarray(pixels).resize((4, 4), Image.Resampling.BOX)
            row = np.asarray(small, np.float32).ravel() - 127.5
            rows.append(row / max(float(np.linalg.norm(row)), 1e-6))
        return ImageFeatures(np.stack(rows))

    def text_features(self, texts, *, want=frozenset()):
        rows = [np.random.default_rng(len(t)).normal(size=48).astype(np.float32) for t in texts]
        return TextFeatures(np.stack([r / np.linalg.norm(r) for r in rows]))
