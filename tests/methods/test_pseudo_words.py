"""Pictures in a sentence: what the composers that share it say and search with."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from needlepoint.errors import LibraryIncompatible, ModelUnavailable, UsageError
from needlepoint.methods.card import find_method
from needlepoint.methods.composing import Change
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.pseudo_words import PseudoWords, read_template, sentence
from needlepoint.query import Part
from needlepoint.store.base import Probe

METHODS = ("pic2word", "searle", "lincir")
VOCABULARY = {"ball": 1, "dog": 2}


class FakeEncoder:
    """Puts words in and remembers what it was asked."""

    def __init__(self, abilities=("text", "inject")):
        self.card = SimpleNamespace(
            abilities=abilities, address="fake:model", fingerprint=lambda: "f00"
        )
        self.asked = []
        self.tokenize = SimpleNamespace(tokenizer=SimpleNamespace(get_vocab=lambda: VOCABULARY))

    def inject(self, texts, vectors):
        self.asked += zip(texts, vectors, strict=True)
        return np.stack([v.mean(0)[:2] for v in vectors])

    def token_embeddings(self, ids):
        return np.eye(3, dtype=np.float32)[ids % 3]


class FakeView:
    def __init__(self, **options):
        self.encoder = FakeEncoder(**options)

    def probes(self, query):
        (part,) = query.parts
        return [Probe(0, np.array([int(part.value), 1], np.float32))]


def change(text, *items):
    return Change(tuple(Part("item", str(one)) for one in items), text)


def widened(vectors, encoder):
    return np.concatenate([vectors, vectors[:, :1]], axis=1)


def test_sentences_hold_a_place_for_each_reference():
    that = read_template("that", "lincir")
    assert sentence(that, "is red", 1) == "a photo of {} that is red"
    assert sentence(that, "is red", 2) == "a photo of {} and {} that is red"
    assert sentence(that, "", 2) == "a photo of {} and {}"
    assert sentence("a {change} of {}", "sketch", 1) == "a sketch of {}"
    assert sentence(that, "has {} {change}", 1).count("{}") == 1


@pytest.mark.parametrize("template", ["", "a photo", "{} {}: {change}", "{change}", "nothing"])
def test_a_template_needs_both_places(template):
    with pytest.raises(UsageError, match="method lincir: template is"):
        read_template(template, "lincir")


def test_two_references_are_read_with_their_own_words_in_order():
    view = FakeView()
    composer = PseudoWords("lincir", read_template("list", "lincir"), widened)
    found = composer.compose([change("in red", 5, 9), change("", 7)], view)
    asked = {text: vectors[:, 0].tolist() for text, vectors in view.encoder.asked}
    assert asked == {"a photo of {} and {}, in red": [5, 9], "a photo of {}": [7]}
    assert [one.told[0] for one in found] == [
        ("sentence", "a photo of {} and {}, in red"),
        ("sentence", "a photo of {}"),
    ]
    assert [one.told[1][0] for one in found] == ["nearest words"] * 2
    assert np.linalg.norm(found[0].probes[0].vector) == pytest.approx(1)


def test_each_question_is_answered_as_if_it_were_alone():
    composer = PseudoWords("lincir", read_template("that", "lincir"), widened)
    changes = [change("is red", 3), change("is tall", 2, 4), change("", 8), change("is red", 3)]
    together = composer.compose(changes, FakeView())
    for one, asked in zip(together, changes, strict=True):
        (alone,) = composer.compose([asked], FakeView())
        assert np.array_equal(one.probes[0].vector, alone.probes[0].vector)
        assert one.told == alone.told
    assert composer.compose([], FakeView()) == []


def test_an_encoder_without_slots_is_refused():
    composer = PseudoWords("lincir", read_template("that", "lincir"), widened)
    with pytest.raises(LibraryIncompatible, match="fake:model has no text tower that takes one"):
        composer.compose([change("is red", 3)], FakeView(abilities=("text",)))


@pytest.mark.torch
@pytest.mark.parametrize("name", METHODS)
def test_a_network_that_is_not_there_is_told(name, tmp_path):
    pytest.importorskip("torch")
    make = find_method(name).composer
    with pytest.raises(ModelUnavailable, match=f"train phi --method {name} --model fake:model"):
        make("", Helpers()).compose([change("is red", 3)], FakeView())
    with pytest.raises(ModelUnavailable, match="holds no mapping network"):
        make(f"weights={tmp_path}", Helpers()).compose([change("is red", 3)], FakeView())


@pytest.mark.parametrize("name", METHODS)
def test_options_are_read_before_anything_is_opened(name):
    make = find_method(name).composer
    with pytest.raises(UsageError, match="template is 'photo'"):
        make("template=photo", Helpers())
    assert find_method(name).card.task == "composed"


def test_words_are_found_without_a_network_or_with_one():
    make = find_method("searle").composer
    with pytest.raises(UsageError, match="Leave out either"):
        make("oti=yes,weights=mine", Helpers())
    with pytest.raises(UsageError, match="phrases are of use with oti=yes alone"):
        make("phrases=file", Helpers())
