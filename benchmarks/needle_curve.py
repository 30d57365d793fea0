"""The curve of search quality against bytes kept of a picture, input size and time.

    python benchmarks/needle_curve.py /tmp/scenes/2d-test /tmp/scenes/3d-test \\
        --fit /tmp/scenes/2d-fit-sc --fit /tmp/scenes/3d-fit-sc

Sets are made by `needlepoint bench build`. Every picture goes through the network once for each
input size (the maps are kept under --cache, so a second run takes a minute or two); what may be
stored of it is then derived from the maps with the product's own code. Questions are the cut-out
pictures, asked as the library asks them. ``bytes`` is the payload of the space ``look``: codes of
the regions, 8 bytes for each box, and the whole-picture vector. ``ms_cpu`` is processor time of a
picture on one thread: the passes, measured anew in every run on --timed pictures, and the mean
time of choosing the representatives, measured over the set. --fit folders give the covariance of
the plain PCA whitening, an ablation; without them its row is left out.

The default was chosen on the ``dev`` splits; figures of the ``test`` splits are for reporting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from threadpoolctl import threadpool_limits

from common import CACHE, Remembering, hardware, write_rows
from needlepoint.bench.metrics import bootstrap_interval, rank_by_score
from needlepoint.bench.needle import load_truth
from needlepoint.bench.needle.truth import SceneQuery, Truth
from needlepoint.bench.needle_run import Ranking, score_needles
from needlepoint.encoders.builtin.encoder import WHOLE_SIDE, BuiltinEncoder
from needlepoint.intake.decode import decode
from needlepoint.parts import Floats
from needlepoint.picture import Pixels
from needlepoint.regions.dense import representatives, span_boxes, window_means, window_spans
from needlepoint.regions.describe import WINDOW_SIZES, describe
from needlepoint.regions.focus import focus
from needlepoint.regions.recipe import Recipe
from needlepoint.search.codes import code_bytes
from needlepoint.search.codes import decode as uncode
from needlepoint.search.codes import encode as code

SIDES = (512, 768, 1024, 1536, 2048)
SIDE = 1024
COUNTS = (4, 8, 16, 32, 64, 128)
CODECS = ("float32", "i8", "b4", "sign")
WIDTHS = {96: (16, 32, 64), 192: (16, 32, 64), 384: COUNTS}
"""Leading numbers of a vector that are kept, and the counts tried with them."""
BOX_BYTES = 8
GRIDS = (9, 25)


def unit(rows: Floats) -> Floats:
    """Rows scaled to unit length."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def stored(rows: Floats, codec: str) -> Floats:
    """What is left of unit vectors after a codec; ``sign`` keeps one bit a number."""
    if codec == "float32":
        return rows
    if codec == "sign":
        return np.where(rows >= 0, 1, -1).astype(np.float32) / np.float32(np.sqrt(rows.shape[1]))
    return uncode(code(rows, codec), codec, rows.shape[1])


def width_bytes(codec: str, dim: int) -> float:
    """Bytes of one vector."""
    sizes = {"float32": 4.0 * dim, "sign": dim / 8}
    return sizes[codec] if codec in sizes else code_bytes(codec, dim)


@dataclass
class Variant:
    """One way to keep a picture: what each picture of a set answered to every question."""

    facts: dict[str, Any]
    bytes: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best: list[Floats] = field(default_factory=list)
    boxes: list[Floats] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """One picture kept in one way: scores ``[Q]``, boxes ``[Q, 4]`` (nan for the whole)."""

    key: str
    facts: dict[str, Any]
    bytes: float
    seconds: float
    best: Floats
    boxes: Floats


def answer(
    key: str,
    facts: dict[str, Any],
    size: float,
    questions: Floats,
    kept: tuple[Floats, Floats],
    whole: Floats | None,
    seconds: float = 0.0,
) -> Answer:
    """Best cosine of every question with the kept vectors, and the box it came from."""
    vectors, boxes = kept
    best = np.full(len(questions), -2.0, np.float32)
    where = np.full((len(questions), 4), np.nan, np.float32)
    if len(vectors):
        scores = questions @ vectors.T
        top = scores.argmax(axis=1)
        best, where = scores[np.arange(len(top)), top], boxes[top].copy()
    if whole is not None:
        alone = questions @ whole
        where[alone >= best] = np.nan
        best = np.maximum(best, alone)
    return Answer(key, facts, size, seconds, best, where)


