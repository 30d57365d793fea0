"""search --change and --explain: what reaches the library, and what is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fake_library import FakeLibrary, Ran

from needlepoint.results import Reason

Call = Callable[..., Ran]


@pytest.fixture
def told(library: FakeLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library tells what was made of a question."""
    true = library.search

    def search(query: Any, **options: Any) -> Any:
        found = true(query, **options)
        why = (Reason("the picture", 1.0, 0.5), Reason("the words", 0.8, -0.5))
        hits = [replace(hit, why=why) for hit in found]
        return replace(found, hits=hits, told=(("nearest words", "bag 0.61\x1b[2J"),))

    monkeypatch.setattr(library, "search", search)


def test_the_change_reaches_the_library_in_either_form(
    library: FakeLibrary, needlepoint: Call
) -> None:
    assert needlepoint("search", "./bag.jpg", "--change", "in green").code == 0
    assert needlepoint("search", "./bag.jpg -> in green").code == 0
    (flag, options), (arrow, others) = library.asked
    assert (str(flag), options["change"]) == ("./bag.jpg", "in green")
    assert (str(arrow), others["change"]) == ("./bag.jpg -> in green", "")
    assert "helpers" not in options
    assert needlepoint("similar", "@7", "--change", "in green").code == 0
    assert library.asked[2][1]["change"] == "in green"


def test_explain_goes_to_stderr_and_the_answer_stays_as_it_is(
    library: FakeLibrary, needlepoint: Call, told: None
) -> None:
    plain = needlepoint("search", "./bag.jpg", "--change", "in green", "-q")
    ran = needlepoint("search", "./bag.jpg", "--change", "in green", "--explain", "-q")
    assert ran.out == plain.out
    assert plain.err == ""
    assert ran.err.splitlines()[:2] == [
        "nearest words: bag 0.61\\x1b[2J",
        "/pics/a.jpg: 0.900 = +0.50 x 1.000 the picture -0.50 x 0.800 the words",
    ]


def test_a_named_method_has_the_models_of_the_settings(
    library: FakeLibrary, needlepoint: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("NEEDLEPOINT_GENERATOR", f"folder:{tmp_path}")
    needlepoint("search", "./bag.jpg", "--change", "in green", "--method", "weimocir")
    needlepoint("search", "./bag.jpg", "--change", "in green")
    needlepoint("search", "./bag.jpg", "--method", "weimocir")
    assert library.asked[0][1]["helpers"].generator is not None
    assert not any("helpers" in options for _, options in library.asked[1:])
