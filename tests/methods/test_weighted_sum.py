"""The baseline: both ends of its weight, several references, encoders with two spaces."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from needlepoint.errors import LibraryIncompatible, UsageError
from sight_kit import (
    APART,
    PICTURES,
    Reader,
    answer,
    bag,
    change,
    composer,
    ranking,
    scores,
    sight,
    unit,
)


def test_both_ends_are_a_search_by_one_half() -> None:
    view = sight(noise=0.1)
    asked = change("car blue", 0)
    picture, words = view.wholes([0], 0)[0], bag("car blue")
    assert np.allclose(answer("weighted_sum:alpha=0", asked, view).probes[0].vector, picture)
    assert np.allclose(answer("weighted_sum:alpha=1", asked, view).probes[0].vector, words)


def test_the_change_is_answered() -> None:
    view = sight(noise=0.05)
    assert PICTURES[ranking("weighted_sum", change("green", 3), view)[0]] == "car green"


def test_references_are_weighed() -> None:
    view = sight(noise=0.1)
    rows = view.wholes([0, 4], 0)
    (probe,) = answer("weighted_sum:alpha=0", change("green", (0, 3.0), (4, 1.0)), view).probes
    assert np.allclose(probe.vector, unit(3 * rows[0] + rows[1]), atol=1e-6)


def test_without_a_change_the_picture_is_searched_for_and_nothing_read() -> None:
    reader = Reader()
    found = answer("weighted_sum", change("", 4), sight(reader=reader))
    assert (found.names, reader.read) == (("the picture",), [])


@pytest.mark.parametrize(
    ("alpha", "names"), [(0.3, ("the picture", "the words")), (1.0, ("the words",))]
)
def test_two_spaces_add_standardised_scores(alpha: float, names: tuple[str, ...]) -> None:
    view = sight(reader=Reader(APART), noise=0.1)
    found = answer(f"weighted_sum:alpha={alpha}", change("green", 3), view)
    assert found.names == names
    rows = view.wholes(range(len(PICTURES)), 0)
    standard = [
        (s - s.mean()) / s.std() for s in (rows @ view.wholes([3], 0)[0], rows @ bag("green"))
    ]
    expected = (1 - alpha) * standard[0] + alpha * standard[1]
    assert np.allclose(scores(found, view), expected, atol=1e-5)


def test_each_is_answered_as_if_alone() -> None:
    view = sight(noise=0.1)
    asked = [change("green", 3), change("", 4), change("beach", 0, 5)]
    made = composer("weighted_sum")
    together = made.compose(asked, view)
    for one, found in zip(asked, together, strict=True):
        (alone,) = made.compose([one], view)
        assert alone.probes[0].vector.tobytes() == found.probes[0].vector.tobytes()


@pytest.mark.parametrize("options", ["alpha=1.1", "alpha=-0.1", "alpha=nan", "beta=1"])
def test_wrong_options(options: str) -> None:
    with pytest.raises(UsageError, match="weighted_sum"):
        answer(f"weighted_sum:{options}", change("green", 0), sight())


def test_an_encoder_without_words() -> None:
    reader = Reader()
    view = sight(reader=reader)
    view._encoder = SimpleNamespace(card=reader.card)  # type: ignore[assignment]
    with pytest.raises(LibraryIncompatible, match="no text side"):
        answer("weighted_sum", change("green", 0), view)
