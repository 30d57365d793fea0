"""Which words of captions give way to a slot."""

from __future__ import annotations

import numpy as np
import pytest

from needlepoint.train.keywords import concepts_of, keyword_runs, self_mask, tag_words


def masked(caption, tagger=tag_words, seed=0):
    return self_mask(caption, np.random.default_rng(seed), tagger)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a red bicycle", "{}"),
        ("a photo of a red bicycle here", "{} of {} here"),
        ("there is a pizza on the left, and nothing else", "there is {} on {}, and nothing else"),
        ("Dogs are running quickly behind two trees.", "{} are running quickly behind two {}."),
        ("a red, round ball", "{}, {}"),
        ("the building's red door", "{}"),
    ],
)
def test_longest_runs_of_keywords_become_one_slot_each(caption, expected):
    assert masked(caption) == expected


@pytest.mark.parametrize("caption", ["", "...", "{}", "running", "it is of them", "a {} b", "7 8"])
def test_there_is_always_a_slot(caption):
    for seed in range(3):
        found = masked(caption, seed=seed)
        assert found.count("{}") >= 1
        assert not set(found.replace("{}", "")) & set("{}")


def test_without_keywords_a_random_word_gives_way_and_without_words_all_of_it():
    found = {masked("it is of them", seed=seed) for seed in range(40)}
    assert found == {"{} is of them", "it {} of them", "it is {} them", "it is of {}"}
    assert masked(" ,!") == "a photo of {}"


def test_another_tagger_decides():
    def verbs_alone(words):
        return ["PROPN" if word == "runs" else "X" for word in words]

    assert masked("a dog runs fast", verbs_alone) == "a dog {} fast"


def test_runs_are_places_in_the_text():
    text = "on the  left of it"
    assert [text[a:b] for a, b in keyword_runs(text)] == ["the  left"]


def test_concepts_are_frequent_names_without_determiners():
    captions = ["a red ball on the grass", "the red ball", "some grass", "the old tall round tower"]
    assert concepts_of(captions, 5) == ["grass", "red ball"]
    assert concepts_of(captions, 1) == ["grass"]
