"""How far "probability" and "nothing here matches" can be believed, on scenes not used for fitting.

    python benchmarks/calibration.py /tmp/scenes/2d-test /tmp/scenes/3d-test

Both numbers were fitted on the ``dev`` splits. Here every question of a set is asked in its own
gallery and in the gallery of the other set, which holds none of its things. Space ``look``:
questions are the cut-outs and the pictures of the things. Space ``words``: the names of the things;
unanswerable are names of the other set whose noun no thing of the gallery carries, and strings of
random letters. Pictures are described and kept as the library keeps them (32 regions, 4 bits).

Rows of the CSV: ``pairs`` (every question with every picture) and ``first`` (the first answer of
every question) by predicted probability, and ``cut-off`` with the shares turned away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np

from common import CACHE, Remembering, hardware, write_rows
from needlepoint.bench.metrics import bootstrap_interval
from needlepoint.bench.needle import load_truth
from needlepoint.bench.needle.families import head_noun
from needlepoint.bench.needle.truth import Truth
from needlepoint.intake.decode import decode
from needlepoint.parts import Calibration, Floats
from needlepoint.regions.describe import describe
from needlepoint.regions.focus import focus
from needlepoint.regions.recipe import Recipe
from needlepoint.search.codes import decode as uncode
from needlepoint.search.codes import encode as code

SPACES = ("look", "words")
EDGES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
NONSENSE = 200


@dataclass(frozen=True)
class Gallery:
    """A set's pictures: for each space float32 ``[N, 1 + R, D]``."""

    truth: Truth
    folder: Path
    vectors: dict[str, list[Floats]]


def gallery_of(encoder: Remembering, folder: Path) -> Gallery:
    """Describe all pictures of a set, through the codecs of the store."""
    truth = load_truth(folder)
    kept: dict[str, list[Floats]] = {space: [] for space in SPACES}
    for picture in truth.pictures:
        found = describe(encoder, [decode(folder / picture.file)], Recipe.parse("dense"))[0]
        for one in found:
            dim = len(one.whole)
            whole = uncode(code(one.whole[None], "i8"), "i8", dim)
            regions = uncode(code(one.regions, "b4"), "b4", dim)
            kept[one.space].append(np.concatenate([whole, regions]))
    return Gallery(truth, folder, kept)


@dataclass(frozen=True)
class Questions:
    """Questions of one kind: vectors ``[Q, D]``, names, and what answers each in its own set."""

    kind: str
    space: str
    vectors: Floats
    names: list[str]
    positives: list[frozenset[str]]
    handicaps: Floats


def pictures_of(encoder: Remembering, gallery: Gallery, kind: str) -> Questions:
    """Questions by cut-out or by picture."""
    files, folder = gallery.truth.queries, gallery.folder
    names = [(q.cutout or q.file) if kind == "cut-out" else q.file for q in files]
    rows = []
    for name in names:
        picture = decode(folder / name)
        thing = focus(picture)
        alone = thing is not picture.pixels
        rows.append(encoder.query_features([thing], alone=alone)[0])
    things = [q.object_id for q in files]
    positives = [frozenset(q.positives) for q in files]
    none = np.zeros(len(files), np.float32)
    return Questions(kind, "look", np.stack(rows), things, positives, none)


def names_of(encoder: Remembering, gallery: Gallery) -> Questions:
    """Questions by name: every picture that holds a thing of the name answers it."""
    holders: dict[str, set[str]] = {}
    for picture in gallery.truth.pictures:
        for thing in picture.objects:
            holders.setdefault(thing.name, set()).add(picture.file)
    names = sorted(holders)
    told = encoder.text_features(names)
    positives = [frozenset(holders[n]) for n in names]
    return Questions("name", "words", told.vector, names, positives, told.handicap)


def nonsense(encoder: Remembering, count: int) -> Questions:
    """Strings of random letters, seeded."""
    draw = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    texts = ["".join(draw.choice(letters, draw.integers(4, 11))) for _ in range(count)]
    told = encoder.text_features(texts)
    nothing = [frozenset[str]()] * count
    return Questions("random letters", "words", told.vector, texts, nothing, told.handicap)


def standard_scores(asked: Questions, gallery: Gallery, ruler: Calibration) -> Floats:
    """Scores ``[Q, N]`` in standard deviations of the cohort's."""
    best = np.stack([(rows @ asked.vectors.T).max(0) for rows in gallery.vectors[asked.space]], 1)
    both = zip(asked.vectors, asked.handicaps, strict=True)
    ground = np.array([ruler.background(vector, float(handicap)) for vector, handicap in both])
    scores: Floats = (best - ground[:, :1]) / ground[:, 1:]
    return scores


