"""Tiny materials for crowds: several instances of words that the vocabulary knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tests.bench.needle_kit import make_catalogue

from needlepoint.bench.needle.assets import Assets, find_assets
from needlepoint.bench.needle.blend import smooth

WORDS = ("apple", "bell", "boat", "candle", "hat", "key", "lamp", "ball")
EACH = 5
SMALL = {
    "size": (240, 180),
    "count": 14,
    "things": 12,
    "wholes": 8,
    "instances": 6,
    "query_side": 64,
    "materials": ("drawn",),
    "enlarge": 6.0,
    "objects": (1, 10),
}


def make_materials(root: Path, *, models: bool = False) -> Assets:
    """Drawn stamps (and models) of eight words, five instances each, and nine photographs."""
    rng = np.random.default_rng(5)
    folder = root / "usr/share/tuxpaint/stamps/things"
    folder.mkdir(parents=True)
    for word in (*WORDS, "gizmo"):
        for number in range(EACH):
            path = folder / f"{word}-{number}.png"
            Image.fromarray(_blob(rng)).save(path)
            path.with_suffix(".txt").write_text(
                f"A {word}.\nde.utf8=Ding: {word}.\nfr.utf8=\n", encoding="utf-8"
            )
    if models:
        names = [f"{kind} {word}" for word in WORDS[:3] for kind in ("red", "old", "tin")]
        make_catalogue(root / "usr/share/sweethome3d/furniture/BlendSwap-CC-0.sh3f", names)
    photos = root / "photographs"
    photos.mkdir()
    for number in range(9):
        leaves(rng, (360, 270), blur=1.0, noise=4.0).save(photos / f"photo{number}.png")
    need = ["stamps", "backgrounds", *(["models"] if models else [])]
    return find_assets([root], need=need, photographs=[photos])


def leaves(
    rng: np.random.Generator, size: tuple[int, int], *, blur: float, noise: float
) -> Image.Image:
    """Ellipses over ellipses, as photographs of leaves have edges; blurred, with noise."""
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    for _ in range(400):
        x, y = rng.uniform(-20, size[0] + 20), rng.uniform(-20, size[1] + 20)
        w, h = 10 ** rng.uniform(0.8, 1.6, size=2)
        colour = tuple(int(value) for value in rng.integers(30, 226, size=3))
        draw.ellipse((x - w, y - h, x + w, y + h), fill=colour)
    pixels = smooth(np.asarray(image, dtype=np.float32), blur)
    pixels = pixels + rng.normal(0, noise, pixels.shape[:2])[..., None]
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _blob(rng: np.random.Generator) -> np.ndarray:
    """An ellipse cut out of leaves without noise."""
    pixels = np.zeros((70, 90, 4), dtype=np.uint8)
    pixels[..., :3] = np.asarray(leaves(rng, (90, 70), blur=0.4, noise=0.0))
    rows, columns = np.mgrid[-1:1:70j, -1:1:90j]
    pixels[(rows**2 + columns**2 * float(rng.uniform(1, 2))) < 0.9, 3] = 255
    return pixels
