"""Questions in words: what the built-in concept search finds, and what its parts are worth.

    python benchmarks/words.py /tmp/scenes/2d-test /tmp/scenes/3d-test samples \\
        --stamps /usr/share/tuxpaint/stamps

A question is the name of a thing; every picture that holds a thing of this name answers it. Chance
is the expected average precision of a random order. ``whole`` asks the whole-picture vector,
``regions`` the best of it and the 32 regions. With --stamps, names are also asked of the
photographed stamps of the ``test`` split, each alone on grey (temperature and width were chosen on
those of ``dev``). Rows beside ``shipped`` change one thing: how many classes take part, the
temperature, what a class is described by, or how many axes are kept. These need WordNet's texts
from the package timm; without it their rows are left out. Vectors are float32 here.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from common import CACHE, Remembering, hardware, write_rows
from needlepoint.bench.metrics import (
    average_precision,
    bootstrap_interval,
    expected_average_precision,
    hit_at_k,
    rank_by_score,
)
from needlepoint.bench.needle import load_truth
from needlepoint.bench.needle.assets import stamps_in
from needlepoint.encoders.builtin.encoder import load_arrays
from needlepoint.encoders.builtin.words import Concepts, Sentences, unit
from needlepoint.intake.decode import decode
from needlepoint.parts import Floats
from needlepoint.picture import Picture
from needlepoint.regions.describe import describe
from needlepoint.regions.recipe import Recipe

ROOT = Path(__file__).parent.parent
BEST = 10
WIDTH = 64


class Listening(Remembering):
    """Notes the pooled features that are about to become vectors of words."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.heard: list[Floats] = []

    def project(self, means: Floats, space: str) -> Floats:
        """As the encoder's own."""
        if space == "words":
            self.heard.append(means)
        return super().project(means, space)


@dataclass(frozen=True)
class Task:
    """A gallery and its questions: features ``[1 + R, C]`` a picture, and who answers a name."""

    name: str
    means: list[Floats]
    holders: dict[str, set[int]]


def features(encoder: Listening, picture: Picture) -> Floats:
    """Pooled features ``[1 + R, C]`` of the whole picture and of its regions."""
    encoder.heard.clear()
    describe(encoder, [picture], Recipe.parse("dense"))
    return np.concatenate([np.atleast_2d(rows) for rows in encoder.heard])


def scenes(encoder: Listening, folder: Path) -> Task:
    """A set of scenes."""
    truth = load_truth(folder)
    holders: dict[str, set[int]] = {}
    for i, picture in enumerate(truth.pictures):
        for thing in picture.objects:
            holders.setdefault(thing.name, set()).add(i)
    return Task(
        folder.name,
        [features(encoder, decode(folder / picture.file)) for picture in truth.pictures],
        holders,
    )


def stamps(encoder: Listening, folder: Path) -> Task:
    """Photographed stamps of the ``test`` split, alone on grey."""
    means: list[Floats] = []
    holders: dict[str, set[int]] = {}
    for stamp in stamps_in(folder):
        if stamp.split == "test" and stamp.photo:
            with Image.open(stamp.path) as opened:
                cut = opened.convert("RGBA")
            grey = Image.new("RGB", cut.size, (128, 128, 128))
            grey.paste(cut, (0, 0), cut)
            holders.setdefault(stamp.name, set()).add(len(means))
            means.append(features(encoder, Picture.from_pixels(np.asarray(grey))))
    return Task("stamps-test", means, holders)


Bridge = tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]
"""Features ``[..., C]`` to vectors, and sentence vectors ``[N, 384]`` to vectors."""


class FewClasses(Concepts):
    """ConSE as published: only the most probable classes take part."""

    def of_means(self, means: Floats) -> Floats:
        """As the encoder's own, with BEST classes."""
        logits = (means @ self._weight.T + self._bias) * self._sharpness
        edge = np.partition(logits, -BEST, axis=-1)[..., -BEST, None]
        weights = np.where(logits >= edge, np.exp(logits - logits.max(-1, keepdims=True)), 0)
        return unit(weights / weights.sum(-1, keepdims=True) @ self._classes)


