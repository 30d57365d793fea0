"""PDV: what it asks of the composer underneath, and composers that it cannot go over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.methods.composed.pdv import PDV, Options
from needlepoint.methods.composing import Change, Composed, Sight, query_probe, reference_probe
from needlepoint.parts import Floats
from sight_kit import APART, PICTURES, Reader, answer, bag, change, composer, ranking, sight, unit


class Inner:
    """A composer that answers with words, of any length."""

    def __init__(self, length: float = 1.0) -> None:
        self.length = length
        self.asked: list[str] = []

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        self.asked += [one.text for one in changes]
        found = []
        for one in changes:
            probe = query_probe(reference_probe(one, view), bag(f"duck {one.text}"))
            long = replace(probe, vector=probe.vector * np.float32(self.length))
            found.append(Composed((long,), ("words",), (("said", one.text),)))
        return found


def vector(options: Options, asked: Change, view: Sight, inner: Inner | None = None) -> Floats:
    (found,) = PDV(options, inner or Inner()).compose([asked], view)
    return found.probes[0].vector


def test_at_its_defaults_the_other_answers_and_is_asked_once() -> None:
    view, asked, inner = sight(noise=0.1), change("red", 4), Inner()
    (mine,) = PDV(Options(alpha_i=3.0), inner).compose([asked], view)
    (other,) = inner.compose([asked], view)
    assert mine.told == other.told
    assert mine.probes[0].vector.tobytes() == other.probes[0].vector.tobytes()
    assert inner.asked == ["red", "red"]


def test_without_step_and_words_it_is_a_search_by_picture() -> None:
    view = sight(noise=0.1)
    found = vector(Options(alpha_i=0.0, beta=0.0), change("red", 4), view)
    assert np.allclose(found, view.wholes([4], 0)[0], atol=1e-7)


def test_each_branch_takes_its_own_step() -> None:
    view = sight(noise=0.1)
    step = bag("duck red") - bag("duck")
    by_words = vector(Options(alpha_t=2.0), change("red", 4), view)
    assert np.allclose(by_words, unit(bag("duck") + 2 * step), atol=1e-6)
    by_picture = vector(Options(alpha_i=0.5, beta=0.0), change("red", 4), view)
    assert np.allclose(by_picture, unit(view.wholes([4], 0)[0] + 0.5 * step), atol=1e-6)


def test_nothing_hangs_on_the_lengths_of_what_comes_in() -> None:
    view, options = sight(noise=0.1), Options(alpha_i=1.4, alpha_t=0.7, beta=0.6)
    short, long = (vector(options, change("red", 4), view, Inner(n)) for n in (1.0, 40.0))
    assert np.allclose(short, long, atol=1e-6)


def test_without_a_change_both_steps_are_nothing() -> None:
    view, asked = sight(noise=0.1), change("", 4)
    one = vector(Options(alpha_i=0.0, alpha_t=5.0, beta=0.3), asked, view)
    other = vector(Options(alpha_i=-2.0, alpha_t=0.0, beta=0.3), asked, view)
    assert one.tobytes() == other.tobytes()


def test_over_a_composer_of_the_registry() -> None:
    view, asked = sight(noise=0.1), change("green", (3, 1.0), (0, 2.0))
    plain = ranking("weighted_sum:alpha=0.7", asked, view)
    assert ranking("pdv:over=weighted_sum:alpha=0.7", asked, view) == plain
    longer = answer("pdv:over=weighted_sum:alpha=0.7,beta=0.5,alpha_t=1.5", asked, view)
    assert dict(longer.told)["over"] == "weighted_sum:alpha=0.7"
    nested = composer("pdv:over=weimocir:alpha=0.7,,beta=0,beta=0.5")
    assert len(nested.compose([asked], view)[0].probes) == 1


def test_each_is_answered_as_if_alone() -> None:
    view, options = sight(noise=0.1), Options(beta=0.5, alpha_i=1.2)
    asked = [change("red", 4), change("", 2), change("green", 0, 1)]
    together = PDV(options, Inner()).compose(asked, view)
    for one, found in zip(asked, together, strict=True):
        assert found.probes[0].vector.tobytes() == vector(options, one, view).tobytes()


@pytest.mark.parametrize("over", ["weicom", "weimocir:beta=0.5", "weicom:fusion=product"])
def test_branches_and_scores_are_refused(over: str) -> None:
    view = sight(noise=0.1, captions=PICTURES)
    with pytest.raises(UsageError, match="one query vector"):
        answer(f"pdv:over={over},beta=0.5", change("red", 0), view)


def test_vectors_of_another_space_are_refused() -> None:
    view = sight(reader=Reader(APART), noise=0.1)

    class Words(Inner):
        def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
            found = super().compose(changes, view)
            return [replace(one, probes=(replace(one.probes[0], space=1),)) for one in found]

    with pytest.raises(LibraryIncompatible, match="method pdv"):
        vector(Options(beta=0.5), change("red", 0), view, Words())


@pytest.mark.parametrize(
    "options",
    [
        *("beta=1.1", "beta=-1", "beta=nan", "alpha_i=1e3", "alpha_t=nan"),
        *("over=pdv", "over=windows", "over=nobody", "over=", "over=weighted_sum:alpha=7"),
    ],
)
def test_wrong_options(options: str) -> None:
    with pytest.raises(UsageError):
        composer(f"pdv:{options}")
