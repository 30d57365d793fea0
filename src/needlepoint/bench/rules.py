"""A chat model by rule, so that methods which need one can be held without one.

It knows the prompts of ``outside/prompts`` and nothing of pictures. Rows made with it say so: they
tell how a method's machinery behaves, not what a language model would add.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from needlepoint.bench.needle.words import phrase, vocabulary
from needlepoint.errors import UsageError
from needlepoint.outside.chat import Message
from needlepoint.outside.prompting import prompt

OPEN = (
    "What else is there?",
    "What other thing can be seen?",
    "Which thing stands beside it?",
    "What has not been said yet?",
    "What is the smallest thing in it?",
)
"""Asked in turn where there are no candidates to part."""

_VALUES = dict.fromkeys(("dialogue", "description", "question", "candidates"), "")
_WORD = re.compile(r"[^\W\d_]+")


class RuleChat:
    """Asks for what parts the candidates, else openly; joins answers; knows what was said."""

    name = "rules"

    def reply(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        most: int = 400,
    ) -> str:
        """The reply that the prompt's rule gives.

        Raises:
            UsageError: a prompt that it does not know.
        """
        first, last = messages[0].text, messages[-1].text
        if first == _system("chatir_question"):
            return OPEN[last.count("?") % len(OPEN)]
        if first == _system("plugir_plain"):
            return OPEN[last.count("?") % len(OPEN)]
        if first == _system("plugir_question"):
            return _parting(last)
        if first == _system("plugir_filter"):
            return _from_description(last)
        if first == _system("plugir_reformulate"):
            return _joined(last)
        if first.startswith(_system("plugir_paraphrase")[:40]):
            return f"a picture of {last.splitlines()[-1].removeprefix('a picture of ')}"
        raise UsageError(
            f"the rules of the bench know no such prompt: {first[:60]!r}. Configure a chat model."
        )


@cache
def _system(name: str) -> str:
    values = {**_VALUES, "caption": ""}
    return prompt(name, **values)[0].text


def _parting(text: str) -> str:
    """Whether there is the thing that comes nearest to half of the candidates' captions."""
    listed, _, known = text.partition("Description:")
    captions = [set(_things(line)) for line in listed.splitlines()[1:] if line.strip()]
    told = set(_things(known))
    counts = Counter(word for words in captions for word in words - told)
    if not counts:
        return OPEN[known.count("?") % len(OPEN)]
    word = min(counts, key=lambda one: (abs(2 * counts[one] - len(captions)), one))
    return f"Is there {phrase(word, None)}?"


def _from_description(text: str) -> str:
    described, _, question = text.partition("Question:")
    asked = set(_things(question))
    return "yes" if asked and asked <= set(_things(described)) else "Uncertain"


def _joined(text: str) -> str:
    """The description and what the answers affirm, the newest last."""
    described, _, dialogue = text.partition("Dialogue:")
    said = [described.removeprefix("Description:").strip()]
    for line in dialogue.strip().splitlines():
        _, _, answer = line.rpartition("?")
        answer = re.sub(r"^(yes|no)\b[,.]?", "", answer.strip()).strip()
        said += [answer] if answer and answer not in said and answer != "nothing else" else []
    return ", ".join(said)


def _things(text: str) -> list[str]:
    """The words of the vocabulary in a text, single words only."""
    known = vocabulary()
    return [known[one] for one in _WORD.findall(text.lower()) if one in known]
