"""How a text is written before it is tokenised, by the name the card gives the rule."""

from __future__ import annotations

import html
import re
import string
from collections.abc import Callable

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


def _entities(text: str) -> str:
    return html.unescape(html.unescape(text))


def _single_spaces(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


CANONICAL: dict[str, Callable[[str], str]] = {
    "none": lambda text: text,
    "lower": str.lower,
    "clip": clip,
    "siglip": siglip,
    "canonicalize": canonicalize,
    "whitespace": whitespace,
}
