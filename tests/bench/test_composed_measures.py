"""The official measures of composed questions against values worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from needlepoint.bench.metrics import composed_scores, composed_summary, composed_values
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.errors import UsageError

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def ask(relevant, **told):
    return Question(id="q", relevant=frozenset(relevant), file="r.jpg", changes=("in red",), **told)


def protocol(name, *questions):
    gallery = tuple(Item(one, f"{one}.jpg") for one in LETTERS)
    return Protocol(name, "val", ".", gallery, questions)


def values(name, question, ranking):
    found = composed_values(protocol(name, question), [list(ranking)])
    return {measure: float(column[0]) for measure, column in found.items()}


def test_fashioniq_counts_the_target_among_the_first():
    question = ask("k", target="k")
    assert values("fashioniq/dress[gallery=split]", question, LETTERS) == {"R@10": 0, "R@50": 1}
    removed = replace(question, junk=frozenset("a"))
    assert values("fashioniq/dress[reference=removed]", removed, LETTERS)["R@10"] == 1


def test_cirr_counts_only_the_target_and_never_the_reference():
    question = ask("c", target="c", junk=frozenset("a"), near=frozenset("b"))
    assert values("cirr/recall", question, "abcd") == {"R@1": 0, "R@5": 1, "R@10": 1, "R@50": 1}
    assert values("cirr/recall", question, "acbd")["R@1"] == 1


def test_cirr_subset_ranks_the_five_others():
    question = ask("e", target="e", junk=frozenset("a"), among=frozenset("bcdef"))
    assert values("cirr/subset", question, "azbyexcdf") == {"Rs@1": 0, "Rs@2": 1, "Rs@3": 1}


def test_circo_divides_by_what_k_allows():
    """Hits at ranks 1 and 4 of 3 right pictures: (1 + 2/4) / 3; six right ones: / 5."""
    question = ask("adz", target="d", aspects=("negation", "viewpoint"))
    found = values("circo/changes[gallery=unlabeled]", question, "abcdefghij")
    assert found["mAP@5"] == found["mAP@10"] == pytest.approx(0.5)
    assert (found["R@5"], found["R@50"]) == (1, 1)
    assert found["mAP@10 negation"] == found["mAP@10 viewpoint"] == found["mAP@10"]
    many = ask("aduvwxyz"[:8], target="u")
    found = values("circo/changes", many, "abcdefghij")
    assert found["mAP@5"] == pytest.approx(1.5 / 5)
    assert found["mAP@10"] == pytest.approx(1.5 / 8)
    assert found["R@50"] == 0


def test_circo_kinds_of_change_are_means_over_their_questions_alone():
    asked = protocol(
        "circo/changes",
        ask("a", target="a", aspects=("addition",)),
        ask("b", target="b", aspects=("negation",)),
        ask("", aspects=()),
    )
    scores = composed_scores(asked, ["ab", "ab", "ab"])
    assert scores["mAP@10 addition"] == 1
    assert scores["mAP@10 negation"] == scores["mAP@5"] - 0.25 == 0.5
    column = composed_values(asked, ["ab", "ab", "ab"])["mAP@10 negation"]
    assert np.isnan(column).tolist() == [True, False, True]


def test_genecis_ranks_its_own_gallery():
    question = ask("d", target="d", among=frozenset("abcd"))
    assert values("genecis/focus-object", question, "zacdb") == {"R@1": 0, "R@2": 0, "R@3": 1}


def test_patterncom_averages_over_hits_found():
    """Found are b and d of b, d and z: (1/2 + 2/4) / 2, not / 3."""
    found = values("patterncom/color", ask("bdz"), "abcdef")
    assert found["mAP"] == pytest.approx(0.5)
    assert (found["P@5"], found["recall@5"]) == (pytest.approx(2 / 5), pytest.approx(2 / 3))
    assert found["P@20"] == pytest.approx(2 / 20)
    assert values("patterncom/color", ask("z"), "abc")["mAP"] == 0


def test_domains_take_the_trapezoid_and_the_least_of_k_and_relevant():
    """Hits at ranks 1 and 3: ((1 + 1) + (1/2 + 2/3)) / 2 / 2."""
    found = values("ltll/today-to-archive", ask("ac"), "abcdef")
    assert found["mAP"] == pytest.approx((2 + 1 / 2 + 2 / 3) / 4)
    assert found["P@5"] == 1
    assert set(values("nico/rock-to-water", ask("a"), "ab")) == {
        "mAP", "P@50", "P@100", "recall@50", "recall@100",
    }  # fmt: skip


def test_domains_count_a_question_without_an_answer_as_nothing_found():
    """The published program divides by all queries of a pair of domains."""
    scores = composed_scores(protocol("ltll/today-to-archive", ask(""), ask("a")), ["ab", "ab"])
    assert scores == {"mAP": 0.5, "P@5": 0.5, "P@10": 0.5, "recall@5": 0.5, "recall@10": 0.5}


def test_any_other_protocol_counts_every_relevant_picture():
    found = values("own/colour", ask("bc"), "abcd")
    assert found == {"R@1": 0, "R@5": 1, "R@10": 1, "mAP": pytest.approx((1 / 2 + 2 / 3) / 2)}
    assert values("own/colour", ask("bc", target="c"), "ab")["R@5"] == 0


@pytest.mark.parametrize("name", ["cirr/recall", "circo/x", "patterncom/color", "own/x"])
def test_a_question_without_an_answer_counts_nowhere(name):
    asked = protocol(name, ask(""))
    assert all(math.isnan(one) for one in composed_scores(asked, ["abc"]).values())
    both = protocol(name, ask(""), ask("a", target="a"))
    alone = protocol(name, ask("a", target="a"))
    assert composed_scores(both, ["abc", "abc"]) == composed_scores(alone, ["abc"])


def test_wrong_rankings_are_refused():
    asked = protocol("circo/x", ask("a"))
    with pytest.raises(UsageError, match="rankings has 2 entries"):
        composed_values(asked, ["ab", "ab"])
    with pytest.raises(UsageError, match=r"holds \['0'\], which the gallery of circo/x lacks"):
        composed_values(asked, ["a0"])
    with pytest.raises(UsageError, match="same id twice"):
        composed_values(asked, ["aba"])


def test_summaries_are_the_means_that_papers_state():
    told = {f"fashioniq/{c}[x=y]": {"R@10": n / 10, "R@50": n / 5}
            for n, c in enumerate(("dress", "shirt", "toptee"), 1)}  # fmt: skip
    assert composed_summary(told) == pytest.approx({"R@10": 0.2, "R@50": 0.4, "mean": 0.3})
    cirr = {"cirr/recall": {"R@1": 0.2, "R@5": 0.6}, "cirr/subset": {"Rs@1": 0.4}}
    assert composed_summary(cirr)["mean R@5 Rs@1"] == pytest.approx(0.5)
    pairs = {"ltll/a-to-b": {"mAP": 0.2}, "ltll/b-to-a": {"mAP": 0.4}}
    assert composed_summary(pairs) == pytest.approx({"mAP": 0.3})


def test_summaries_of_unlike_things_are_refused():
    one = {"R@10": 0.1, "R@50": 0.2}
    with pytest.raises(UsageError, match=r"lacks fashioniq/shirt, fashioniq/toptee"):
        composed_summary({"fashioniq/dress": one})
    with pytest.raises(UsageError, match="one set of options"):
        composed_summary({"fashioniq/dress[a=b]": one, "fashioniq/shirt[a=c]": one})
    with pytest.raises(UsageError, match="Received: none"):
        composed_summary({})


def test_of_edits_any_answer_will_do_and_unlabelled_ones_count_for_nothing():
    asked = ask("ab", target="b", near=frozenset("n"))
    found = values("edits/composed", asked, "nabc")
    assert found == {"R@1": 1.0, "R@5": 1.0, "R@10": 1.0, "mAP": 1.0, "R@1 strict": 0.0}
    assert values("edits/composed", asked, "cnab")["mAP"] == pytest.approx((1 / 2 + 2 / 3) / 2)
