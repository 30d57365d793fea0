"""SPRC (Bai et al., ICLR 2024, arXiv 2310.05473): picture and words as a prompt before the words.

One pass of the Q-Former over queries and words with the picture gives 32 outputs, the
sentence-level prompt. A second, without the picture, reads prompt and words; the output of the
first word, projected, is the question.
"""

from __future__ import annotations

from dataclasses import dataclass

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options
from needlepoint.methods.query_tokens import BEST_TOKEN, QueryTokensComposer, QueryTokensDescriber


@dataclass(frozen=True, slots=True)
class Options:
    """None: what was learnt lies in the model's folder."""


def composer(options: str, helpers: Helpers) -> QueryTokensComposer:
    """The method at work."""
    read_options(Options, options, "sprc")
    return QueryTokensComposer("sprc")


CARD = register(
    Method(
        MethodCard(
            name="sprc",
            title="SPRC: sentence-level prompts",
            paper="arXiv 2310.05473 (ICLR 2024)",
            year=2024,
            task="composed",
            parts=(
                "encoder: BLIP-2's Q-Former",
                "describer: 32 vectors a picture",
                "composer: two passes",
                "trainer",
            ),
            recipe="qformer*",
            needs=("queries",),
            stores="32 vectors of 256 numbers and their mean",
            passes="one of the vision tower and two of the Q-Former a question",
            evidence="authors' code",
            parameters={
                "words": "32 tokens at most (authors' code)",
                "picture": "padded to 5 : 4 at most, then cropped (train qformer --pad-ratio 1.25, "
                "authors' code); squashed where BLIP-2's own files say so",
                "losses": "L_itc + 0.4 L_rtc + 0.4 L_align (paper, authors' code for CIRR)",
                "training": "AdamW (0.9, 0.98), eps 1e-7, decay 0.05, rate 1e-5 (CIRR) or 2e-5 "
                "(FashionIQ), batch 128, one cycle (authors' code)",
            },
            disagreements=(
                "In the second pass prompts go through the feed-forward weights of words: the "
                "authors changed the Q-Former so. Weights of queries would be BLIP-2's way.",
                "The question is the output of the first word (place 33), that of the text-only "
                "loss the output of the first learned prompt (place 1): so in the authors' code.",
                "For FashionIQ the authors' code adds the three losses with weight 1 each, and its "
                "cycle is planned for 30 epochs with 1.5 of warm-up; for CIRR with 0.4 and for 80 "
                "epochs, of which 50 are run.",
                "The authors' second-stage reranker is not here.",
            ),
            places=False,
        ),
        describer=lambda options: QueryTokensDescriber(),
        fusion=lambda options, card: BEST_TOKEN,
        composer=composer,
    )
)
