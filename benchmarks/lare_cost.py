"""What LARE adds to the passes it needs: whole picture, 1 + n passes, and the method itself.

Run:  python benchmarks/lare_cost.py [--encoder builtin --encoder ViT-B-32] [--repeats 7]

The aim is at most 5 % above the 1 + n passes over the same pictures and the same crops, cut and
squeezed to the encoder's square as for any method that re-encodes crops. What comes on top is
finding them: the tap (column sums of one block's attention), the map, windows and suppression.
Encoders named as in open_clip have random weights: the cost does
not depend on them, and boxes lie wherever those weights do not look. Time is the process's own
(user and system) on one thread, so that other programs on the machine count little; every repeat
runs all ways once, in an order that turns, and ratios are taken within a repeat.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from common import write_rows
from needlepoint.encoders.builtin.encoder import BuiltinEncoder
from needlepoint.methods.fine_grained.lare import LareDescriber, read
from needlepoint.parts import Encoder, EncoderCard, SpaceCard
from needlepoint.picture import Picture, Pixels
from needlepoint.regions.cropped import cut_box, encode_all, squeezed

PICTURES, WIDTH, HEIGHT = 8, 640, 480
SEED = 20_261_121
AIM = 5.0
"""Percent above 1 + n passes."""


def scenes() -> list[Picture]:
    """Seeded colour waves with noise; what they show does not matter to the cost."""
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    made = []
    for _ in range(PICTURES):
        waves = [np.sin(x / rng.uniform(9, 90) + y / rng.uniform(9, 90)) for _ in range(3)]
        noise = rng.normal(0, 12, (HEIGHT, WIDTH, 3))
        pixels = np.clip(128 + 90 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)
        made.append(Picture.from_pixels(pixels))
    return made


def random_vit(name: str) -> Encoder:
    """The image tower of an open_clip architecture with random weights."""
    import open_clip
    import torch

    from needlepoint.encoders.open_clip import read_preprocess
    from needlepoint.encoders.open_clip_towers import image_tower
    from needlepoint.encoders.vit import TorchViT

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    model = open_clip.create_model(name, pretrained=None).eval()
    tower, preprocess = image_tower(model.visual), read_preprocess(model.visual)
    if tower is None:
        raise SystemExit(f"{name} has no plain vision transformer")
    dim = int(open_clip.get_model_config(name)["embed_dim"])
    facts: dict[str, Any] = {
        "title": name, "family": "open_clip", "dim": dim, "weights_hash": "random",
        "spaces": (SpaceCard("joint", dim, "i8", ("image", "text")),), "licence": "none",
        "input_size": preprocess.size, "resize": preprocess.rule, "mean": preprocess.mean,
        "std": preprocess.std, "interpolation": preprocess.interpolation, "patch": tower.patch,
        "blocks": len(tower.blocks), "prefix": tower.prefix, "abilities": ("received",),
    }  # fmt: skip
    card = EncoderCard(address=f"open_clip:{name}/random", **facts)
    return TorchViT(card, preprocess, tower, "cpu", 1)


def own_time(work: Callable[[], object]) -> float:
    """Milliseconds of processor time."""
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def measure(encoder: Encoder, pictures: Sequence[Picture], repeats: int) -> dict[str, object]:
    """One row: the median over repeats, a picture."""
    describer = LareDescriber(read(""))
    pixels = [picture.pixels for picture in pictures]
    boxes = [one[0].boxes for one in describer.describe(encoder, pictures)]
    side = encoder.card.input_size

    def crops() -> list[Pixels]:
        return [
            squeezed(cut_box(picture, box), side)
            for picture, some in zip(pictures, boxes, strict=True)
            for box in some
        ]

    block = describer.options.block(encoder.card)
    ways: dict[str, Callable[[], object]] = {
        "whole": lambda: encode_all(encoder, pixels),
        "whole_with_tap": lambda: encoder.image_features(
            pixels, want=frozenset({"received"}), block=block
        ),
        "crops_cut": crops,
        "one_plus_n": lambda: (encode_all(encoder, pixels), encode_all(encoder, crops())),
        "boxes_alone": lambda: describer.proposals(encoder, pictures),
        "lare": lambda: describer.describe(encoder, pictures),
    }
    seen: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seen[name].append(own_time(ways[name]) / len(pictures))
    over = [
        100 * (lare / plain - 1)
        for lare, plain in zip(seen["lare"], seen["one_plus_n"], strict=True)
    ]
    return {
        "encoder": encoder.card.address,
        "input": encoder.card.input_size,
        "pictures": len(pictures),
        "passes": round(1 + sum(map(len, boxes)) / len(pictures), 2),
        **{f"ms_{name}": round(statistics.median(times), 2) for name, times in seen.items()},
        "over_percent": round(statistics.median(over), 2),
        "over_lowest": round(min(over), 2),
        "over_highest": round(max(over), 2),
        "aim_percent": AIM,
        "repeats": repeats,
        "threads": 1,
        "seed": SEED,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", action="append", help="builtin or an open_clip architecture")
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    pictures = scenes()
    rows = []
    with threadpool_limits(1, user_api="blas"):
        for name in asked.encoder or ["builtin", "ViT-B-32"]:
            encoder = BuiltinEncoder(threads=1) if name == "builtin" else random_vit(name)
            rows.append(measure(encoder, pictures, asked.repeats))
            print(rows[-1], flush=True)
    print(write_rows("lare-cost", rows))


if __name__ == "__main__":
    main()
