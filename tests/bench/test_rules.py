"""The chat model by rule against the prompts that the methods send."""

from __future__ import annotations

import pytest

from needlepoint.bench.rules import OPEN, RuleChat
from needlepoint.errors import UsageError
from needlepoint.outside.chat import Message
from needlepoint.outside.prompting import prompt


def said(name, **values):
    return RuleChat().reply(prompt(name, **values))


def test_open_questions_differ_from_round_to_round():
    first = said("chatir_question", dialogue="a sofa")
    second = said("chatir_question", dialogue=f"a sofa, {first} a lemon")
    assert (first, second) == OPEN[:2]
    plain = said("plugir_plain", description="a sofa", dialogue="(none yet)")
    assert plain == OPEN[0]


def test_a_question_parts_the_candidates_by_what_is_not_said_yet():
    listed = "1. a red sofa and an owl\n2. a sofa\n3. an owl and a tent\n4. a sofa on the left"
    values = {"candidates": listed, "description": "a sofa", "dialogue": "(none yet)"}
    assert said("plugir_question", **values) == "Is there an owl?"
    values["dialogue"] = "Is there an owl? no"
    assert said("plugir_question", **values) == "Is there a tent?"
    values["candidates"] = "1. a sofa"
    assert said("plugir_question", **values) in OPEN


def test_what_the_description_tells_is_answered_and_nothing_else():
    told = {"description": "a red sofa and an owl"}
    assert said("plugir_filter", **told, question="Is there an owl?") == "yes"
    assert said("plugir_filter", **told, question="Is there a tent?") == "Uncertain"
    assert said("plugir_filter", **told, question="What else is there?") == "Uncertain"


def test_answers_are_joined_and_refusals_left_out():
    dialogue = "Is there an owl? yes, a blue owl\nIs there a tent? no\nwhat else? nothing else"
    found = said("plugir_reformulate", description="a sofa", dialogue=dialogue)
    assert found == "a sofa, a blue owl"
    assert said("plugir_paraphrase", caption="a sofa") == "a picture of a sofa"


def test_another_prompt_is_refused():
    with pytest.raises(UsageError, match="know no such prompt: 'Hello'"):
        RuleChat().reply([Message("user", "Hello")])
