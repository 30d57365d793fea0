"""PlugIR over a stand-in server: every step of a round, and what happens when one fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from talk_kit import PICTURES, Gallery, chat

from chat_stand_in import Answer, said, serving
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.methods.candidates import Candidates, clusters, softmax
from needlepoint.methods.dialogue import Helpers, Mark, Turn
from needlepoint.methods.interactive.plugir import GENERIC, dialogue
from needlepoint.picture import Picture
from needlepoint.query import Part, Query

pytest.importorskip("openai")

TALK = [Turn("a dog"), Turn("yes", "Is it alone?"), Turn("on a beach", "Where is it?")]


class Model:
    """Rules for each prompt, and a count of the calls of each kind."""

    def __init__(
        self,
        questions: Sequence[str] = ("Is there a ball?",),
        answered: Callable[[str], bool] = lambda question: False,
        caption: Callable[[str], str] = lambda told: told.split("Dialogue:\n")[-1],
        plain: str = "What is behind it?",
    ) -> None:
        self._questions, self._answered = questions, answered
        self._caption, self._plain = caption, plain
        self.calls: list[str] = []
        self.prompts: dict[str, list[str]] = {}
        self.temperatures: dict[str, float] = {}

    def __call__(self, path: str, asked: dict[str, Any]) -> Answer:
        head, last = said(asked["messages"][0]), said(asked["messages"][-1])
        kind = next(
            kind
            for kind, words in {
                "ask": "captions of candidate pictures",
                "filter": "Uncertain",
                "reformulate": "as one caption",
                "paraphrase": "in other words",
                "plain": "has not been said",
            }.items()
            if words in head
        )
        self.calls.append(kind)
        self.prompts.setdefault(kind, []).append(last)
        self.temperatures[kind] = asked["temperature"]
        if kind == "ask":
            return Answer(self._questions[(self.calls.count("ask") - 1) % len(self._questions)])
        if kind == "filter":
            question = last.split("Question: ")[1]
            return Answer("Yes" if self._answered(question) else "I am uncertain.")
        if kind == "plain":
            return Answer(self._plain)
        return Answer(self._caption(last) if kind == "reformulate" else "a hound")


def test_a_round_of_six_steps() -> None:
    model, view = Model(questions=("Is there a ball? Or not?", "Is there a sofa?")), Gallery()
    with serving(model) as server:
        method = dialogue("", Helpers(chat(server)))
        assert method.ask(TALK[:1], view) in ("Is there a ball?", "Is there a sofa?")
    assert model.calls.count("ask") == 5
    assert model.calls.count("filter") == 2  # one a different question
    assert model.temperatures == {"ask": 0.5, "filter": 0.0}
    (prompt,) = set(model.prompts["ask"])
    listed = [line.partition(". ")[2] for line in prompt.split("\n") if line[:1].isdigit()]
    assert 1 < len(listed) <= 10
    assert set(listed) <= set(PICTURES)


def test_candidates_are_fewer_every_round() -> None:
    view = Gallery()
    with serving(Model()) as server:
        method = dialogue("", Helpers(chat(server)))
        turns = [Turn("a dog")]
        for _ in range(12):
            method.ask(turns, view)
            turns.append(Turn("yes", f"Is it {len(turns)}?"))
    assert view.searched == [500 - 50 * r for r in range(10)]  # none after ten rounds


def test_the_dialogue_becomes_one_caption() -> None:
    model, view = Model(caption=lambda told: "a dog on a beach"), Gallery()
    with serving(model) as server:
        method = dialogue("", Helpers(chat(server)))
        first = method.understand(TALK[:1], view)
        assert (first.text, model.calls) == ("a dog", [])
        found = method.understand(TALK, view)
    assert found.query == Query((Part("text", found.text),))
    assert model.calls == ["reformulate", "reformulate", "paraphrase"]
    assert found.text == "a hound"  # the second rewriting changed nothing
    assert model.temperatures == {"reformulate": 0.0, "paraphrase": 0.7}


@pytest.mark.parametrize(
    ("caption", "calls"),
    [("A dog.", ["reformulate", "paraphrase"]), ("a dog, alone", ["reformulate"])],
)
def test_an_unchanged_caption_is_paraphrased_exactly_once(caption: str, calls: list[str]) -> None:
    model, view = Model(caption=lambda told: caption), Gallery()
    with serving(model) as server:
        method = dialogue("", Helpers(chat(server)))
        for _ in range(3):  # the same turns again ask nothing
            method.understand(TALK[:2], view)
        method.understand([*TALK[:2], Turn(more=(Mark(3),))], view)
    assert model.calls == calls


def test_an_answered_question_is_never_asked_while_there_is_another() -> None:
    model = Model(
        questions=("Is it a dog?", "Is it big?"), answered=lambda question: "dog" in question
    )
    with serving(model) as server:
        assert dialogue("", Helpers(chat(server))).ask(TALK[:1], Gallery()) == "Is it big?"


@pytest.mark.parametrize(
    ("plain", "answered", "question"),
    [
        ("What is behind it?", ("dog",), "What is behind it?"),
        ("What is behind it?", ("dog", "behind"), GENERIC),
        ("no question", ("dog",), GENERIC),
    ],
)
def test_three_tries_then_a_plain_question_then_a_fixed_one(
    plain: str, answered: tuple[str, ...], question: str
) -> None:
    model = Model(
        questions=("Is it a dog?",),
        answered=lambda asked: any(word in asked for word in answered),
        plain=plain,
    )
    with serving(model) as server:
        assert dialogue("", Helpers(chat(server))).ask(TALK[:1], Gallery()) == question
    assert model.calls.count("ask") == 3 * 5
    assert model.calls.count("plain") == 1


def test_nothing_is_asked_twice() -> None:
    model, view = Model(questions=("Is it alone?", "no question"), plain="IS IT ALONE?"), Gallery()
    with serving(model) as server:
        method = dialogue("", Helpers(chat(server)))
        assert method.ask(TALK[:2], view) == GENERIC
        assert method.ask([*TALK[:2], Turn("nothing", GENERIC)], view) == ""


def test_the_question_that_moves_scores_least_is_chosen() -> None:
    model = Model(questions=("Is the cat on a sofa in a garden by a window?", "Is xyz?"))
    with serving(model) as server:
        assert dialogue("", Helpers(chat(server))).ask(TALK[:1], Gallery()) == "Is xyz?"


class Seeing:
    """A captioner that counts what it sees."""

    name = "seeing"

    def __init__(self) -> None:
        self.seen = 0

    def caption(self, pictures: Sequence[Picture], prompts: Sequence[str]) -> list[str]:
        self.seen += len(pictures)
        return [f"{prompts[0]} picture {picture.source} " for picture in pictures]


def test_a_library_without_words_is_captioned_one_picture_a_cluster() -> None:
    view, eye = Gallery(captions=False), Seeing()
    with serving(Model()) as server:
        method = dialogue("", Helpers(chat(server), eye))
        method.ask(TALK[:1], view)
        once = eye.seen
        method.ask(TALK[:1], view)
    assert 1 < once <= 10
    assert eye.seen == once


def test_without_captions_the_question_is_plain() -> None:
    model = Model()
    with serving(model) as server:
        question = dialogue("", Helpers(chat(server))).ask(TALK[:1], Gallery(captions=False))
    assert question == "What is behind it?"
    assert model.calls == ["plain", "filter"]


def test_at_most_one_caption_a_cluster_and_the_telling_one() -> None:
    view = Gallery()
    ids = np.arange(len(PICTURES), dtype=np.int64)
    captions = Candidates(None).captions(ids, view.rows, view)
    labels, _ = clusters(view.rows, 10)
    assert len(captions) == len(set(captions)) == len(set(labels.tolist())) <= 10
    share = softmax(view.rows @ view.rows.T)
    entropy = -(share * np.log(share)).sum(axis=1)
    for label in set(labels.tolist()):
        members = np.flatnonzero(labels == label)
        assert PICTURES[members[np.argmin(entropy[members])]] in captions


@pytest.mark.parametrize("count", [1, 3, 10, 50])
def test_clusters_hold_what_is_alike(count: int) -> None:
    rng = np.random.default_rng(count)
    rows = rng.normal(size=(40, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels, middles = clusters(rows, count)
    assert len(middles) == min(count, 40)
    assert np.array_equal(labels, np.argmax(rows @ middles.T, axis=1))
    assert np.array_equal(labels, clusters(rows.copy(), count)[0])


def test_one_candidate_is_no_trouble() -> None:
    row = np.float32([[1.0, 0.0]])
    labels, middles = clusters(row, 10)
    assert (labels.tolist(), middles.shape) == ([0], (1, 2))


def test_without_a_model_and_with_wrong_options() -> None:
    with pytest.raises(ModelUnavailable, match="--chat"):
        dialogue("", Helpers())
    with serving([Answer("x")]) as server:
        for options in ("rounds=0", "candidates=0", "questions=0", "tries=1"):
            with pytest.raises(UsageError):
                dialogue(options, Helpers(chat(server)))
