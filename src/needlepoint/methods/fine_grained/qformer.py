"""BLIP-2 as released (Li et al. 2023, arXiv 2301.12597): the best of 32 learned queries."""

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.methods.query_tokens import BEST_TOKEN, QueryTokensDescriber

CARD = register(
    Method(
        MethodCard(
            name="qformer",
            title="BLIP-2 image-text retrieval: the best of its queries",
            paper="arXiv 2301.12597 (ICML 2023)",
            year=2023,
            task="fine-grained",
            parts=(
                "Describer: what each learned query sees of the picture",
                "Scorer: the best of them",
            ),
            recipe="qformer*",
            needs=("queries",),
            stores="32 vectors of 256 numbers and their mean, boxes of the whole picture",
            passes="1",
            evidence="authors' code",
            parameters={"queries": "as many as the model has learnt: 32 as released"},
            disagreements=(
                "The mean of the 32 is kept beside them for searches with one vector a picture "
                "(ours); it takes no part in this score.",
                "The queries' vectors belong to no place: their boxes are the whole picture.",
            ),
            places=False,
        ),
        describer=lambda options: QueryTokensDescriber(),
        fusion=lambda options, card: BEST_TOKEN,
    )
)