def reliability(
    section: str, chance: np.ndarray, right: np.ndarray, facts: dict[str, Any]
) -> list[dict[str, Any]]:
    """One row a bin of predicted probability, and the expected calibration error over them."""
    rows, error = [], 0.0
    for low, high in pairwise(EDGES):
        inside = (chance >= low) & ((chance < high) | (high == 1.0))
        count = int(inside.sum())
        if not count:
            continue
        predicted, observed = float(chance[inside].mean()), float(right[inside].mean())
        error += count / len(chance) * abs(predicted - observed)
        rows.append(
            {
                "section": section,
                **facts,
                "bin": f"{low:g}-{high:g}",
                "count": count,
                "predicted": round(predicted, 4),
                "observed": round(observed, 4),
            }
        )
    total = {"bin": "all", "count": len(chance), "predicted": round(float(chance.mean()), 4)}
    total |= {"observed": round(float(right.mean()), 4), "error": round(error, 4)}
    return [*rows, {"section": section, **facts, **total}]


def turned_away(
    best: np.ndarray, edge: float, answer: str, facts: dict[str, Any], answered: np.ndarray
) -> dict[str, Any]:
    """Share of the questions whose best score stays below the cut-off.

    ``separation`` is how often a question with an answer scores higher than one of these: the area
    under the curve of hits against false alarms, .5 for a score that cannot tell them apart.
    """
    spread = bootstrap_interval((best < edge).astype(float))
    return {
        "section": "cut-off",
        **facts,
        "answer": answer,
        "count": len(best),
        "turned_away": round(spread.estimate, 4),
        "low": round(spread.low, 4),
        "high": round(spread.high, 4),
        "separation": round(float((answered[:, None] > best[None]).mean()), 4),
    }


def without_shared(asked: Questions, gallery: Gallery) -> Questions:
    """Those questions by name whose noun no thing of a gallery carries."""
    nouns = {head_noun(thing.name) for p in gallery.truth.pictures for thing in p.objects}
    keep = [i for i, name in enumerate(asked.names) if head_noun(name) not in nouns]
    names, positives = [asked.names[i] for i in keep], [asked.positives[i] for i in keep]
    return Questions(
        asked.kind, asked.space, asked.vectors[keep], names, positives, asked.handicaps[keep]
    )


def measure(encoder: Remembering, galleries: Sequence[Gallery]) -> list[dict[str, Any]]:
    """All rows."""
    rows: list[dict[str, Any]] = []
    for here in galleries:
        others = [one for one in galleries if one is not here]
        kinds = [pictures_of(encoder, here, kind) for kind in ("cut-out", "picture")]
        kinds.append(names_of(encoder, here))
        files = [picture.file for picture in here.truth.pictures]
        for asked in kinds:
            ruler = encoder.calibration(asked.space)
            assert ruler is not None
            facts = {"space": asked.space, "asked": asked.kind, "set": here.folder.name}
            scores = standard_scores(asked, here, ruler)
            right = np.array([[f in some for f in files] for some in asked.positives])
            chance = 1 / (1 + np.exp(-(ruler.slope * scores + ruler.intercept)))
            first = scores.argmax(axis=1)
            row = np.arange(len(first))
            rows += reliability("pairs", chance.ravel(), right.ravel(), facts)
            rows += reliability("first", chance[row, first], right[row, first], facts)
            edge = ruler.threshold()
            answered = scores.max(axis=1)
            rows.append(turned_away(answered, edge, "in the gallery", facts, answered))
            del rows[-1]["separation"]
            for other in others:
                foreign = without_shared(asked, other) if asked.space == "words" else asked
                best = standard_scores(foreign, other, ruler).max(axis=1)
                told = f"not in the gallery ({other.folder.name})"
                rows.append(turned_away(best, edge, told, facts, answered))
        # `answered` still holds the questions by name, the last kind.
        letters = nonsense(encoder, NONSENSE)
        ruler = encoder.calibration("words")
        assert ruler is not None
        best = standard_scores(letters, here, ruler).max(axis=1)
        facts = {"space": "words", "asked": letters.kind, "set": here.folder.name}
        rows.append(turned_away(best, ruler.threshold(), "nowhere", facts, answered))
    return rows


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), show_default=True)
def main(folders: tuple[Path, ...], cache: Path) -> None:
    """Measure, print, and write the CSV."""
    encoder = Remembering(cache)
    rows = measure(encoder, [gallery_of(encoder, folder) for folder in folders])
    for row in rows:
        click.echo("  ".join(f"{key}={value}" for key, value in row.items()))
    click.echo(f"{write_rows('calibration', rows)} ({hardware()})")


if __name__ == "__main__":
    main()
