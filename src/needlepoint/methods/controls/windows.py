"""Re-encoded windows: a grid of half-overlapping crops, each through the encoder by itself."""

from needlepoint.methods.card import Method, MethodCard, register

CARD = register(
    Method(
        MethodCard(
            name="windows",
            title="Re-encoded windows",
            paper="five-crop and grid practice; Razavian et al. 2014 (spatial search)",
            year=2014,
            task="control",
            parts=("RegionProposer: n x n half-overlapping crops",),
            recipe="windows:*",
            needs=(),
            stores="1 whole vector and N region vectors with boxes",
            passes="1 + N",
            evidence="own reading",
            parameters={"windows": "a square number: 9 is a 3 x 3 grid, 25 a 5 x 5 grid"},
        )
    )
)
