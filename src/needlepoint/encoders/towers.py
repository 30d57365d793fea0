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

    def query_key(
        self, block: Any, tokens: Tensor, context: Any, asking: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Queries (already scaled) and keys ``[N, H, T, d]`` of a block for its input tokens.

        ``asking`` ``[N, t, C]``: prefix tokens whose queries alone are wanted, in place of all.
        """
        ...

    def pooling(self, before: Tensor, after: Tensor, context: Any) -> Tensor:
        """Attention ``[N, H, P]`` that makes the vector: one row, not normalised over patches.

        The class token's in the last block, whose input and output tokens ``before`` and ``after``
        are; or that of the learned query of an attention-pooling head over the final tokens.
        """
        ...

    def pool(self, tokens: Tensor) -> Tensor:
        """Tokens after the last block to vectors ``[N, D]``, not normalised."""
        ...

    def final(self, tokens: Tensor) -> Tensor:
        """Tokens after the last block to patch tokens ``[N, P, C]`` after the final norm."""
        ...

    def joint(self, final: Tensor) -> Tensor:
        """Final patch tokens ``[..., C]`` to vectors ``[..., D]``, not normalised.

        The projection that the class token goes through; an attention-pooling head is given each
        token alone.
        """
        ...

    def values(self, tokens: Tensor, context: Any) -> Tensor:
        """Tokens *before the last block* to values ``[N, P, K]`` of the attention of ``pooling``.

        Heads side by side, before the output projection.
        """
        ...

    def merge(self, values: Tensor) -> Tensor:
        """Values ``[..., K]``, pooled within each head, to cells: the output projection."""
        ...

    def cells(self, tokens: Tensor, context: Any) -> Tensor:
        """Tokens *before the last block* to cells ``[N, P, K]``: the half that may be averaged.

        Equal to ``merge(values(tokens))``.
        """
        ...

    def head(self, means: Tensor) -> Tensor:
        """Means of cells ``[..., K]`` to vectors ``[..., D]``, not normalised."""
        ...


class JointTower(ImageTower, Protocol):
    """An image tower with words in its space, whose patches may be made up (``inversion``)."""

    width: int
    """Numbers C of a patch embedding."""

    def place(self, patches: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Any]:
        """Patch embeddings ``[N, P, C]`` of rows and columns to what ``embed`` gives.

        Prefix tokens are put in front, positions added; the norm before the blocks, if any.
        """
        ...


class TextTower(Protocol):
    """A text transformer, block by block, on texts padded to a fixed length L."""

    blocks: Sequence[Any]
    mask: Tensor | None
    """Added to attention scores, ``[L, L]``, causal; None where every token sees every token."""
    sharpness: float | None
    """Inverse temperature that pictures and texts were trained with; None where none is kept."""

    def words(self, ids: Tensor) -> Tensor:
        """Token embeddings ``[N, L, C]`` without positions: where pseudo-words are put in."""
        ...

    def start(self, words: Tensor) -> Tensor:
        """Adds position embeddings."""
        ...

    def run(self, block: Any, tokens: Tensor) -> Tensor:
        """One block under as much of ``mask`` as there are tokens."""
        ...

    def memory(self, block: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values ``[N, H, p, d]`` of a block for its input at the first p positions."""
        ...

    def follow(self, block: Any, memory: tuple[Tensor, Tensor], tokens: Tensor) -> Tensor:
        """One block for tokens ``[N, l, C]`` alone, behind p positions known by their memory.

        The same as the last l rows of ``run`` where no token looks ahead (``mask``). The memory
        may be that of one text ``[1, H, p, d]``, shared by all.
        """
        ...

    def query_key(
        self, block: Any, tokens: Tensor, context: Any = None, asking: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Queries (already scaled) and keys ``[N, H, L, d]`` of a block for its input tokens.

        ``asking`` ``[N, l, C]``: tokens whose queries alone are wanted, in place of all.
        """
        ...

    def where(self, ids: Tensor) -> Tensor:
        """Position ``[N]`` of the token that stands for the whole text."""
        ...

    def final(self, tokens: Tensor) -> Tensor:
        """Tokens after the last block through the final norm, any shape ``[..., C]``."""
        ...

    def joint(self, final: Tensor) -> Tensor:
        """Final tokens ``[..., C]`` through the text projection: ``[..., D]``, not normalised."""
        ...


class Tokenize(Protocol):
    """Texts to token ids int64 ``[N, L]``, canonicalised and padded as the weights expect.

    ``tokenizer`` is the object of the library that wrote it; it names the special tokens.
    """

    tokenizer: Any

    def __call__(self, texts: Sequence[str]) -> Any: ...