def chosen(windows: Floats, boxes: Floats, count: int, **how: Any) -> tuple[Floats, Floats, float]:
    """Representatives, their boxes, and the processor seconds they took."""
    started = time.thread_time()
    found = representatives(windows, count, **how)
    return found.vectors, boxes[found.nearest], time.thread_time() - started


class Keeper:
    """Keeps one picture in every way and asks each way every question."""

    def __init__(
        self,
        encoder: Remembering,
        asked: Sequence[Pixels],
        plain: tuple[Floats, Floats] | None,
    ) -> None:
        self._encoder = encoder
        self._asked = encoder.query_features(asked)
        sides = encoder.card.extra["query_sides"]["alone"]
        means = [
            [
                encoder.cells(view, side).mean((0, 1))
                for side in sides
                for view in (pixels, np.ascontiguousarray(pixels[:, ::-1]))
            ]
            for pixels in asked
        ]
        self._views = np.array(means, np.float32)
        self._plain = plain

    def keep(self, pixels: Pixels) -> Iterator[Answer]:
        """Every way of keeping one picture."""
        whole = self._encoder.image_features([pixels]).vector[0]
        dim = len(whole)
        none = np.zeros((0, dim), np.float32), np.zeros((0, 4), np.float32)
        facts = {"kept": "whole picture only", "codec": "i8", "dim": dim, "passes": 1}
        kept = stored(whole[None], "i8")[0]
        yield answer("whole", facts, dim, self._asked, none, kept)
        maps: dict[tuple[int, ...], list[Answer]] = {}
        for side in SIDES:
            features = self._encoder.dense_features(pixels, long_side=side)
            assert features.lead is not None
            shape = features.lead.shape
            if shape not in maps:
                spans = window_spans(*shape[:2], WINDOW_SIZES)
                windows = unit(window_means(features.lead, spans))
                boxes = span_boxes(spans, features)
                maps[shape] = list(self._at(side, windows, boxes, whole))
                if side == SIDE:
                    yield from self._stores(windows, boxes, whole)
                    yield from self._other_spaces(features.cells, spans, boxes)
            # A small picture is not enlarged without end: larger sizes may be the same pass.
            for one in maps[shape]:
                yield Answer(
                    f"{one.key}@{side}",
                    {**one.facts, "input_side": side, "cells": f"{shape[0]}x{shape[1]}"},
                    *(one.bytes, one.seconds, one.best, one.boxes),
                )
        yield from self._grids(pixels)

    def _at(self, side: int, windows: Floats, boxes: Floats, whole: Floats) -> Iterator[Answer]:
        """Every window, and the default, at one input size."""
        dim = len(whole)
        facts = {"dim": dim, "passes": 2, "input_side": side}
        size = len(windows) * (4.0 * dim + BOX_BYTES) + 4 * dim
        every = {"kept": "every window", "codec": "float32", **facts}
        yield answer("every", every, size, self._asked, (windows, boxes), whole)
        some, places, seconds = chosen(windows, boxes, 32)
        size = len(some) * (dim / 2 + BOX_BYTES) + dim
        few = {"kept": "representatives", "R": 32, "codec": "b4", **facts}
        kept = stored(some, "b4"), places
        rest = stored(whole[None], "i8")[0]
        yield answer("default", few, size, self._asked, kept, rest, seconds)

    def _stores(self, windows: Floats, boxes: Floats, whole: Floats) -> Iterator[Answer]:
        """Counts, widths and codecs at the default input size, and what was left out."""
        full = len(whole)
        for dim, counts in WIDTHS.items():
            cut, asked = unit(windows[:, :dim]), unit(self._asked[:, :dim])
            lead = unit(whole[:dim])
            base = {"dim": dim, "passes": 2, "input_side": SIDE}
            if dim != full:
                size = len(cut) * (4.0 * dim + BOX_BYTES) + 4 * dim
                facts = {"kept": "every window", "codec": "float32", **base}
                yield answer(f"every/{dim}", facts, size, asked, (cut, boxes), lead)
            for count in counts:
                some, places, seconds = chosen(cut, boxes, count)
                for codec in CODECS if dim == full else CODECS[2:]:
                    finer = {"float32": "float32"}.get(codec, "i8")
                    size = len(some) * (width_bytes(codec, dim) + BOX_BYTES)
                    size += width_bytes(finer, dim)
                    facts = {"kept": "representatives", "R": count, "codec": codec, **base}
                    kept, rest = (stored(some, codec), places), stored(lead[None], finer)[0]
                    key = f"{count}x{dim}x{codec}"
                    yield answer(key, facts, size, asked, kept, rest, seconds)
                    if (count, dim, codec) == (32, full, "b4"):
                        facts = {**facts, "kept": "representatives, no whole vector"}
                        size -= width_bytes(finer, dim)
                        yield answer(f"{key}-", facts, size, asked, kept, None, seconds)
        size = len(windows) * (4.0 * full + BOX_BYTES)
        facts = {"kept": "every window, no whole vector", "codec": "float32", **base}
        yield answer("every-", facts, size, self._asked, (windows, boxes), None)
        for name, how in (
            ("equal weights, 2 rounds", {"rarity": 0.0}),
            ("equal weights, 8 rounds", {"rarity": 0.0, "rounds": 8}),
            ("rare windows weighed, 8 rounds", {"rounds": 8}),
            ("farthest-first only", {"rounds": 0}),
        ):
            some, places, seconds = chosen(windows, boxes, 32, **how)
            facts = {"kept": f"representatives, {name}", "R": 32, "codec": "b4", **base}
            size = len(some) * (full / 2 + BOX_BYTES) + full
            kept, rest = (stored(some, "b4"), places), stored(whole[None], "i8")[0]
            yield answer(name, facts, size, self._asked, kept, rest, seconds)

    def _other_spaces(self, cells: Floats, spans: np.ndarray, boxes: Floats) -> Iterator[Answer]:
        """Every window of the same map without whitening, and with plain PCA whitening."""
        means = window_means(cells, spans)
        base = {"codec": "float32", "passes": 1, "input_side": SIDE}
        wide = means.shape[1]
        raw = unit(unit(self._views).mean(axis=1))
        facts = {"kept": "every window, features as they are", "dim": wide, **base}
        size = len(means) * (4.0 * wide + BOX_BYTES)
        yield answer("raw", facts, size, raw, (unit(means), boxes), None)
        if self._plain is not None:
            middle, turn = self._plain
            plain = unit((means - middle) @ turn)
            asked = unit(unit((self._views - middle) @ turn).mean(axis=1))
            facts = {"kept": "every window, plain PCA whitening", "dim": plain.shape[1], **base}
            size = len(means) * (4.0 * plain.shape[1] + BOX_BYTES)
            yield answer("pca", facts, size, asked, (plain, boxes), None)

    def _grids(self, pixels: Pixels) -> Iterator[Answer]:
        """Controls: half-overlapping crops, each through the network by itself."""
        from needlepoint.picture import Picture

        for count in GRIDS:
            picture = Picture.from_pixels(pixels, "")
            found = describe(self._encoder, [picture], Recipe.parse(f"windows:{count}"))[0][0]
            dim = len(found.whole)
            facts = {"kept": f"windows:{count}", "codec": "float32", "dim": dim}
            facts |= {"R": count, "passes": count + 1, "input_side": WHOLE_SIDE}
            size = count * (4.0 * dim + BOX_BYTES) + 4 * dim
            kept = found.regions, found.boxes
            yield answer(f"windows:{count}", facts, size, self._asked, kept, found.whole)


