"""Words for a thing against pieces cut out around things: what a model of pictures and words knows.

    python benchmarks/thing_words.py open_clip:local-dir:weights/compact \\
        --set scenes/crowd-2d-dev --train scenes/crowd-2d-train --train scenes/crowd-3d-train

Cut out are the small things of whole pictures drawn by a seed, 1.3 times as wide as the thing,
until there are ``--pieces`` of them. Every caption of a thing asks once; right are the pieces of
things called the same. Asked for without a colour, things of the same word in a named colour do not
count. Rows of the CSV: all questions, those whose word and colour both occur in the training scenes
together, those whose word does but not in that colour, and those whose word does not. ``first
word`` and ``first colour`` are the shares of first answers with the asked word, and with the asked
colour where one is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from common import write_rows
from needlepoint.bench.metrics import average_precision, bootstrap_interval, hit_at_k
from needlepoint.bench.needle import load_truth
from needlepoint.bench.needle.truth import Placed
from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.convenience import as_pixels
from needlepoint.parts import Floats
from needlepoint.picture import Pixels

SMALL = 0.06
AROUND = 1.3


def cut_out(pixels: Pixels, thing: Placed) -> Pixels:
    """A square around a thing, as far as the picture reaches."""
    x, y, w, h = thing.box
    half = AROUND * max(w, h) / 2
    left, top = max(0, int(x + w / 2 - half)), max(0, int(y + h / 2 - half))
    right, bottom = int(x + w / 2 + half) + 1, int(y + h / 2 + half) + 1
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def pieces_of(folder: Path, most: int, seed: int) -> tuple[list[Pixels], list[Placed]]:
    """Pieces and the things they show."""
    truth = load_truth(folder)
    pieces: list[Pixels] = []
    things: list[Placed] = []
    for place in np.random.default_rng(seed).permutation(len(truth.pictures)):
        if len(pieces) >= most:
            break
        picture = truth.pictures[place]
        pixels = as_pixels(folder / picture.file)
        for thing in picture.objects:
            if thing.caption and thing.visible_fraction >= 0.5 and thing.area_fraction < SMALL:
                pieces.append(cut_out(pixels, thing))
                things.append(thing)
    return pieces, things


def vectors_of(encoder: Any, pieces: Sequence[Pixels]) -> Floats:
    """One vector a piece, in the space in which words are asked."""
    space = encoder.card.space_for("text").name
    rows = []
    for piece in pieces:
        features = encoder.image_features([piece])
        rows.append(features.others.get(space, features.vector)[0])
    return np.stack(rows)


def trained_on(folders: Sequence[str]) -> set[tuple[str, str | None]]:
    """Words with their colours in the truth of training scenes."""
    told = [json.loads((Path(one) / "truth.json").read_text("utf-8")) for one in folders]
    return {
        (thing["word"], thing["colour"])
        for truth in told
        for picture in truth["pictures"]
        for thing in picture["objects"]
    }


@click.command()
@click.argument("model")
@click.option("--set", "folder", required=True, type=click.Path(path_type=Path))
@click.option("--train", multiple=True, type=click.Path())
@click.option("--pieces", default=600, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(model: str, folder: Path, train: tuple[str, ...], pieces: int, seed: int) -> None:
    """Measure one model on one set; writes ``thing-words-MODEL-SET``."""
    encoder: Any = open_encoder(model, threads=1)
    cut, things = pieces_of(folder, pieces, seed)
    kinds = {thing.caption: (thing.word, thing.colour) for thing in things}
    seen = trained_on(train)
    words = {word for word, _ in seen}
    scores = encoder.encode_text(list(kinds)) @ vectors_of(encoder, cut).T
    found: dict[str, list[tuple[float, ...]]] = {}
    for (caption, kind), row in zip(kinds.items(), scores, strict=True):
        right = [i for i, thing in enumerate(things) if thing.caption == caption]
        open_ones = {
            i
            for i, thing in enumerate(things)
            if kind[1] is None and thing.word == kind[0] and thing.colour is not None
        }
        order = [int(i) for i in np.argsort(-row, kind="stable") if i not in open_ones]
        figures = (
            float(hit_at_k(order, right, 1)),
            float(hit_at_k(order, right, 5)),
            float(average_precision(order, right)),
            float(things[order[0]].word == kind[0]),
            float("nan") if kind[1] is None else float(things[order[0]].colour == kind[1]),
        )
        part = "trained pair" if kind in seen else "new pair" if kind[0] in words else "new word"
        for name in ("all", *([part] if train else [])):
            found.setdefault(name, []).append(figures)
    rows = []
    for name, values in found.items():
        columns = np.array(values).T
        interval = bootstrap_interval(columns[2])
        named = ("R@1", "R@5", "mAP", "first word", "first colour")
        measured = {
            column: round(float(np.nanmean(values)), 3)
            for column, values in zip(named, columns, strict=True)
        }
        rows.append(
            {"model": Path(model).name, "set": folder.name, "questions": name,
             "count": columns.shape[1], "pieces": len(cut), **measured,
             "mAP low": round(interval.low, 3), "mAP high": round(interval.high, 3)}
        )  # fmt: skip
        click.echo(rows[-1])
    write_rows(f"thing-words-{Path(model).name}-{folder.name}", rows)


if __name__ == "__main__":
    main()
