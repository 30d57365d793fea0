"""Dense region search: one pass, every window, a few vectors that stand for all of them."""

from needlepoint.methods.card import Method, MethodCard, register

CARD = register(
    Method(
        MethodCard(
            name="dense",
            title="Dense region search",
            paper="needlepoint (docs/results/needle.md); pooling after Tolias et al. 2016 (R-MAC)",
            year=2026,
            task="fine-grained",
            parts=("RegionProposer: all windows of the cell map", "Describer: spherical k-means"),
            recipe="dense:*",
            needs=("dense",),
            stores="1 whole vector and R region vectors with boxes",
            passes="1 at the size that `detail` names, 1 small",
            evidence="own",
            parameters={
                "regions": "32 by default, fitted on the dev scenes",
                "detail": "1x or 2x: long side of the pass",
            },
        )
    )
)