def bridges() -> Iterator[tuple[str, Bridge]]:
    """The shipped bridge and its variants."""
    head, names = load_arrays("classifier.npz"), load_arrays("concepts.npz")
    weight, bias = (head[part].astype(np.float32) for part in ("weight", "bias"))
    classes, mean, basis = (names[part].astype(np.float32) for part in ("classes", "mean", "basis"))
    temperature = float(names["temperature"])

    def ready(concepts: Concepts) -> Bridge:
        return concepts.of_means, concepts.of_sentences

    kept = (classes, mean, basis)
    yield "shipped", ready(Concepts(weight, bias, *kept, temperature))
    yield f"{BEST} best classes", ready(FewClasses(weight, bias, *kept, temperature))
    yield "temperature 1", ready(Concepts(weight, bias, *kept, 1.0))
    if importlib.util.find_spec("timm") is None:
        click.echo("the package timm is not here: no rows on how classes are described", err=True)
        return
    sys.path.insert(0, str(ROOT / "tools"))
    from builtin.concepts import class_texts, sentence_vectors

    with as_file(files("needlepoint.encoders.builtin") / "data") as data:
        texts = class_texts()
        flat = sentence_vectors(data, [text for some in texts for text in some])
    ends = np.cumsum([len(some) for some in texts])
    parts = np.split(flat, ends[:-1])
    first = np.stack([part[0] for part in parts])
    lemmas = unit(np.stack([part[:-1].mean(0) for part in parts]))
    defined = np.stack([part[-1] for part in parts])
    both = unit(lemmas + defined)
    for name, rows, width in (
        ("classes by their first name", first, WIDTH),
        ("classes by all their names", lemmas, WIDTH),
        ("classes by name and definition", defined, WIDTH),
        ("names and definition, 384 axes", both, 384),
    ):
        middle = rows.mean(0)
        _, axes = np.linalg.eigh((rows - middle).T.astype(np.float64) @ (rows - middle))
        turn = axes[:, ::-1][:, :width].astype(np.float32)
        concepts = Concepts(weight, bias, (rows - middle) @ turn, middle, turn, temperature)
        yield name, ready(concepts)


def scored(task: Task, bridge: Bridge, sentences: Floats, places: bool) -> dict[str, float]:
    """mAP, R@1, R@5, R@10 over the names of a task."""
    of_means, of_sentences = bridge
    asked = of_sentences(sentences)
    kept = task.means if places else [some[:1] for some in task.means]
    every = of_means(np.concatenate(kept)) @ asked.T
    best = np.maximum.reduceat(every, np.cumsum([0, *map(len, kept[:-1])]), axis=0).T
    rankings = [rank_by_score(row, range(len(row))) for row in best]
    pairs = list(zip(rankings, task.holders.values(), strict=True))
    spread = bootstrap_interval([average_precision(r, w) for r, w in pairs])
    out = {
        "mAP": round(spread.estimate, 4),
        "mAP_low": round(spread.low, 4),
        "mAP_high": round(spread.high, 4),
    }
    for k in (1, 5, 10):
        out[f"R@{k}"] = round(float(np.mean([hit_at_k(r, w, k) for r, w in pairs])), 4)
    return out


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--stamps", "stamp_folder", type=click.Path(path_type=Path, exists=True))
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
def main(folders: tuple[Path, ...], stamp_folder: Path | None, cache: Path) -> None:
    """Measure, print, and write the CSV."""
    rows: list[dict[str, Any]] = []
    with threadpool_limits(1, user_api="blas"):
        encoder = Listening(cache)
        tasks = [scenes(encoder, folder) for folder in folders]
        if stamp_folder is not None:
            tasks.append(stamps(encoder, stamp_folder))
        reader = Sentences(threads=2)
        sentences = [reader.encode(list(task.holders)) for task in tasks]
        for name, bridge in bridges():
            for task, asked in zip(tasks, sentences, strict=True):
                count = len(task.means)
                answers = [len(some) for some in task.holders.values()]
                chance = np.mean([expected_average_precision(n, count) for n in answers])
                for places in (False, True):
                    rows.append(
                        {
                            "set": task.name,
                            "bridge": name,
                            "asked": "regions" if places else "whole",
                            **scored(task, bridge, asked, places),
                            "chance_mAP": round(float(chance), 4),
                            "pictures": count,
                            "names": len(answers),
                        }
                    )
                    click.echo("  ".join(f"{k}={v}" for k, v in rows[-1].items()))
    click.echo(f"{write_rows('words', rows)} ({hardware()})")


if __name__ == "__main__":
    main()
