"""What holds of composers without training whatever the gallery: ties, duplicates, few pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.bench.array_view import ArrayView
from needlepoint.methods.composed.freedom import frequent
from needlepoint.methods.composed.weicom import calibrated
from needlepoint.parts import Floats
from needlepoint.search.topk import fuse
from needlepoint.store.base import Probe
from sight_kit import DIM, answer, bag, change, composer, scores, sight, unit

METHODS = (
    *("weighted_sum", "weicom", "weicom:fusion=minimum", "weimocir:beta=0.4,shortlist=0"),
    *("freedom:k=3,n=2,words={words}", "pdv:over=weighted_sum,beta=0.4,alpha_i=1.7"),
)
TEXTS = ("red", "blue beach", "without a duck", "")

shares = st.floats(0, 1)
seeds = st.integers(0, 2**32 - 1)
counts = st.integers(1, 9)


@pytest.fixture(scope="module", autouse=True)
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A word list, and a cache folder that is not the user's."""
    folder = tmp_path_factory.mktemp("words")
    (folder / "words").write_text("duck\ncar\ntree\nboat\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder / "words"


def gallery(seed: int, count: int) -> ArrayView:
    """Up to ``count`` different pictures, some of them twice, some with captions."""
    rng = np.random.default_rng(seed)
    rows = unit(rng.standard_normal((count, DIM)))[rng.integers(0, count, count)]
    captions = [("", "a duck", "red car\nboat")[n] for n in rng.integers(0, 3, count)]
    return sight(rows, captions=captions)


def cosines(view: ArrayView, query: Floats) -> Floats:
    return view.scores([Probe(0, query)])


@settings(max_examples=25, deadline=None)
@given(seeds, counts, st.sampled_from(METHODS))
def test_an_answer_does_not_hang_on_what_else_is_asked(
    words: Path, seed: int, count: int, method: str
) -> None:
    view, made = gallery(seed, count), composer(method.format(words=words))
    asked = [change(text, n % count) for n, text in enumerate(TEXTS)]
    together = [scores(found, view) for found in made.compose(asked, view)]
    for one, found in zip(asked, together, strict=True):
        assert scores(made.compose([one], view)[0], view).tobytes() == found.tobytes()


@settings(max_examples=25, deadline=None)
@given(seeds, counts, st.sampled_from(METHODS), st.floats(0.01, 100), st.sampled_from(TEXTS))
def test_scaling_all_references_changes_nothing(
    words: Path, seed: int, count: int, method: str, scale: float, text: str
) -> None:
    view, last = gallery(seed, count), count - 1
    one = change(text, (0, 1.0), (last, 2.0))
    other = change(text, (0, scale), (last, 2 * scale))
    found = [
        scores(answer(method.format(words=words), asked, view), view) for asked in (one, other)
    ]
    assert np.isfinite(found[0]).all()
    assert np.allclose(*found, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(2, 9), st.sampled_from(METHODS[:3]), st.sampled_from(TEXTS))
def test_equal_pictures_score_alike(seed: int, count: int, method: str, text: str) -> None:
    view = gallery(seed, count)
    rows = view.wholes(range(count), 0)
    found = scores(answer(method, change(text, 0), view), view)
    for n in range(count):
        same = (rows == rows[n]).all(axis=1)
        assert np.ptp(found[same]) < 1e-6


@settings(max_examples=50, deadline=None)
@given(seeds, counts, st.sampled_from([0, 1]))
def test_weicom_at_its_ends_orders_as_one_half_does(seed: int, count: int, lam: int) -> None:
    view = gallery(seed, count)
    composed = answer(f"weicom:lam={lam}", change("red", 0), view)
    query = bag("red") if lam else view.wholes([0], 0)[0]
    assert np.allclose(composed.probes[0].vector, query, atol=1e-6)
    plain, found = cosines(view, composed.probes[0].vector), scores(composed, view)
    assert (np.argsort(-found, kind="stable") == np.argsort(-plain, kind="stable")).all()


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(2, 9), st.floats(0.01, 0.99))
def test_weicom_never_turns_two_pictures_round(seed: int, count: int, lam: float) -> None:
    """Of two pictures, one that both halves find better is not the worse one."""
    view = gallery(seed, count)
    found = scores(answer(f"weicom:lam={lam}", change("red", 0), view), view)
    halves = cosines(view, view.wholes([0], 0)[0]), cosines(view, bag("red"))
    better = np.logical_and(*(np.subtract.outer(half, half) > 1e-5 for half in halves))
    assert (np.subtract.outer(found, found)[better] >= 0).all()


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(2, 12), st.floats(0.01, 100), st.floats(-50, 50), shares)
def test_weicom_is_blind_to_the_scale_of_either_half(
    seed: int, count: int, scale: float, shift: float, lam: float
) -> None:
    raw = np.random.default_rng(seed).uniform(-1, 1, (count, 2))

    def fused(columns: np.ndarray) -> Floats:
        probes = [
            calibrated(Probe(0, bag("x")), float(c.mean()), float(c.std(ddof=1))) for c in columns.T
        ]
        return fuse(
            columns,
            np.array([1 - lam, lam]),
            np.array([probe.mean for probe in probes]),
            np.array([probe.std for probe in probes]),
            [probe.curve for probe in probes],
        )

    moved = raw * [scale, 1.0] + [shift, 0.0]
    assert np.allclose(fused(raw), fused(moved), atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(seeds, counts, st.floats(0.01, 0.99))
def test_weicom_stays_between_0_and_1(seed: int, count: int, lam: float) -> None:
    view = gallery(seed, count)
    found = scores(answer(f"weicom:lam={lam}", change("red", 0), view), view)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1


@settings(max_examples=50, deadline=None)
@given(seeds, counts, shares, st.sampled_from(["image", "caption"]))
def test_weimocir_is_linear_in_beta(seed: int, count: int, beta: float, query: str) -> None:
    view, asked = gallery(seed, count), change("red", 0)
    none, some, all_ = (
        scores(answer(f"weimocir:beta={b},shortlist=0,caption_query={query}", asked, view), view)
        for b in (0.0, beta, 1.0)
    )
    assert np.allclose(some, (1 - beta) * none + beta * all_, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(seeds, counts, st.floats(-5, 5), st.floats(-5, 5), shares)
def test_pdv_answers_with_unit_length(
    seed: int, count: int, alpha_i: float, alpha_t: float, beta: float
) -> None:
    options = f"over=weighted_sum,alpha_i={alpha_i},alpha_t={alpha_t},beta={beta}"
    (probe,) = answer(f"pdv:{options}", change("red", 0), gallery(seed, count)).probes
    assert abs(float(np.linalg.norm(probe.vector)) - 1) < 1e-5


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=4, unique=True), max_size=8), counts)
def test_the_frequent_words(lists: list[list[str]], most: int) -> None:
    found = frequent(lists, most)
    flat = [word for one in lists for word in one]
    assert len(found) == min(most, len(set(flat)))
    if found:
        top = max(map(flat.count, flat))
        assert list(found.values()) == [flat.count(word) / top for word in found]
        assert (
            list(found) == sorted(set(flat), key=lambda w: (-flat.count(w), flat.index(w)))[:most]
        )
