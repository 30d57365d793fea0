"""An image tower and a text tower as the encoders in this room drive them, whatever library
wrote the modules. ``T`` tokens are the ``prefix`` tokens (class, registers) and the ``P`` patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Tensor = Any  # torch is imported only when a model is opened


class ImageTower(Protocol):
    """A plain Vision Transformer, block by block."""

    blocks: Sequence[Any]
    prefix: int
    patch: int

    def embed(self, pixels: Tensor) -> tuple[Tensor, Any]:
        """``[N, 3, h, w]`` to tokens ``[N, T, C]`` before the first block, and their context.

        ``h`` and ``w`` are multiples of the patch; position embeddings are interpolated
        (bicubic) when the grid is not the one of training. The context goes to every block.
        """
        ...

    def run(self, block: Any, tokens: Tensor, context: Any) -> Tensor:
        """One block."""
        ...

    def query_key(self, block: Any, tokens: Tensor, context: Any) -> tuple[Tensor, Tensor]:
        """Queries (already scaled) and keys ``[N, H, T, d]`` of a block for its input tokens."""
        ...

    def pool(self, tokens: Tensor) -> Tensor:
        """Tokens after the last block to vectors ``[N, D]``, not normalised."""
        ...

    def cells(self, tokens: Tensor, context: Any) -> Tensor:
        """Tokens *before the last block* to cells ``[N, P, K]``: the half that may be averaged."""
        ...

    def head(self, means: Tensor) -> Tensor:
        """Means of cells ``[..., K]`` to vectors ``[..., D]``, not normalised."""
        ...


class TextTower(Protocol):
    """A text transformer, block by block, on texts padded to a fixed length L."""

    blocks: Sequence[Any]
    mask: Tensor | None
    """Added to attention scores, ``[L, L]``, causal; None where every token sees every token."""

    def words(self, ids: Tensor) -> Tensor:
        """Token embeddings ``[N, L, C]`` without positions: where pseudo-words are put in."""
        ...

    def start(self, words: Tensor) -> Tensor:
        """Adds position embeddings."""
        ...

    def run(self, block: Any, tokens: Tensor) -> Tensor:
        """One block under as much of ``mask`` as there are tokens."""
        ...

    def query_key(self, block: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (already scaled) and keys ``[N, H, L, d]`` of a block for its input tokens."""
        ...

    def where(self, ids: Tensor) -> Tensor:
        """Position ``[N]`` of the token that stands for the whole text."""
        ...

    def pool(self, tokens: Tensor, where: Tensor) -> Tensor:
        """Tokens after the last block to vectors ``[N, D]``, not normalised."""
        ...


class Tokenize(Protocol):
    """Texts to token ids int64 ``[N, L]``, canonicalised and padded as the weights expect."""

    def __call__(self, texts: Sequence[str]) -> Any: ...
