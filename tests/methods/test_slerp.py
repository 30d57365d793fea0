"""Slerp: its ends, its middle, its length, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.methods.composed.slerp import along
from sight_kit import APART, PICTURES, Reader, answer, bag, change, composer, ranking, sight, unit


def test_its_ends_are_the_picture_and_the_words_and_its_middle_their_sum() -> None:
    view = sight(noise=0.1)
    asked = change("car blue", 0)
    picture, words = view.wholes([0], 0)[0], bag("car blue")
    for alpha, wanted in ((0, picture), (1, words), (0.5, unit(picture + words))):
        found = answer(f"slerp:alpha={alpha}", asked, view).probes[0].vector
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_equal_shares_of_the_way_are_equal_angles() -> None:
    start, end = np.float32([1, 0, 0]), unit(np.float32([-0.6, 0.8, 0]))
    angle = along(start, end, 0)[1]
    for share in (0.1, 0.25, 0.75):
        vector = along(start, end, share)[0]
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
        assert np.arccos(vector @ start) == pytest.approx(share * angle, abs=1e-5)


@pytest.mark.parametrize("end", [[1, 0], [-1, 0]])
def test_the_same_and_the_opposite_give_one_of_the_two(end: list[float]) -> None:
    start, other = np.float32([1, 0]), np.float32(end)
    assert along(start, other, 0.2)[0] is start
    assert along(start, other, 0.8)[0] is other


def test_the_change_is_answered_and_without_one_the_picture_is_asked_with() -> None:
    view = sight(noise=0.05)
    assert PICTURES[ranking("slerp", change("green", 3), view)[0]] == "car green"
    assert answer("slerp", change("", 4), view).names == ("the picture",)


def test_two_spaces_and_shares_beyond_the_ends_are_refused() -> None:
    with pytest.raises(LibraryIncompatible, match="weicom"):
        answer("slerp", change("green", 3), sight(reader=Reader(APART)))
    with pytest.raises(UsageError, match="Allowed: 0 to 1"):
        composer("slerp:alpha=2")
