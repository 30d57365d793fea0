"""Composers without training against their equations, written out with loops over numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sight_kit import DIM, bag, change, scores, sight, unit
from sight_kit import answer as composed

COUNT = 24
TEXT = "in a sketch"
WORDS = ("duck", "car", "tree", "boat", "house", "horse")

Row = list[float]


def gallery(seed: int) -> np.ndarray:
    """Classes and domains as sums of directions, with noise."""
    rng = np.random.default_rng(seed)
    kinds, domains = rng.standard_normal((4, DIM)), rng.standard_normal((3, DIM))
    rows = [kinds[n % 4] + domains[n % 3] + 0.4 * rng.standard_normal(DIM) for n in range(COUNT)]
    return unit(rows)


def plain(vector: np.ndarray) -> Row:
    return [float(x) for x in vector]


def dot(one: Row, other: Row) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def normal(vector: Row) -> Row:
    length = math.sqrt(dot(vector, vector))
    return [x / length for x in vector]


def mixed(*pairs: tuple[float, Row]) -> Row:
    return [sum(weight * row[i] for weight, row in pairs) for i in range(DIM)]


def near(mine: np.ndarray, theirs: list[float]) -> None:
    np.testing.assert_allclose(mine, theirs, atol=2e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_weighted_sum(alpha: float) -> None:
    rows = gallery(1)
    view = sight(rows)
    q = normal(mixed((1 - alpha, plain(rows[5])), (alpha, plain(bag(TEXT)))))
    found = composed(f"weighted_sum:alpha={alpha}", change(TEXT, 5), view)
    near(scores(found, view), [dot(q, plain(row)) for row in rows])


def slow_weicom(rows: np.ndarray, reference: int, text: str, lam: float) -> list[float]:
    branches = []
    for query in (plain(rows[reference]), plain(bag(text))):
        cosines = [dot(query, plain(row)) for row in rows]
        mean = sum(cosines) / len(cosines)
        std = math.sqrt(sum((x - mean) ** 2 for x in cosines) / (len(cosines) - 1))
        branches.append([0.5 * (1 + math.erf((x - mean) / (std * math.sqrt(2)))) for x in cosines])
    return [(1 - lam) * a + lam * b for a, b in zip(*branches, strict=True)]


@pytest.mark.parametrize("lam", [0.01, 0.3, 0.5, 0.9])
def test_weicom(lam: float) -> None:
    rows = gallery(2)
    view = sight(rows)
    found = composed(f"weicom:lam={lam}", change(TEXT, 3), view)
    near(scores(found, view), slow_weicom(rows, 3, TEXT, lam))


@pytest.mark.parametrize("fusion", ["sum", "product", "minimum"])
def test_the_baselines_of_weicom(fusion: str) -> None:
    rows = gallery(3)
    view = sight(rows)
    pairs = [(dot(plain(rows[3]), plain(r)), dot(plain(bag(TEXT)), plain(r))) for r in rows]
    theirs = {
        "sum": [0.6 * a + 0.4 * b for a, b in pairs],
        "product": [a * b for a, b in pairs],
        "minimum": [min(pair) for pair in pairs],
    }
    found = composed(f"weicom:lam=0.4,fusion={fusion}", change(TEXT, 3), view)
    near(scores(found, view), theirs[fusion])


def said(count: int) -> list[list[str]]:
    """Three captions a picture."""
    return [
        [f"{WORDS[n % 6]} {side} {n}" for side in ("left", "right", "far")] for n in range(count)
    ]


def slow_weimocir(
    rows: np.ndarray, reference: int, alpha: float, beta: float, by_caption: bool
) -> list[float]:
    text, captions = plain(bag(TEXT)), said(len(rows))
    q = normal(mixed((1 - alpha, plain(rows[reference])), (alpha, text)))
    found = []
    for row, texts in zip(rows, captions, strict=True):
        total = 0.0
        for own, other in zip(captions[reference], texts, strict=True):
            with_ = q
            if by_caption:
                with_ = normal(mixed((1 - alpha, plain(bag(own))), (alpha, text)))
            total += dot(with_, plain(bag(other)))
        found.append(beta * total / len(texts) + (1 - beta) * dot(q, plain(row)))
    return found


@pytest.mark.parametrize("query", ["image", "caption"])
@pytest.mark.parametrize(("alpha", "beta"), [(0.8, 0.1), (0.35, 0.6), (1.0, 1.0)])
def test_weimocir(alpha: float, beta: float, query: str, tmp_path: Path) -> None:
    rows = gallery(4)
    view = sight(rows)
    file = tmp_path / "captions.json"
    file.write_text(json.dumps({f"{n}.jpg": texts for n, texts in enumerate(said(COUNT))}))
    options = f"alpha={alpha},beta={beta},caption_query={query},shortlist=0,captions={file}"
    found = composed(f"weimocir:{options}", change(TEXT, 7), view)
    near(scores(found, view), slow_weimocir(rows, 7, alpha, beta, query == "caption"))


def slow_freedom(
    rows: np.ndarray, query: Row, domain: str, k: int, n: int, m: int, words: tuple[str, ...]
) -> list[float]:
    cosines = [dot(query, plain(row)) for row in rows]
    best = sorted(range(len(rows)), key=lambda i: (-cosines[i], i))[:k]
    proxies = [plain(rows[i]) for i in best]
    if max(cosines) < 0.98:
        proxies = [query, *proxies[:-1]]
    counts: dict[str, int] = {}
    for proxy in proxies:
        by_word = [dot(proxy, plain(bag(word))) for word in words]
        for place in sorted(range(len(words)), key=lambda i: (-by_word[i], i))[:n]:
            counts[words[place]] = counts.get(words[place], 0) + 1
    met = list(counts)
    kept = sorted(met, key=lambda word: (-counts[word], met.index(word)))[:m]
    top = counts[kept[0]]
    total = mixed(*((counts[word] / top, plain(bag(f"{word} {domain}"))) for word in kept))
    return [dot(normal(total), plain(row)) for row in rows]


@pytest.mark.parametrize(("k", "n", "m"), [(1, 1, 1), (5, 3, 2), (20, 4, 7), (9, 6, 3)])
@pytest.mark.parametrize("references", [(3,), (3, 8)])
def test_freedom(
    k: int,
    n: int,
    m: int,
    references: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one reference the query is in the gallery; the mean of two is not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = gallery(5)
    view = sight(rows)
    (tmp_path / "words").write_text("\n".join(WORDS))
    query = normal(mixed(*((1.0, plain(rows[place])) for place in references)))
    assert (max(dot(query, plain(row)) for row in rows) >= 0.98) == (len(references) == 1)
    options = f"k={k},n={n},m={m},words={tmp_path / 'words'}"
    found = composed(f"freedom:{options}", change("sketch", *references), view)
    near(scores(found, view), slow_freedom(rows, query, "sketch", k, n, m, WORDS))


def slow_pdv(
    rows: np.ndarray, reference: int, alpha: float, alpha_i: float, alpha_t: float, beta: float
) -> list[float]:
    r = plain(rows[reference])
    c0 = r  # what a weighted sum makes of a reference that is not to change
    c1 = normal(mixed((1 - alpha, r), (alpha, plain(bag(TEXT)))))
    step = mixed((1.0, c1), (-1.0, c0))
    by_picture, by_words = mixed((1.0, r), (alpha_i, step)), mixed((1.0, c0), (alpha_t, step))
    q = normal(mixed((1 - beta, by_picture), (beta, by_words)))
    return [dot(q, plain(row)) for row in rows]


@pytest.mark.parametrize(
    ("alpha_i", "alpha_t", "beta"), [(1.1, 0.9, 0.9), (1.4, 1.4, 0.75), (0.0, 2.0, 0.5), (1, 1, 1)]
)
def test_pdv(alpha_i: float, alpha_t: float, beta: float) -> None:
    rows = gallery(6)
    view = sight(rows)
    method = f"pdv:over=weighted_sum:alpha=0.6,alpha_i={alpha_i},alpha_t={alpha_t},beta={beta}"
    found = composed(method, change(TEXT, 2), view)
    near(scores(found, view), slow_pdv(rows, 2, 0.6, alpha_i, alpha_t, beta))
