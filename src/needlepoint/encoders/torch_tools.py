"""Small things the torch encoders and their towers share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch

from needlepoint.errors import UsageError
from needlepoint.parts import EncoderCard, Floats

_Method = TypeVar("_Method", bound=Callable[..., Any])


def no_gradient(method: _Method) -> _Method:
    """Runs a method of ``OnTorch`` without gradients and in the precision its card names."""

    @wraps(method)
    def run(self: OnTorch, *args: Any, **options: Any) -> Any:
        half = self.card.extra.get("precision") == "bf16"
        device = self.device.type
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=half):
            return method(self, *args, **options)

    return cast(_Method, run)


class OnTorch:
    """What all torch encoders share: the card, the device, and arrays in and out."""

    card: EncoderCard

    def __init__(self, card: EncoderCard, device: str, threads: int | None) -> None:
        self.card = card
        self.device = torch.device(device)
        if threads is not None:
            if threads < 1:
                raise UsageError(f"threads: must be at least 1, received {threads}")
            torch.set_num_threads(threads)  # torch knows one number for the whole process

    def tensor(self, array: npt.NDArray[Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def ready(model: Any, device: str, precision: str) -> Any:
    """A loaded float32 model for inference on a device; ``bf16`` halves its large weights."""
    model = model.eval().to(device).requires_grad_(False)
    if precision == "bf16":
        kinds = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Embedding, torch.nn.MultiheadAttention)
        for module in model.modules():
            if isinstance(module, kinds):
                module.to(torch.bfloat16)
    return model


def split_heads(tokens: Any, heads: int) -> Any:
    """``[N, T, H * d]`` to ``[N, H, T, d]``."""
    n, t, width = tokens.shape
    return tokens.reshape(n, t, heads, width // heads).transpose(1, 2)


def mask_for(mask: Any | None, tokens: Any) -> Any | None:
    """The corner of a mask ``[L, L]`` that fits tokens ``[N, l, C]``, l at most L."""
    length = tokens.shape[1]
    return None if mask is None else mask[:length, :length]


def follow_attention(
    memory: tuple[Any, Any], queries: Any, keys: Any, values: Any, mask: Any
) -> Any:
    """Attention of tokens ``[N, H, l, d]`` behind p others.

    Args:
        memory: keys and values of those, ``[N or 1, H, p, d]``.
        queries, keys, values: of the tokens themselves, not scaled.
        mask: added to scores of all positions, ``[L, L]``.

    Returns:
        ``[N, l, H * d]``, heads side by side.
    """
    n, heads, length, width = queries.shape
    known = memory[0].shape[2]
    before = (part.expand(n, heads, known, width) for part in memory)
    keys, values = (torch.cat(both, dim=2) for both in zip(before, (keys, values), strict=True))
    rows = mask[known : known + length, : known + length].to(queries.dtype)
    mixed = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=rows)
    return mixed.transpose(1, 2).reshape(n, length, heads * width)


def pick(tokens: Any, where: Any) -> Any:
    """The token at position ``where`` ``[N]`` of each row of ``[N, L, C]``, as ``[N, C]``."""
    return tokens.gather(1, where[:, None, None].expand(-1, 1, tokens.shape[-1]))[:, 0]


def end_place(ids: Any, end: int) -> Any:
    """Position ``[N]`` of the first token ``end`` in ids ``[N, L]``.

    A text cut so that no end token is left stands for itself by its last token that is not 0.
    """
    found = (ids == end).int()
    last = ((ids != 0).int() * torch.arange(ids.shape[1], device=ids.device)).argmax(-1)
    return torch.where(found.amax(-1) > 0, found.argmax(-1), last)


def resample_positions(positions: Any, grid: tuple[int, int]) -> Any:
    """Position embeddings ``[S * S, C]`` of a square grid, bicubic, to ``[rows * cols, C]``."""
    side = round(positions.shape[0] ** 0.5)
    if grid == (side, side):
        return positions
    square = positions.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    wide = torch.nn.functional.interpolate(square, size=grid, mode="bicubic", align_corners=False)
    return wide.permute(0, 2, 3, 1).reshape(grid[0] * grid[1], -1)


def causal_mask(length: int, device: str) -> Any:
    """Added to scores ``[L, L]``: minus infinity where a token would look ahead."""
    return torch.full((length, length), float("-inf"), device=device).triu(1)


def attention(queries: Any, keys: Any, mask: Any) -> Any:
    scores = queries @ keys.transpose(-1, -2)
    if scores.dtype in (torch.bfloat16, torch.float16):
        scores = scores.float()  # on CPUs, autocast leaves the softmax in half precision
    return torch.softmax(scores if mask is None else scores + mask, dim=-1)


#: query rows of attention held at a time: a So400m at 384 pixels would need 34 MB a picture
_ROWS = 128


def received(queries: Any, keys: Any, prefix: int) -> Any:
    """How much attention each patch gets from the patches, as a mean over them: ``[N, H, P]``.

    The same numbers as the mean over query rows of ``attention(...)[:, :, prefix:, prefix:]``, in
    blocks of rows, so that no ``[N, H, T, T]`` is held. ``P`` times it is what LARE sums (eq. 1).

    Args:
        queries, keys: ``[N, H, T, d]``, the queries already scaled.
        prefix: tokens before the first patch (class, registers).
    """
    total = torch.zeros_like(queries[..., prefix:, 0], dtype=torch.float32)
    for start in range(prefix, queries.shape[2], _ROWS):
        shares = attention(queries[:, :, start : start + _ROWS], keys, None)
        total += shares[..., prefix:].sum(dim=2)
    return total / total.shape[-1]


def one_row(queries: Any, keys: Any, mask: Any = None) -> Any:
    """Attention ``[N, H, T]`` of one query each ``[N, H, 1, d]``, in float32 also under bf16.

    Products in half precision repeat among some hundred patches; thresholds on them would be ties.
    """
    with torch.autocast(queries.device.type, enabled=False):
        return attention(queries.float(), keys.float(), mask)[:, :, 0]


def class_row(tower: Any, before: Any, context: Any) -> Any:
    """Attention ``[N, H, P]`` that the class token pays the patches in the last block.

    One row of the map: the queries of all other tokens are not computed. It sums to one minus
    what the class token pays itself and the registers.
    """
    queries, keys = tower.query_key(tower.blocks[-1], before, context, before[:, :1])
    return one_row(queries, keys)[:, :, tower.prefix :]


def sharpness_of(model: Any) -> float | None:
    """The inverse temperature that a model of pictures and texts was trained with, if any."""
    scale = getattr(model, "logit_scale", None)
    return None if scale is None else float(scale.detach().exp())


def array(tensor: Any) -> Floats:
    array: Floats = tensor.to(torch.float32).cpu().numpy()
    return array


def lengths(vectors: Any) -> Floats:
    return array(vectors.to(torch.float32).norm(dim=-1))


def unit(vectors: Any) -> Floats:
    return array(torch.nn.functional.normalize(vectors.to(torch.float32), dim=-1))


def check_wants(want: frozenset[str], allowed: frozenset[str]) -> None:
    if unknown := sorted(want - allowed):
        raise UsageError(f"want={unknown} is not known; allowed: {sorted(allowed)}")


def block_index(block: int, count: int) -> int:
    if not -count <= block < count:
        raise UsageError(f"block: must lie in {-count} … {count - 1}, received {block}")
    return block % count