def plain_whitening(encoder: Remembering, folders: Sequence[Path], width: int, take: int) -> Any:
    """Mean ``[C]`` and map ``[C, width]`` of PCA whitening over random windows of scenes."""
    draw = np.random.default_rng(0)
    rows = []
    for folder in folders:
        for picture in load_truth(folder).pictures[:take]:
            cells = encoder.cells(decode(folder / picture.file).pixels, SIDE)
            spans = window_spans(*cells.shape[:2], WINDOW_SIZES)
            rows.append(window_means(cells, spans[draw.choice(len(spans), 40, replace=False)]))
    windows = np.concatenate(rows).astype(np.float64)
    values, axes = np.linalg.eigh(np.cov(windows.T))
    values, axes = values[::-1][:width], axes[:, ::-1][:, :width]
    return windows.mean(0).astype(np.float32), (axes * values**-0.5).astype(np.float32)


def pass_times(pictures: Sequence[Pixels], repeats: int = 3) -> dict[int, float]:
    """Processor milliseconds of a pass at each input side, one thread: median over pictures."""
    encoder = BuiltinEncoder(threads=1)
    times: dict[int, list[float]] = {side: [] for side in (WHOLE_SIDE, *SIDES)}
    for round_ in range(repeats + 1):
        for pixels in pictures:
            for side, past in times.items():
                started = time.process_time()
                if side == WHOLE_SIDE:
                    encoder.image_features([pixels])
                else:
                    encoder.dense_features(pixels, long_side=side)
                if round_:
                    past.append((time.process_time() - started) * 1e3)
    return {side: float(np.median(past)) for side, past in times.items()}


