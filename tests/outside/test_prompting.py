"""Prompts are files that read well: roles, values, and what they are for."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from needlepoint.outside.prompting import prompt

FOLDER = files("needlepoint.outside") / "prompts"
NAMES = sorted(file.name.removesuffix(".md") for file in FOLDER.iterdir())
VALUES = {
    name: f"<{name} with $signs and ## user>"
    for name in ("dialogue", "caption", "count", "candidates", "description", "question")
} | {"differences": "<differences>"}


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_is_a_chat(name: str) -> None:
    told = (FOLDER / f"{name}.md").read_text("utf-8")
    assert re.match(r"# \S.+\n\n", told), "says what it is for"
    messages = prompt(name, **VALUES)
    roles = [message.role for message in messages]
    assert roles[-1] == "user"
    assert roles.count("system") == (roles[0] == "system")
    turns = roles[roles.count("system") :]
    assert turns == ["user", "assistant"] * (len(turns) // 2) + ["user"]
    for value in re.findall(r"\$(\w+)", told):
        assert VALUES[value] in messages[-1].text + messages[0].text


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match="dialogue"):
        prompt("chatir_question")


def test_there_are_prompts() -> None:
    assert len(NAMES) >= 8
