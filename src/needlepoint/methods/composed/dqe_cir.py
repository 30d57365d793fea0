"""DQE-CIR (our reading) of Park et al. 2026, arXiv 2603.04037: weighted attributes, and negatives
from the zone between too easy and perhaps right."""

from __future__ import annotations

from dataclasses import dataclass

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.composed.combiner import TrainedCombiner, open_trained
from needlepoint.methods.dialogue import Helpers
from needlepoint.methods.options import read_options


@dataclass(frozen=True, slots=True)
class Options:
    """``dqe_cir:weights=FOLDER``, a model of ``needlepoint train dqe-cir``."""

    weights: str = ""


def composer(options: str, helpers: Helpers) -> TrainedCombiner:
    """The method with its weights; raises as ``combiner.open_trained``."""
    weights = read_options(Options, options, "dqe_cir").weights
    return open_trained("dqe_cir", weights, "needlepoint train dqe-cir")


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
            passes="one of the text tower a question",
            evidence="own reading",
            parameters={
                "weights": "folder of a model of one's own (needlepoint train dqe-cir)",
                "base": "combiner, or mlp (ours; the paper's is BLIP-2)",
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