def gather(keeper: Keeper, folder: Path, truth: Truth) -> dict[str, Variant]:
    """All pictures of a set, two at a time."""

    def one(file: str) -> list[Answer]:
        return list(keeper.keep(decode(folder / file).pixels))

    variants: dict[str, Variant] = {}
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(2) as pool:
        for answers in pool.map(one, [picture.file for picture in truth.pictures]):
            for found in answers:
                kept = variants.setdefault(found.key, Variant(found.facts))
                kept.bytes.append(found.bytes)
                kept.seconds.append(found.seconds)
                kept.best.append(found.best)
                kept.boxes.append(found.boxes)
    return variants


def scored(truth: Truth, variant: Variant) -> dict[str, Any]:
    """mAP, R@1, R@5 and box hits; intervals draw the questions about one object together."""
    best, boxes = np.stack(variant.best, 1), np.stack(variant.boxes, 1)
    files = [picture.file for picture in truth.pictures]
    row = {id(question): i for i, question in enumerate(truth.queries)}

    def rank(question: SceneQuery) -> Ranking:
        i = row[id(question)]
        order = rank_by_score(best[i], range(len(files)))
        return [
            (files[n], None if np.isnan(boxes[i, n, 0]) else tuple(map(float, boxes[i, n])))
            for n in order
        ]

    score = score_needles(truth, rank, questions=truth.queries)
    things = [question.object_id for question in truth.queries]
    asked = [question.object_id for question in truth.queries for _ in question.positives]
    out: dict[str, Any] = {}
    for name, values, groups in (
        ("mAP", score.ap, things),
        ("R@1", score.r1, things),
        ("R@5", score.r5, things),
        ("box_hits", score.box_hits, asked),
    ):
        spread = bootstrap_interval(values, groups=groups)
        out[name] = round(spread.estimate, 4)
        if name != "R@5":
            out |= {f"{name}_low": round(spread.low, 4), f"{name}_high": round(spread.high, 4)}
    return out


def milliseconds(facts: dict[str, Any], seconds: float, passes: dict[int, float]) -> float:
    """Processor time of a picture: its passes and the choice of representatives."""
    small = passes[WHOLE_SIDE]
    if facts["input_side"] == WHOLE_SIDE:
        return small * facts["passes"]
    return small * (facts["passes"] - 1) + passes[facts["input_side"]] + seconds * 1e3


def measure(
    folder: Path, encoder: Remembering, plain: Any, timed: int, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """All rows of one set."""
    truth = load_truth(folder)
    asked = [focus(decode(folder / (q.cutout or q.file))) for q in truth.queries]
    keeper = Keeper(encoder, asked, plain)
    variants = gather(keeper, folder, truth)
    some = [decode(folder / p.file).pixels for p in truth.pictures[:timed]]
    passes = pass_times(some)
    rows = []
    for variant in variants.values():
        facts = {"input_side": WHOLE_SIDE, **variant.facts}
        spent = milliseconds(facts, float(np.mean(variant.seconds)), passes)
        row = {
            "set": folder.name,
            "kept": facts["kept"],
            "R": facts.get("R", ""),
            "dim": facts["dim"],
            "codec": facts["codec"],
            "input_side": facts["input_side"],
            "cells": facts.get("cells", ""),
            "passes": facts["passes"],
            "bytes": round(float(np.mean(variant.bytes))),
            "ms_cpu": round(spent, 1),
            **scored(truth, variant),
            "pictures": len(truth.pictures),
            "questions": len(truth.queries),
            "seed": truth.seed,
        }
        rows.append(row)
        tell("  ".join(f"{k}={row[k]}" for k in list(row)[:-3] if row[k] != ""))
    return rows


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--fit", "fits", multiple=True, type=click.Path(path_type=Path, exists=True))
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
@click.option("--timed", default=8, show_default=True, help="pictures whose passes are timed")
def main(folders: tuple[Path, ...], fits: tuple[Path, ...], cache: Path, timed: int) -> None:
    """Measure every set in every way and write the CSV."""
    encoder = Remembering(cache)
    dim = encoder.card.dim
    plain = plain_whitening(encoder, fits, dim, take=60) if fits else None
    rows = []
    for folder in folders:
        rows += measure(folder, encoder, plain, timed, click.echo)
    click.echo(f"{write_rows('needle-curve', rows)} ({hardware()})")


if __name__ == "__main__":
    main()
