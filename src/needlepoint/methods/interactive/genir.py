"""GenIR: what was understood is painted, and the painting is the query (2025)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from needlepoint.errors import ModelUnavailable
from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers, Turn, Understood, View
from needlepoint.methods.interactive import feedback
from needlepoint.methods.options import read_options
from needlepoint.methods.saying import check_least, in_words, rounds_of, searched
from needlepoint.outside.chat import ChatModel, shown
from needlepoint.outside.generator import Generator
from needlepoint.outside.prompting import prompt
from needlepoint.query import Part, Query

ASKED = "What is different in the picture that you look for?"
PAINTED = "the painted picture"
_SIDE = 512


@dataclass(frozen=True, slots=True)
class Options:
    """``genir:rounds=10,feedback=painted``.

    ``rounds`` is how often the first description is rewritten; later words are plain feedback.
    ``feedback`` is what the user is shown and what is searched: ``painted``, the painting and its
    vector; ``text``, nothing and the description; ``found``, the best picture and the description.
    """

    rounds: int = 10
    feedback: Literal["painted", "text", "found"] = "painted"

    def __post_init__(self) -> None:
        check_least("genir", self, rounds=0)


class GenIR:
    """A description, rewritten by what the user says of its painting.

    Without a chat model it is not rewritten: what the user says is put behind it.
    """

    def __init__(
        self, options: Options, chat: ChatModel | None, generator: Generator | None
    ) -> None:
        self._options, self._chat, self._generator = options, chat, generator
        self._plain = feedback.Feedback(feedback.Options())
        self._captions: dict[tuple[str, ...], str] = {}

    def understand(self, turns: Sequence[Turn], view: View) -> Understood:
        """The painting of the description so far, or the description itself."""
        rounds = rounds_of(turns)
        caption = self._caption([said for _, said in rounds[: self._options.rounds + 1]])
        later = [Part("text", said) for _, said in rounds[self._options.rounds + 1 :]]
        if not caption:
            return in_words("", turns, view, self._plain)
        if self._options.feedback == "painted" and self._generator is not None:
            pixels = self._generator.paint(caption)
            (part,) = Query.coerce(pixels).parts
            found = searched([part, *later], turns, view, self._plain)
            names = tuple(PAINTED if name == str(part) else name for name in found.names)
            return replace(found, text=caption, names=names, picture=shown(pixels, _SIDE))
        found = searched([Part("text", caption), *later], turns, view, self._plain)
        found = replace(found, text=caption)
        if self._options.feedback == "found":
            (probe,) = view.probes(Query((Part("text", caption),)))
            best, _ = view.search([probe], 1)
            if len(best):
                found = replace(found, picture=shown(view.pixels(int(best[0]), _SIDE), _SIDE))
        return found

    def ask(self, turns: Sequence[Turn], view: View) -> str:
        """How what is sought differs, as long as the answer changes the description."""
        rounds = len(rounds_of(turns))
        return ASKED if 0 < rounds <= self._options.rounds else ""

    def _caption(self, said: Sequence[str]) -> str:
        """The description after all that was said, each step from the one before."""
        if self._chat is None or len(said) < 2:
            return ", ".join(said)
        key = tuple(said)
        if key not in self._captions:
            before = self._caption(said[:-1])
            asked = prompt("genir_rewrite", caption=before, differences=said[-1])
            self._captions[key] = " ".join(self._chat.reply(asked, most=500).split())
        return self._captions[key]


def dialogue(options: str, helpers: Helpers) -> GenIR:
    """The method with its options.

    Raises:
        ModelUnavailable: paintings are asked for and no generator is configured.
    """
    read = read_options(Options, options, "genir")
    if read.feedback == "painted" and helpers.generator is None:
        raise ModelUnavailable(
            "`method` is genir, which needs a generator of pictures. Name one: --generator "
            "openai:BASE_URL#MODEL or folder:DIR; or take genir:feedback=text."
        )
    return GenIR(read, helpers.chat, helpers.generator)


CARD = register(
    Method(
        MethodCard(
            name="genir",
            title="GenIR: generated pictures as feedback",
            paper="arXiv 2506.06220 (NeurIPS 2025)",
            year=2025,
            task="interactive",
            parts=("Dialogue: a description, its painting, the user's differences, again",),
            recipe="*",
            needs=(),
            stores="nothing of its own",
            passes="one of the painting a turn; one generator call and one chat call a turn",
            evidence="own reading",
            parameters={
                "rounds": "10 rewritings at most (evaluation; 2 in the authors' code by default); "
                "0: paint the first words and search",
                "feedback": "painted; text: the description is searched and nothing is shown; "
                "found: the description is searched and the best picture shown (the paper's "
                "baselines)",
            },
            disagreements=(
                "In the paper a picture-language model plays the user: it describes the target, "
                "compares it with the painting and rewrites the description, at temperature 0.7 "
                "and top-p 0.9. Here a person says what differs, and the rewriting takes the "
                "likeliest words, so that a conversation can be repeated.",
                "The paper searches with BLIP's picture side; here the library's own encoder sees "
                "the painting, as it sees any picture to ask with.",
                "Without a chat model what is said is put behind the description (ours).",
            ),
        ),
        dialogue=dialogue,
    )
)
