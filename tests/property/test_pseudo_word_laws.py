"""What holds of sentences with pseudo-words, whatever people and captions say."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepoint.methods.composing import Change
from needlepoint.methods.phrases import with_slot
from needlepoint.methods.pseudo_words import TEMPLATES, PseudoWords, sentence
from needlepoint.query import Part
from needlepoint.store.base import Probe
from needlepoint.train.keywords import keyword_runs, self_mask

TEXTS = st.text(alphabet=st.sampled_from("ab the{},.change on 7é\t-'"), max_size=40)
SAID = st.sampled_from(["", "in red", "{} and {change}"])
ITEMS = st.lists(st.integers(0, 9), min_size=1, max_size=3)
QUESTIONS = st.lists(st.tuples(SAID, ITEMS), max_size=6)


@given(st.sampled_from(sorted(TEMPLATES)), TEXTS, st.integers(1, 4), st.integers(1, 3))
def test_a_sentence_has_a_place_for_each_word_and_no_other(name, said, references, words):
    found = sentence(TEMPLATES[name], said, references, words)
    assert found.count("{}") == references * words
    assert not set(found.replace("{}", "")) & set("{}")


@given(TEXTS, st.integers(0, 3))
def test_a_masked_caption_has_a_place_and_keeps_the_rest(caption, seed):
    found = self_mask(caption, np.random.default_rng(seed))
    assert found.count("{}") >= 1
    assert not set(found.replace("{}", "")) & set("{}")
    plain = caption.replace("{", " ").replace("}", " ")
    runs = keyword_runs(plain)
    if runs:
        assert found.count("{}") == len(runs)
        ends = [0, *(end for _, end in runs)]
        starts = [*(start for start, _ in runs), len(plain)]
        kept = [plain[a:b] for a, b in zip(ends, starts, strict=True)]
        assert found == "{}".join(kept).strip()


@given(TEXTS, st.sampled_from(["a", "the", "b on", "é", ""]))
def test_a_name_comes_back_into_its_phrase(text, name):
    plain = text.replace("{", " ").replace("}", " ")
    found = with_slot(plain, name)
    if found is not None:
        assert found.replace("{}", name) == plain.lower()


class Encoder:
    """A text's vector hangs on its length and on the words put in."""

    card = SimpleNamespace(abilities=("inject",), address="fake:model")
    tokenize = SimpleNamespace(tokenizer=SimpleNamespace(get_vocab=lambda: {"dog": 0, "cat": 1}))

    def inject(self, texts, vectors):
        return np.stack([v.sum(0) + len(t) for t, v in zip(texts, vectors, strict=True)])

    def token_embeddings(self, ids):
        return np.eye(2, dtype=np.float32)[ids]


class View:
    encoder = Encoder()

    def probes(self, query):
        return [Probe(0, np.array([1, int(query.parts[0].value)], np.float32))]


@pytest.mark.parametrize("words", [1, 2])
@given(asked=QUESTIONS)
def test_questions_do_not_hang_on_each_other(words, asked):
    def reader(vectors, encoder):
        return np.repeat(vectors[:, None], words, axis=1)

    composer = PseudoWords("fake", TEMPLATES["that"], reader)
    changes = [Change(tuple(Part("item", str(i)) for i in items), said) for said, items in asked]
    together = composer.compose(changes, View())
    assert len(together) == len(changes)
    for one, change in zip(together, changes, strict=True):
        (alone,) = composer.compose([change], View())
        assert np.array_equal(one.probes[0].vector, alone.probes[0].vector)
        assert one.told == alone.told
