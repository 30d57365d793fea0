"""PlugIR: the dialogue rewritten as a caption, questions that part the candidates (2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from needlepoint.methods.candidates import Candidates, softmax
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
from needlepoint.outside.captioner import Captioner
from needlepoint.outside.chat import ChatModel
from needlepoint.outside.prompting import prompt
from needlepoint.parts import Floats
from needlepoint.query import Part, Query

GENERIC = "What else can be seen in the picture?"
"""Asked when no other question is left."""

TRIES = 3
TOP = 10
"""Best-ranked pictures whose order the choice of a question does not look at."""

Rounds = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Options:
    """``plugir:rounds=10,candidates=500,questions=5``.

    ``candidates`` are looked at in the first round, fewer by the ``rounds``-th part each; so many
    ``questions`` are written for the choice of one.
    """

    rounds: int = 10
    candidates: int = 500
    questions: int = 5

    def __post_init__(self) -> None:
        check_least("plugir", self, rounds=1, candidates=1, questions=1)


class PlugIR:
    """Six steps a round: candidates, questions, filter, choice, the user's answer, one caption."""

    def __init__(self, options: Options, chat: ChatModel, captioner: Captioner | None) -> None:
        self._options, self._chat = options, chat
        self._candidates = Candidates(captioner)
        self._plain = feedback.Feedback(feedback.Options())
        self._captions: dict[Rounds, str] = {}

    def understand(self, turns: Sequence[Turn], view: View) -> Understood:
        """The caption of the dialogue so far, with the pictures marked."""
        return in_words(self._caption(rounds_of(turns)), turns, view, self._plain)

    def ask(self, turns: Sequence[Turn], view: View) -> str:
        """The question that is least likely to change what is ranked below the first ten."""
        rounds = rounds_of(turns)
        many = self._many(len(rounds))
        if not rounds or many < 1:
            return ""
        caption = self._caption(rounds)
        (probe,) = view.probes(Query((Part("text", caption),)))
        ids, _ = view.search([probe], many)
        vectors = view.wholes(ids.tolist(), probe.space)
        known = self._candidates.captions(ids, vectors, view)
        asked = [question for question, _ in rounds if question]
        for _ in range(TRIES if known else 0):
            questions = [q for q in self._questions(known, rounds, asked) if self._open(caption, q)]
            if questions:
                low = vectors[TOP:] if len(vectors) > TOP else vectors
                return self._chosen(questions, caption, low, view)
        plain = question_of(self._chat.reply(prompt("plugir_plain", **_dialogue(rounds)), most=32))
        if plain and not _asked(plain, asked) and self._open(caption, plain):
            return plain
        return "" if GENERIC in asked else GENERIC

    def _many(self, turn: int) -> int:
        """How many candidates the round after some turns looks at; 0 after the last."""
        rounds, first = self._options.rounds, self._options.candidates
        return max(int(first - (turn - 1) * first / rounds), 0)

    def _caption(self, rounds: Rounds) -> str:
        """First words and dialogue as one caption; said anew once where nothing changed."""
        if len(rounds) < 2:
            return rounds[0][1] if rounds else ""
        if rounds not in self._captions:
            before = self._caption(rounds[:-1])
            text = self._line(self._chat.reply(prompt("plugir_reformulate", **_dialogue(rounds))))
            if same(text, before):
                asked = prompt("plugir_paraphrase", caption=text)
                text = self._line(self._chat.reply(asked, temperature=0.7))
            self._captions[rounds] = text
        return self._captions[rounds]

    def _questions(
        self, candidates: Sequence[str], rounds: Rounds, asked: Sequence[str]
    ) -> list[str]:
        """Different questions that were not asked yet."""
        listed = "\n".join(f"{n}. {caption}" for n, caption in enumerate(candidates, start=1))
        messages = prompt("plugir_question", candidates=listed, **_dialogue(rounds))
        found = [
            question_of(self._chat.reply(messages, temperature=0.5, most=32))
            for _ in range(self._options.questions)
        ]
        return [q for q in dict.fromkeys(found) if q and not _asked(q, asked)]

    def _open(self, caption: str, question: str) -> bool:
        """Whether the caption leaves a question unanswered."""
        asked = prompt("plugir_filter", description=caption, question=question)
        return "uncertain" in self._chat.reply(asked, most=32).casefold()

    def _chosen(self, questions: Sequence[str], caption: str, low: Floats, view: View) -> str:
        """The question that, put behind the caption, moves the scores of candidates least."""
        if len(questions) == 1:
            return questions[0]
        texts = [caption, *(f"{caption}, {question}" for question in questions)]
        probes = view.probes(Query(tuple(Part("text", text) for text in texts)))
        shares = softmax(np.stack([probe.vector for probe in probes]) @ low.T).astype(np.float64)
        apart = (shares[0] * np.log(shares[0] / shares[1:])).sum(axis=1)
        return questions[int(np.argmin(apart))]

    def _line(self, text: str) -> str:
        return " ".join(text.split()).strip("\"'")


def _dialogue(rounds: Rounds) -> dict[str, str]:
    return {"description": rounds[0][1], "dialogue": "\n".join(told(rounds[1:])) or "(none yet)"}


def _asked(question: str, before: Sequence[str]) -> bool:
    return any(same(question, one) for one in before)


def dialogue(options: str, helpers: Helpers) -> PlugIR:
    """The method with its options.

    Raises:
        ModelUnavailable: no chat model is configured.
        UsageError: a number below 1.
    """
    read = read_options(Options, options, "plugir")
    return PlugIR(read, helpers.chat_for("plugir"), helpers.captioner)


CARD = register(
    Method(
        MethodCard(
            name="plugir",
            title="PlugIR: plug-and-play interactive retrieval",
            paper="arXiv 2406.03411 (ACL 2024)",
            year=2024,
            task="interactive",
            parts=(
                "Dialogue: a chat model rewrites the dialogue as a caption and asks what parts "
                "the candidates",
            ),
            recipe="*",
            needs=("text",),
            stores="nothing of its own",
            passes="none; 11 chat calls a turn when all goes well, 34 at most",
            evidence="own reading",
            parameters={
                "rounds": "10 (authors' code)",
                "candidates": "500 in the first round, a tenth of it fewer in each (authors' code)",
                "questions": "5 written a try, each cut at its first question mark, temperature "
                "0.5, 32 tokens at most (authors' code)",
                "clusters": "10, one caption each, of lowest entropy (authors' code)",
                "tries": "3, then a question without candidates, then a fixed one (authors' code)",
            },
            disagreements=(
                "The prompts are ours, in the form of the authors': role, one worked example, "
                "candidates, description, dialogue.",
                "The authors' candidates carry captions made in advance. Here they are the words a "
                "library knows of its pictures (keywords); where it knows none, a captioner sees "
                "the picture nearest to the middle of each cluster, so at most ten a turn; without "
                "a captioner the question is asked without candidates.",
                "A paraphrase is drawn at temperature 0.7; top-p (0.8 in the authors' code) is "
                "left to the server.",
                "Clusters start from the best-ranked picture and then the one least like those so "
                "far, so that a conversation can be repeated; the authors' start is random.",
                "A question that was asked before is never asked again.",
            ),
        ),
        dialogue=dialogue,
    )
)
