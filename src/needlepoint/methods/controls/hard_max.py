"""Hard max: the highest score of whole and regions, whatever made the regions."""

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.search.fusion import BEST

CARD = register(
    Method(
        MethodCard(
            name="hard-max",
            title="Highest score of whole and regions",
            paper="max-pooling of region scores; Razavian et al. 2014",
            year=2014,
            task="control",
            parts=("Scorer: maximum",),
            recipe="*",
            needs=(),
            stores="what the library was indexed with",
            passes="those of the indexing",
            evidence="own",
        ),
        fusion=lambda options, card: BEST,
    )
)
