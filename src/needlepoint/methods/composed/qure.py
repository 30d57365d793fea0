"""QuRe (Kwak et al., ICML 2025): one pass, and negatives that are neither easy nor perhaps right.

One pass of the Q-Former over queries and words with the picture; the question is the mean of the
32 projected outputs. What is new lies in training: see ``train/negatives.py``.
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
    read_options(Options, options, "qure")
    return QueryTokensComposer("qure")


CARD = register(
    Method(
        MethodCard(
            name="qure",
            title="QuRe: query-relevant retrieval through hard negative sampling",
            paper="ICML 2025",
            year=2025,
            task="composed",
            parts=(
                "encoder: BLIP-2's Q-Former",
                "describer: 32 vectors a picture",
                "composer: one pass, mean of the queries",
                "trainer: negatives between the two steepest drops below the target",
            ),
            recipe="qformer*",
            needs=("queries",),
            stores="32 vectors of 256 numbers and their mean",
            passes="one of the vision tower and one of the Q-Former a question",
            evidence="authors' code",
            parameters={
                "words": "32 tokens at most (authors' code)",
                "picture": "padded to 5 : 4 at most, then cropped (train qformer --pad-ratio 1.25, "
                "authors' code); squashed where BLIP-2's own files say so",
                "negatives": "one a step, from sets made anew six times a run; at random before "
                "the first (authors' code)",
                "loss": "-log sigmoid((s_t - s_n) / T), T learnt from 0.07 (authors' code)",
                "training": "AdamW, decay 0.05, batch 32, cosine by epochs to a hundredth, 30 "
                "epochs at 5e-6 (FashionIQ) or 50 at 1e-5 (CIRR) (authors' code)",
            },
            disagreements=(
                "The authors' code breaks off where a question's set is empty; here the candidate "
                "nearest to the target's score is taken, and counted.",
                "The authors train BLIP-2 with ViT-L; any size of the layout opens here.",
            ),
            places=False,
        ),
        describer=lambda options: QueryTokensDescriber(),
        fusion=lambda options, card: BEST_TOKEN,
        composer=composer,
    )
)
