"""FreeDom: whom a picture is named by, how words are counted, where the list comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from needlepoint.errors import UsageError
from needlepoint.methods.composed.freedom import frequent, read_words
from sight_kit import APART, PICTURES, Reader, answer, bag, change, sight, unit

WORDS = ("duck", "car", "tree", "boat")


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "words.txt"
    path.write_text("\n".join(WORDS))
    return f"words={path}"


def told(method: str, text: str, place: int) -> dict[str, str]:
    return dict(answer(method, change(text, place), sight(noise=0.1)).told)


def test_one_of_each_is_the_nearest_word_and_the_change(words: str) -> None:
    view = sight(noise=0.1)
    (probe,) = answer(f"freedom:k=1,n=1,m=1,{words}", change("green", 3), view).probes
    assert np.allclose(probe.vector, bag("car green"), atol=1e-6)


def test_an_empty_change_is_a_search_for_the_words(words: str) -> None:
    view = sight(noise=0.1)
    (probe,) = answer(f"freedom:k=1,n=1,m=1,{words}", change("", 3), view).probes
    assert np.allclose(probe.vector, bag("car"), atol=1e-6)


def test_the_template_places_word_and_change(words: str) -> None:
    options = f"freedom:k=1,n=1,m=1,{words},template=a {{domain}} of a {{word}}"
    (probe,) = answer(options, change("sketch", 3), sight(noise=0.1)).probes
    assert np.allclose(probe.vector, bag("a sketch of a car"), atol=1e-6)
    only = answer(f"freedom:k=1,n=1,m=1,{words},template={{word}}", change("red", 3), sight())
    assert np.allclose(only.probes[0].vector, bag("car"), atol=1e-6)


def test_words_with_braces_are_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "w").write_text("{domain}\n{0}\n")
    asked = change("{word} {", 3)
    assert len(answer(f"freedom:words={tmp_path / 'w'}", asked, sight()).probes) == 1


def test_counts_are_weights_and_ties_go_to_the_first_met() -> None:
    assert frequent([["b", "a"], ["c", "a"], ["d", "b"]], 3) == {"b": 1.0, "a": 1.0, "c": 0.5}
    assert frequent([["b", "a"], ["a", "c"]], 9) == {"a": 1.0, "b": 0.5, "c": 0.5}
    assert frequent([], 3) == {}


def test_a_reference_of_the_gallery_is_not_counted_twice(words: str) -> None:
    """Two equal pictures and a reference: in the gallery it is one of k, outside one more."""
    rows = unit([bag("duck"), bag("car"), bag("car")])
    view = sight(rows)
    inside = dict(answer(f"freedom:k=2,n=1,{words}", change("red", 0), view).told)
    assert inside["words"] == "duck 1, car 1"
    assert inside["the picture"].startswith("in the library")
    both = dict(answer(f"freedom:k=2,n=1,{words}", change("red", 0, 1), view).told)
    assert both["the picture"].startswith("not in the library")


def test_more_is_asked_for_than_there_is(words: str) -> None:
    assert told(f"freedom:k=99,n=99,m=99,{words}", "red", 0)["words"].count(",") == len(WORDS) - 1


def test_apart_the_neighbours_are_named_in_the_space_of_words(words: str) -> None:
    together = answer(f"freedom:{words}", change("green", 3), sight(noise=0.1))
    view = sight(reader=Reader(APART), noise=0.1)
    apart = answer(f"freedom:{words}", change("green", 3), view)
    assert (together.probes[0].space, apart.probes[0].space) == (0, 1)
    assert np.allclose(apart.probes[0].vector, together.probes[0].vector, atol=1e-6)
    outside = answer(f"freedom:k=1,n=1,{words}", change("green", 0, 4), view)
    assert dict(outside.told)["the picture"].startswith("not in the library")


def test_the_list_of_the_package() -> None:
    listed = read_words("")
    assert len(listed) == len(set(listed)) == 9607
    assert {"duck", "car", "tree", "sofa", "woman", "bicycle"} <= set(listed)


def test_a_list_holds_each_word_once(tmp_path: Path) -> None:
    (tmp_path / "w").write_text(" duck\n\ncar\nduck \n")
    assert read_words(str(tmp_path / "w")) == ("duck", "car")
    (tmp_path / "w").write_text("\n \n")
    for path in (tmp_path / "w", tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="method freedom: words"):
            read_words(str(path))


@pytest.mark.parametrize("options", ["k=0", "n=0", "m=-1", "template={domain}", "batch=yes"])
def test_wrong_options(options: str) -> None:
    with pytest.raises(UsageError, match="method freedom"):
        answer(f"freedom:{options}", change("green", 0), sight(PICTURES))
