"""WeiCom: its branches, a gallery without spread, its baselines, encoders with two spaces."""

from __future__ import annotations

import numpy as np
import pytest

from needlepoint.errors import UsageError
from sight_kit import (
    APART,
    DIM,
    PICTURES,
    Reader,
    answer,
    bag,
    change,
    ranking,
    scores,
    sight,
    unit,
)


def test_both_ends_rank_by_one_branch() -> None:
    view, asked = sight(noise=0.2), change("green", 3)
    rows = view.wholes(range(len(PICTURES)), 0)
    for lam, query in ((0, rows[3]), (1, bag("green"))):
        expected = np.argsort(-(rows @ query), kind="stable").tolist()
        assert ranking(f"weicom:lam={lam}", asked, view) == expected
        assert len(answer(f"weicom:lam={lam}", asked, view).probes) == 1


def test_calibrated_scores_lie_between_0_and_1_around_a_half() -> None:
    view = sight(noise=0.2)
    found = scores(answer("weicom", change("green", 3), view), view)
    assert found.min() >= 0
    assert found.max() <= 1
    assert abs(float(found.mean()) - 0.5) < 0.1


def test_an_end_tells_apart_what_stands_far_above_the_rest() -> None:
    """In float32 the distribution function is 1 for both."""
    rng = np.random.default_rng(1)
    rows = unit(rng.standard_normal((400, DIM)))
    rows[7] = unit(rows[3] + 0.01 * rows[5])
    view = sight(rows)
    far = view.spread(answer("weicom:lam=0", change("red", 3), view).probes[0])
    assert (rows[7] @ rows[3] - far[0]) / far[1] > 6
    assert ranking("weicom:lam=0", change("red", 3), view)[:2] == [3, 7]
    assert ranking("weicom:lam=0", change("red", 7), view)[:2] == [7, 3]


@pytest.mark.parametrize("count", [1, 5])
def test_a_gallery_that_scores_alike_gets_a_half(count: int) -> None:
    view = sight(unit(np.ones((count, DIM))))
    found = scores(answer("weicom", change("green", 0), view), view)
    assert found.tolist() == [0.5] * count


def test_one_branch_without_spread_leaves_the_order_to_the_other() -> None:
    """All pictures are equally far from the words."""
    rng = np.random.default_rng(0)
    words = bag("green").astype(np.float64)
    rows = rng.standard_normal((9, DIM))
    rows -= np.outer(rows @ words, words)
    view = sight(unit(rows))
    asked = change("green", 2)
    assert ranking("weicom:lam=0.9", asked, view) == ranking("weicom:lam=0", asked, view)


def test_without_a_change_the_picture_is_searched_for() -> None:
    reader = Reader()
    view = sight(reader=reader, noise=0.2)
    found = answer("weicom", change("", 4), view)
    assert (found.names, reader.read) == (("the picture",), [])
    assert np.array_equal(found.probes[0].vector, view.wholes([4], 0)[0])


def test_pictures_and_words_may_live_apart() -> None:
    together, apart = sight(noise=0.2), sight(reader=Reader(APART), noise=0.2)
    for method in ("weicom", "weicom:fusion=sum", "weicom:fusion=product"):
        asked = change("green", (3, 1.0), (0, 2.0))
        assert ranking(method, asked, apart) == ranking(method, asked, together)
    assert [probe.space for probe in answer("weicom", asked, apart).probes] == [0, 1]


def test_the_sum_is_that_of_vectors() -> None:
    view, asked = sight(noise=0.2), change("green", 3)
    mine = ranking("weicom:fusion=sum,lam=0.3", asked, view)
    assert mine == ranking("weighted_sum:alpha=0.3", asked, view)


def test_what_is_told() -> None:
    found = answer("weicom:lam=0.25", change("green", 3), sight(noise=0.2))
    (first, text), (second, _) = found.told
    assert (first, second) == ("the picture", "the words")
    assert text.startswith("weight 0.75, cosines ")


@pytest.mark.parametrize("options", ["lam=1.5", "lam=-1", "lam=nan", "fusion=max", "alpha=0.5"])
def test_wrong_options(options: str) -> None:
    with pytest.raises(UsageError, match="weicom"):
        answer(f"weicom:{options}", change("green", 0), sight())
