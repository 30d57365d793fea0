"""Options of a method as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepoint.errors import UsageError
from needlepoint.methods.options import read_options, recipe_text, write_options


@dataclass(frozen=True)
class Options:
    mode: Literal["reference", "released"] = "reference"
    n: int = 5
    tau: float = 0.25
    map: bool = False
    objects: str = "windows:9"


@given(
    st.builds(
        Options,
        st.sampled_from(["reference", "released"]),
        st.integers(),
        st.floats(allow_nan=False),
        st.booleans(),
        st.text("ab/:,=.- é", min_size=1).map(str.strip).filter(bool),
    )
)
def test_what_is_written_reads_the_same(options):
    assert read_options(Options, write_options(options), "m") == options


def test_only_what_differs_is_written():
    assert recipe_text("m", Options()) == "m"
    assert recipe_text("m", Options(n=7, map=True)) == "m:n=7,map=yes"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("m=1", "option 'm=1' is not known"),
        ("mod=released", "did you mean 'mode'"),
        ("n", "option 'n' is not known"),
        ("n=five", "n is 'five', which is not int"),
        ("mode=best", "Allowed: reference, released"),
        ("map=true", "Allowed: yes, no"),
        ("n=1,n=2", "n is given twice"),
    ],
)
def test_mistakes_are_told(text, told):
    with pytest.raises(UsageError, match=told):
        read_options(Options, text, "m")
