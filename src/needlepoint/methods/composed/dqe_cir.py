"""DQE-CIR (our reading) of Park et al. 2026, arXiv 2603.04037: weighted attributes, and negatives
from the zone between too easy and perhaps right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.composed.combiner import open_trained
from needlepoint.methods.composing import Change, Composed, Composer, Sight
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options
from needlepoint.methods.query_tokens import QueryTokensComposer
from needlepoint.parts import QueryTokensEncoder

COMMAND = "needlepoint train dqe-cir"


@dataclass(frozen=True, slots=True)
class Options:
    """``dqe_cir:weights=FOLDER``, a model of ``needlepoint train dqe-cir`` for the vectors of any
    encoder; without it the library's encoder is a Q-Former that was trained for it, or the compact
    one, for which a checkout has weights."""

    weights: str = ""


class OnQFormer(QueryTokensComposer):
    """The passes of a trained Q-Former."""

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """As ``QueryTokensComposer``; for any other encoder with the weights of a checkout.

        Raises:
            ModelUnavailable: there are none for this encoder.
        """
        if not isinstance(view.encoder, QueryTokensEncoder):
            return open_trained("dqe_cir", "", COMMAND).compose(changes, view)
        return QueryTokensComposer.compose(self, changes, view)


def composer(options: str, helpers: Helpers) -> Composer:
    """The method on vectors where weights are named, else on a Q-Former.

    Raises:
        UsageError: an unknown option.
        ModelUnavailable: torch is not installed, or there is no model in the folder.
    """
    weights = read_options(Options, options, "dqe_cir").weights
    if not weights:
        return OnQFormer("dqe_cir")
    return open_trained("dqe_cir", weights, COMMAND)


CARD = register(
    Method(
        MethodCard(
            name="dqe_cir",
            title="DQE-CIR (our reading)",
            paper="arXiv 2603.04037 (2026)",
            year=2026,
            task="composed",
            parts=("composer", "trainer"),
            recipe="*",
            needs=("text",),
            stores="nothing of its own",
            passes="one of the text tower a question; on a Q-Former as qure",
            evidence="own reading",
            parameters={
                "weights": "folder of a model of one's own (needlepoint train dqe-cir); without it "
                "the library's encoder is a Q-Former trained for it, or the compact one, whose "
                "weights lie in a checkout",
                "base": "combiner or mlp on any encoder's vectors (ours), or a Q-Former (the "
                "paper's is BLIP-2)",
                "attributes": "colour, shape (the paper's; how they are weighted is our reading)",
                "bounds": "0.05 to 0.30 below the target's score, or quantiles (ours)",
                "negatives": "trns; K = 16 a question and step (ours)",
                "refresh": "every 5 epochs, after as many of warm-up (ours)",
                "losses": "KL, 0.5 ranking with margin 0.2, 0.1 attribute (ours)",
            },
            disagreements=(
                "The paper's equations, settings and tables could not be read: weights, zones and "
                "losses are our definitions of what its abstract says, and no reproduction.",
                "Nothing in these definitions ties an attribute to its name: what the heads called "
                "colour and shape learn is whatever lowers the loss.",
            ),
        ),
        composer=composer,
    )
)
