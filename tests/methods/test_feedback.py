"""Plain feedback: Rocchio's rule, the logistic head, and what neither may depend on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from talk_kit import PICTURES, Gallery

from needlepoint.errors import UsageError
from needlepoint.methods.dialogue import Helpers, Mark, Turn, Understood
from needlepoint.methods.interactive.feedback import dialogue, marks_of
from needlepoint.methods.relevance import liked_direction
from needlepoint.query import Part, Query

RULES = ["", "rule=logistic"]


def order(found: Understood, view: Gallery) -> list[int]:
    probes = found.probes if found.query is None else view.probes(found.query)
    return view.search(probes, len(view.rows))[0].tolist()


@pytest.mark.parametrize("options", RULES)
def test_words_alone_are_the_question(options: str) -> None:
    turns = [Turn("dog"), Turn("beach"), Turn("…", parts=(Part("text", "cat", -1.0),))]
    found = dialogue(options, Helpers()).understand(turns, Gallery())
    parts = (Part("text", "dog"), Part("text", "beach"), Part("text", "cat", -1.0))
    assert (found.query, found.probes) == (Query(parts), ())


@pytest.mark.parametrize("options", RULES)
@pytest.mark.parametrize("pair", [(0, 4), (4, 0), (6, 10), (13, 2)])
def test_liked_stands_above_disliked(options: str, pair: tuple[int, int]) -> None:
    liked, disliked = pair
    view = Gallery()
    turns = [Turn("window", more=(Mark(liked),), less=(Mark(disliked),))]
    ranked = order(dialogue(options, Helpers()).understand(turns, view), view)
    assert ranked.index(liked) < ranked.index(disliked)


@pytest.mark.parametrize("options", RULES)
def test_the_order_of_turns_does_not_matter(options: str) -> None:
    turns = [Turn("dog"), Turn(more=(Mark(3), Mark(1))), Turn("ball", less=(Mark(4),))]
    method, view = dialogue(options, Helpers()), Gallery()
    told = set()
    for some in itertools.permutations(turns):
        found = method.understand(some, view)
        told.add(str([(p.vector.tobytes(), p.weight, p.mean, p.std) for p in found.probes]))
    assert len(told) == 1


def test_the_latest_mark_of_a_picture_counts() -> None:
    whole, piece = Mark(3), Mark(3, (1.0, 2.0, 3.0, 4.0))
    turns = [Turn(more=(whole, Mark(1))), Turn(less=(whole, piece)), Turn(more=(piece,))]
    assert marks_of(turns) == ([Mark(1), piece], [whole])


def test_the_cost_does_not_grow_with_marks() -> None:
    marks = tuple(Mark(n) for n in range(6))
    method, view = dialogue("", Helpers()), Gallery()
    found = method.understand([Turn("dog", more=marks, less=(Mark(9), Mark(8)))], view)
    assert found.names == ("dog", "more like these", "less like those")
    assert [probe.weight for probe in found.probes] == [1.0, 2.0, -0.25]
    mean = view.rows[:6].mean(axis=0)
    assert np.allclose(found.probes[1].vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_options_are_weights() -> None:
    method = dialogue("more=1.5,less=0.1", Helpers())
    found = method.understand([Turn("dog", more=(Mark(1),), less=(Mark(4),))], Gallery())
    assert [probe.weight for probe in found.probes] == [1.0, 1.5, -0.1]
    for wrong in ("more=0", "less=-1", "more=nan", "rule=svm", "beta=1"):
        with pytest.raises(UsageError):
            dialogue(wrong, Helpers())


def test_the_head_needs_a_mark_of_each_kind() -> None:
    head, plain, view = dialogue("rule=logistic", Helpers()), dialogue("", Helpers()), Gallery()
    for turn in (Turn("dog", more=(Mark(1),)), Turn("dog", less=(Mark(1),))):
        mine, theirs = head.understand([turn], view), plain.understand([turn], view)
        assert mine.names == theirs.names
        assert order(mine, view) == order(theirs, view)
    both = head.understand([Turn("dog", more=(Mark(1),), less=(Mark(4),))], view)
    assert both.names == ("dog", "as you marked")


def test_the_head_tells_what_only_the_marks_tell() -> None:
    """Liked and disliked are alike but for one word; that word decides."""
    view = Gallery()
    turns = [Turn(more=(Mark(0), Mark(3)), less=(Mark(2), Mark(8)))]  # dogs: on a beach or not
    ranked = order(dialogue("rule=logistic", Helpers()).understand(turns, view), view)
    places = {text: ranked.index(n) for n, text in enumerate(PICTURES)}
    assert places["child beach"] < places["dog window"] < len(PICTURES) - 1
    assert places["child beach"] < places["dog ball garden"]


@pytest.mark.parametrize("weak", [0, 1, 200])
def test_the_direction_is_a_unit_vector_and_always_the_same(weak: int) -> None:
    rng = np.random.default_rng(weak)
    rows = rng.normal(size=(weak + 7, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    one, other = (liked_direction(rows[:3].copy(), rows[3:7], rows[7:], 1e-3) for _ in range(2))
    assert np.array_equal(one, other)
    assert np.linalg.norm(one) == pytest.approx(1.0, abs=1e-5)
    assert (rows[:3] @ one).min() > (rows[3:7] @ one).max()


def test_the_fit_is_the_optimum() -> None:
    """No step lowers what a logistic regression minimises."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(12, 4)).astype(np.float32)
    label = np.array([1.0] * 4 + [0.0] * 8)
    share = np.array([0.25] * 4 + [0.1] * 5 + [0.5 / 3] * 3)

    def loss(weights: np.ndarray) -> float:
        scores = rows @ weights[:4] + weights[4]
        fit = np.logaddexp(0, scores) - label * scores
        return float((share * fit).sum() + 0.5 * 0.1 * (weights**2).sum())

    best = np.zeros(5)
    for _ in range(20_000):
        scores = rows @ best[:4] + best[4]
        slope = share * (1 / (1 + np.exp(-scores)) - label)
        best -= 0.1 * (np.append(rows.T @ slope, slope.sum()) + 0.1 * best)
    found = liked_direction(rows[:4], rows[4:9], rows[9:], 0.1)
    assert loss(best) < loss(np.zeros(5))
    assert np.allclose(found, best[:4] / np.linalg.norm(best[:4]), atol=1e-4)


def test_marks_that_are_all_alike_are_no_trouble() -> None:
    same = np.ones((2, 3), np.float32)
    assert np.isfinite(liked_direction(same, same, same, 1e-3)).all()
