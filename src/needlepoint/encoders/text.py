"""How a text is written before it is tokenised, by the name the card gives the rule, and which of
its tokens are words afterwards."""

from __future__ import annotations

import html
import re
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError

PLACEHOLDER = "{}"

#: single-word pairs tried in turn to find the tokens that placeholders become
_PROBES = (("dog", "cat"), ("one", "two"), ("a", "b"), ("x", "y"), ("0", "1"))

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def siglip(text: str) -> str:
    """Lower case, no ASCII punctuation, single spaces: what SigLIP's own tokenizer does."""
    return _single_spaces(text.lower().translate(_PUNCTUATION))


def canonicalize(text: str) -> str:
    """The same in open_clip, which reads HTML entities and makes an underscore a space."""
    return siglip(_entities(text).replace("_", " "))


def whitespace(text: str) -> str:
    """HTML entities read, single spaces."""
    return _single_spaces(_entities(text))


def clip(text: str) -> str:
    """HTML entities read, single spaces, lower case, as CLIP's original tokenizer."""
    return whitespace(text).lower()


def blip(text: str) -> str:
    """Lower case, the marks ``.!"()*#:;~`` made spaces, single spaces, as BLIP-2's captions."""
    return _single_spaces(re.sub(r"[.!\"()*#:;~]", " ", text.lower()))


def _entities(text: str) -> str:
    return html.unescape(html.unescape(text))


def _single_spaces(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


CANONICAL: dict[str, Callable[[str], str]] = {
    "none": lambda text: text,
    "lower": str.lower,
    "blip": blip,
    "clip": clip,
    "siglip": siglip,
    "canonicalize": canonicalize,
    "whitespace": whitespace,
}


def word_mask(ids: npt.NDArray[np.int64], tokenizer: Any) -> npt.NDArray[np.bool_]:
    """Which tokens belong to the text itself: neither start nor end token nor padding.

    Words stand between a start token in the first place, if any, and the first end token. By
    place rather than by id: CLIP in open_clip pads with 0, which is also the id of a byte.

    Args:
        ids: int64 ``[N, L]``, padded on the right.
        tokenizer: of open_clip or transformers, which names the special tokens. Where a text was
            cut so that no end token is left, all but trailing padding is words.

    Returns:
        bool ``[N, L]``.
    """
    inner = getattr(tokenizer, "tokenizer", tokenizer)  # open_clip wraps one of transformers

    def named(*names: str) -> list[int]:
        found = (getattr(inner, name, None) for name in names)
        return [int(one) for one in found if one is not None]

    first = np.isin(ids[:, :1], named("sot_token_id", "bos_token_id", "cls_token_id"))
    ends = np.isin(ids, named("eot_token_id", "eos_token_id", "sep_token_id"))
    ends[:, 0] &= ~first[:, 0]  # some tokenizers start and end with the same token
    filled = np.logical_or.accumulate((ids != (named("pad_token_id") or [0])[0])[:, ::-1], axis=1)
    place = np.arange(ids.shape[1])
    stop = np.where(ends.any(axis=1), ends.argmax(axis=1), filled.sum(axis=1))
    mask: npt.NDArray[np.bool_] = (place >= first) & (place < stop[:, None])
    return mask


def slots_of(
    text: str, token_ids: Callable[[Sequence[str]], npt.NDArray[np.int64]], context: int
) -> tuple[npt.NDArray[np.int64], tuple[int, ...]]:
    """Ids of a sentence with stand-ins for its placeholders, and where those are.

    Any tokenizer will do: the places are where two sentences with two one-token words differ.

    Args:
        text: holds ``{}`` at least once.
        token_ids: texts to ids int64 ``[N, L]``.
        context: L, for the message.

    Returns:
        int64 ``[L]`` and as many places as placeholders.

    Raises:
        UsageError: no placeholder, or one that is no token of its own within the context.
    """
    count = text.count(PLACEHOLDER)
    if not count:
        raise UsageError(f"sentence {text!r} must hold {PLACEHOLDER} at least once")
    for pair in _PROBES:
        first, second = token_ids([text.replace(PLACEHOLDER, word) for word in pair])
        differ = np.flatnonzero(first != second)
        if len(differ) == count:
            return first, tuple(differ.tolist())
    raise UsageError(
        f"sentence {text!r}: no single token stands for each {PLACEHOLDER}; set them apart by "
        f"spaces and keep the text within {context} tokens"
    )
