"""FashionNTM as a method: what it hears of turns, and what it searches with."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from needlepoint.errors import LibraryIncompatible, ModelUnavailable, UsageError
from needlepoint.methods.card import find_method
from needlepoint.methods.dialogue import Helpers, Mark, Turn
from needlepoint.methods.interactive.fashion_ntm import FashionNtm, hear
from needlepoint.query import Part
from needlepoint.store.base import Probe

P, W = 5, 4


def vector(seed, size):
    found = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    return found / np.linalg.norm(found)


class FakeView:
    """Words in space 1, pictures in space 0; the vector of each hangs on its text or mark."""

    def __init__(self, words=W):
        self._words = words

    def probes(self, query):
        return [
            Probe(1, vector(len(p.value), self._words)) if p.kind == "text" else self._picture(p)
            for p in query.parts
        ]

    def marked(self, marks):
        return [Probe(0, vector(100 + mark.id + 7 * (mark.box is not None), P)) for mark in marks]

    def _picture(self, part):
        return self.marked([Mark(int(part.value), part.box)])[0]


def test_levels_hold_pictures_pieces_and_words():
    turns = [
        Turn("a tent"),
        Turn("it is red", more=(Mark(3), Mark(4, (0, 0, 5, 5))), less=(Mark(9),)),
        Turn(more=(Mark(3),)),
    ]
    heard = hear(turns, FakeView(), P, W)
    assert heard.features.shape == (3, 3, P + W)
    assert not heard.features[0, :, :P].any()
    for level in range(3):
        assert heard.features[0, level, P:] == pytest.approx(vector(len("a tent"), W))
    whole = vector(103, P) + vector(104, P)
    assert heard.features[1, 0, :P] == pytest.approx(whole / np.linalg.norm(whole), abs=1e-6)
    assert heard.features[1, 1, :P] == pytest.approx(vector(111, P))
    assert not heard.features[1, 2, :P].any()
    assert not heard.features[2, :, P:].any()
    assert heard.like.space == 0


def test_pictures_said_as_parts_of_a_question_are_shown():
    turn = Turn("@3", parts=(Part("item", "3"), Part("text", "in blue")))
    heard = hear([turn], FakeView(), P, W)
    assert heard.features[0, 0, :P] == pytest.approx(vector(103, P))
    assert heard.features[0, 0, P:] == pytest.approx(vector(len("in blue"), W))


def test_words_alone_tell_of_the_pictures_only_where_both_share_a_space():
    assert hear([Turn("a tent")], FakeView(), P, W).like is None
    assert hear([Turn("a tent")], FakeView(words=P), P, P).like.space == 1


def test_vectors_of_another_size_are_refused():
    with pytest.raises(LibraryIncompatible, match=r"words of 9 numbers.*gives 4"):
        hear([Turn("a tent")], FakeView(), P, 9)
    with pytest.raises(LibraryIncompatible, match="pictures of 6 numbers"):
        hear([Turn(more=(Mark(1),))], FakeView(), 6, W)


@pytest.mark.torch
def test_the_answer_is_that_of_the_memories_and_hangs_on_all_turns():
    torch = pytest.importorskip("torch")
    from needlepoint.encoders.cascade import Cascade, CascadeShape

    torch.manual_seed(0)
    model = Cascade(CascadeShape(P, W, stages=3, slots=4, slot=6, hidden=8)).eval()
    turns = [Turn("a tent", more=(Mark(3),)), Turn("it is red")]
    method, view = FashionNtm(model), FakeView()
    (probe,) = method.understand(turns, view).probes
    with torch.inference_mode():
        whole = model(torch.from_numpy(hear(turns, view, P, W).features[None]))[0, -1].numpy()
    assert probe.space == 0
    assert probe.vector == pytest.approx(whole)
    changed = method.understand([Turn("an elephant", more=(Mark(3),)), turns[1]], view).probes[0]
    assert not np.allclose(changed.vector, probe.vector, atol=1e-4)
    said = method.understand([Turn("a tent"), Turn("it is red")], view)
    assert [part.value for part in said.query.parts] == ["a tent", "it is red"]
    assert said.probes == ()
    assert method.ask(turns, view) == ""


def test_weights_must_be_named_and_be_there(tmp_path, monkeypatch):
    make = find_method("fashion_ntm").dialogue
    with pytest.raises(UsageError, match="fashion_ntm:weights=FOLDER"):
        make("", Helpers())
    monkeypatch.setitem(sys.modules, "needlepoint.encoders.cascade", None)
    with pytest.raises(ModelUnavailable, match="is not installed"):
        make(f"weights={tmp_path}", Helpers())


@pytest.mark.torch
def test_a_folder_without_a_model_is_told(tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(ModelUnavailable, match="holds no FashionNTM"):
        find_method("fashion_ntm").dialogue(f"weights={tmp_path}", Helpers())
