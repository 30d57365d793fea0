"""Whole picture: one vector a picture, the control every region method is measured against."""

from needlepoint.methods.card import Method, MethodCard, register
from needlepoint.search.fusion import WHOLE

CARD = register(
    Method(
        MethodCard(
            name="whole",
            title="Whole picture",
            paper="the usual practice since Babenko et al. 2014 (neural codes)",
            year=2014,
            task="control",
            parts=("Describer: the encoder's own vector",),
            recipe="*",
            needs=(),
            stores="1 whole vector",
            passes="1",
            evidence="own",
            places=False,
        ),
        fusion=lambda options, card: WHOLE,
    )
)
