"""ChatIR: a model asks, and the whole dialogue is the query (Levy et al. 2023)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers, Turn, Understood, View
from needlepoint.methods.interactive import feedback
from needlepoint.methods.options import read_options
from needlepoint.methods.saying import (
    check_least,
    in_words,
    question_of,
    rounds_of,
    same,
    told,
)
from needlepoint.outside.chat import ChatModel
from needlepoint.outside.prompting import prompt

JOINT = ", "
_QUESTIONS = {
    "type": "object",
    "properties": {"questions": {"type": "array", "items": {"type": "string"}}},
    "required": ["questions"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Options:
    """``chatir:rounds=10,questions=seen``.

    ``questions`` are asked one by one with all answers ``seen``, or written ``ahead`` of any.
    """

    rounds: int = 10
    questions: Literal["seen", "ahead"] = "seen"

    def __post_init__(self) -> None:
        check_least("chatir", self, rounds=1)


class ChatIR:
    """Words and answers joined by commas are searched; a chat model asks the next question."""

    def __init__(self, options: Options, chat: ChatModel) -> None:
        self._options, self._chat = options, chat
        self._plain = feedback.Feedback(feedback.Options())
        self._written: dict[str, list[str]] = {}

    def understand(self, turns: Sequence[Turn], view: View) -> Understood:
        """The dialogue as one text, with the pictures marked."""
        return in_words(JOINT.join(told(rounds_of(turns))), turns, view, self._plain)

    def ask(self, turns: Sequence[Turn], view: View) -> str:
        """One new question; empty after the last round, or when the model has nothing new."""
        rounds = rounds_of(turns)
        if not rounds or len(rounds) > self._options.rounds:
            return ""
        if self._options.questions == "ahead":
            question = self._ahead(rounds[0][1], len(rounds) - 1)
        else:
            dialogue = JOINT.join(told(rounds))
            question = question_of(
                self._chat.reply(prompt("chatir_question", dialogue=dialogue), most=60)
            )
        return "" if any(same(question, asked) for asked, _ in rounds) else question

    def _ahead(self, caption: str, place: int) -> str:
        """One of the questions that were written with nothing known but the first words."""
        if caption not in self._written:
            count = self._options.rounds
            asked = prompt("chatir_ahead", caption=caption, count=str(count))
            reply = json.loads(self._chat.reply(asked, schema=_QUESTIONS, most=60 * count))
            found = [question_of(text) for text in reply["questions"]]
            self._written[caption] = list(dict.fromkeys(filter(None, found)))
        questions = self._written[caption]
        return questions[place] if place < len(questions) else ""


def dialogue(options: str, helpers: Helpers) -> ChatIR:
    """The method with its options.

    Raises:
        ModelUnavailable: no chat model is configured.
    """
    read = read_options(Options, options, "chatir")
    return ChatIR(read, helpers.chat_for("chatir"))


CARD = register(
    Method(
        MethodCard(
            name="chatir",
            title="ChatIR: chatting makes perfect",
            paper="arXiv 2305.20062 (NeurIPS 2023)",
            year=2023,
            task="interactive",
            parts=(
                "Dialogue: a chat model asks; words, questions and answers joined are the query",
            ),
            recipe="*",
            needs=("text",),
            stores="nothing of its own",
            passes="none; one chat call a turn",
            evidence="own reading",
            parameters={
                "rounds": "10 questions at most (paper)",
                "questions": "seen: each is asked with all answers known; ahead: all are written "
                "from the first words (the paper's mode without answers)",
            },
            disagreements=(
                "The paper fine-tunes BLIP's text side on dialogues of VisDial. Here the library's "
                "own encoder reads the joined dialogue: the paper's zero-shot line.",
                "The paper's BLIP cuts a dialogue at 200 word pieces; CLIP cuts at 77 tokens, "
                "SigLIP at 64, and the built-in concept search knows no order of words: there late "
                "answers count less or not at all.",
                "Separators between rounds in training are not public; the evaluation joins the "
                "caption and the rounds by a comma and a blank, and so does this.",
                "The prompt is ours: the role and three rounds of example, greedy words. The "
                "paper's questioner is a larger model with its own examples.",
                "A question is cut at its first question mark; one that was asked before is not "
                "asked again, and the user leads.",
            ),
            places=True,
        ),
        dialogue=dialogue,
    )
)
