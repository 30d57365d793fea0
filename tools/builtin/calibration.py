"""calibration.npz: what scores mean, per space: a cohort of unrelated pictures and two numbers.

The cohort is drawn from scenes of the ``fit`` split. Slope and intercept of the logistic curve are
fitted on the ``dev`` scenes (every question with every picture), and the cut-off is the highest
probability that turns away at most ``MISSED`` of the questions that do have an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from needlepoint.bench.needle import load_truth
from needlepoint.encoders.builtin.encoder import BuiltinEncoder
from needlepoint.intake.decode import decode
from needlepoint.parts import Calibration, Floats
from needlepoint.regions.describe import describe
from needlepoint.regions.focus import focus
from needlepoint.regions.recipe import Recipe

COHORT = 64
"""Pictures of the cohort, half from each scene folder."""
MISSED = 0.05
SPACES = ("look", "words")

Pair = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Standardised scores ``[Q * N]``, whether each is right, and the best score a question ``[Q]``."""


def vectors_of(encoder: BuiltinEncoder, files: Sequence[Path]) -> dict[str, Floats]:
    """For each space float32 ``[N, 1 + R, D]``: whole and region vectors of N pictures."""
    rows: dict[str, list[Floats]] = {name: [] for name in SPACES}
    recipe = Recipe.parse("dense")
    for file in files:
        for found in describe(encoder, [decode(file)], recipe)[0]:
            rows[found.space].append(np.concatenate([found.whole[None], found.regions]))
    most = max(len(row) for row in rows["look"])
    return {
        name: np.stack([np.concatenate([r, r[:1].repeat(most - len(r), 0)]) for r in some])
        for name, some in rows.items()
    }


def asked_with(encoder: BuiltinEncoder, file: Path) -> Floats:
    """The vector ``[D]`` of a picture to ask with, as the library makes it."""
    picture = decode(file)
    thing = focus(picture)
    return encoder.query_features([thing], alone=thing is not picture.pixels)[0]


def questions(
    encoder: BuiltinEncoder, folder: Path, space: str
) -> tuple[Floats, np.ndarray, Floats]:
    """Vectors ``[Q, D]`` of a set's questions, their answers ``[Q, N]``, familiarity ``[Q]``.

    To the names of things come as many random words, which nothing answers: without them nothing
    would tell a question the sentence model does not know from one that finds nothing.
    """
    truth = load_truth(folder)
    column = {picture.file: i for i, picture in enumerate(truth.pictures)}
    if space == "look":
        asked = [
            (asked_with(encoder, folder / file), set(q.positives))
            for q in truth.queries
            for file in (q.cutout or q.file, q.file)
        ]
        vectors = np.stack([vector for vector, _ in asked])
        answers = [positives for _, positives in asked]
        familiar = np.zeros(len(asked), np.float32)
    else:
        names = sorted({o.name for p in truth.pictures for o in p.objects})
        texts = names + nonsense(len(names))
        vectors = encoder.text_features(texts).vector
        answers = [
            {p.file for p in truth.pictures if any(o.name == text for o in p.objects)}
            for text in texts
        ]
        familiar = encoder.familiarity(texts)
    right = np.zeros((len(answers), len(column)), np.bool_)
    for i, positives in enumerate(answers):
        right[i, [column[file] for file in positives]] = True
    return vectors, right, familiar


def standardised(cohort: Floats, asked: Floats, gallery: Floats) -> np.ndarray:
    """Scores ``[Q, N]``: best cosine with each picture, in standard deviations of the cohort's."""
    ruler = Calibration(cohort, 1.0, 0.0, 0.5)
    rows = []
    for question in asked:
        mean, std = ruler.background(question)
        rows.append(((gallery @ question).max(axis=1) - mean) / std)
    return np.stack(rows)


def nonsense(count: int) -> list[str]:
    """Random letters, five to ten at a time: questions that nothing answers."""
    draw = np.random.default_rng(1)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return ["".join(draw.choice(letters, draw.integers(5, 11))) for _ in range(count)]


def logistic(features: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Weights of the features ``[n, F]`` by Newton's method on the log-likelihood (Platt 1999)."""
    x = features.astype(np.float64)
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        curve = x.T @ (x * (chance * (1 - chance))[:, None]) + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(curve, x.T @ (right - chance))
        weights += step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def build(folder: Path, cohort_sets: Sequence[Path], dev_sets: Sequence[Path]) -> None:
    """Write calibration.npz: cohort, slope, intercept and cut-off of each space."""
    encoder = BuiltinEncoder(threads=2)
    files = [
        file
        for one in cohort_sets
        for file in sorted((one / "pictures").iterdir())[::2][: COHORT // len(cohort_sets)]
    ]
    cohort = {k: v.astype(np.float16) for k, v in vectors_of(encoder, files).items()}
    galleries = [
        vectors_of(encoder, [one / p.file for p in load_truth(one).pictures]) for one in dev_sets
    ]
    arrays: dict[str, np.ndarray] = {}
    for space in SPACES:
        base = cohort[space].astype(np.float32)
        rows, rights, best = [], [], []
        for one, gallery in zip(dev_sets, galleries, strict=True):
            asked, right, familiar = questions(encoder, one, space)
            score = standardised(base, asked, gallery[space])
            rows.append(np.stack([score, np.broadcast_to(familiar[:, None], score.shape)], -1))
            rights.append(right)
            answered = right.any(axis=1)
            best.append(np.stack([score.max(axis=1), familiar], -1)[answered])
        usual = float(np.median(np.concatenate(best)[:, 1]))
        pairs = np.concatenate([row.reshape(-1, 2) for row in rows])
        known = np.ptp(pairs[:, 1]) > 0
        columns = [pairs[:, 0], *([pairs[:, 1] - usual] if known else []), np.ones(len(pairs))]
        truth = np.concatenate([right.ravel() for right in rights])
        slope, *price, intercept = logistic(np.stack(columns, 1), truth)
        worth = float(price[0] / slope) if price else 0.0
        top = np.concatenate(best)
        edge = np.quantile(top[:, 0] - worth * (usual - top[:, 1]), MISSED)
        arrays |= {
            f"{space}_cohort": cohort[space],
            f"{space}_slope": np.float64(slope),
            f"{space}_intercept": np.float64(intercept),
            f"{space}_cutoff": np.float64(1 / (1 + np.exp(-(slope * edge + intercept)))),
            f"{space}_usual": np.float64(usual),
            f"{space}_price": np.float64(worth),
        }
    np.savez(folder / "calibration.npz", **arrays)
