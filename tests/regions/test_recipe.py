"""The region policy: what may be asked for, and how it is written down."""

from __future__ import annotations

import pytest

from needlepoint.errors import UsageError
from needlepoint.regions.recipe import Recipe


@pytest.mark.parametrize(
    ("regions", "detail", "written", "side"),
    [
        ("none", None, "none", 1024),
        ("none", "2x", "none", 1024),
        ("dense", None, "dense:32@1x", 1024),
        ("dense", "2x", "dense:32@2x", 2048),
        ("dense:8", "1x", "dense:8@1x", 1024),
        (" dense:256 ", "2x", "dense:256@2x", 2048),
        ("windows", None, "windows:9", 1024),
        ("windows:25", "2x", "windows:25", 1024),
    ],
)
def test_what_is_asked_for_is_written_down_and_read_back(regions, detail, written, side):
    recipe = Recipe.parse(regions, detail)
    assert str(recipe) == written
    assert recipe.long_side == side
    assert Recipe.parse(written) == recipe


def test_a_detail_asked_for_wins_over_a_stored_one():
    assert str(Recipe.parse("dense:16@2x", "1x")) == "dense:16@1x"


@pytest.mark.parametrize(
    "regions",
    [
        *("", "none,dense", "NONE", "dens", "dense:", "dense:0", "dense:257", "dense:x"),
        *("dense:-3", "dense:32@3x", "windows:1", "windows:3", "windows:8", "windows:289"),
    ],
)
def test_others_are_refused_with_what_is_allowed(regions):
    with pytest.raises(UsageError) as told:
        Recipe.parse(regions)
    assert repr(regions) in str(told.value) or "'3x'" in str(told.value)


def test_an_unknown_detail_names_the_known_ones():
    with pytest.raises(UsageError, match=r"'4x'.*1x, 2x"):
        Recipe.parse("dense", "4x")
