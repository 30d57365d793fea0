"""Texts that tell which words are common, as an encoder's tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from needlepoint.errors import UsageError
from needlepoint.parts import Floats, TextEncoder
from needlepoint.search.concepts import Counting, Ids, Mask, common_words

_TEXTS = 1024  # tokenised at once


@runtime_checkable
class Reader(TextEncoder, Protocol):
    """A text tower on torch, which names its tokens."""

    def token_ids(self, texts: Sequence[str]) -> Ids:
        """Ids int64 ``[N, L]``."""
        ...

    def word_mask(self, ids: Ids) -> Mask:
        """Which tokens are neither start nor end nor padding, bool ``[N, L]``."""
        ...


_tables: WeakKeyDictionary[Any, tuple[bytes, Floats]] = WeakKeyDictionary()


def common_tokens(encoder: Reader, corpus: Sequence[str], counting: Counting) -> Floats:
    """How common each token is, float32 ``[V]`` (see ``common_words``).

    An encoder's last table is remembered: a library is asked many questions over the same corpus.
    """
    seen = hashlib.blake2b(counting.encode(), digest_size=16)
    for text in corpus:
        seen.update(text.encode("utf-8", "surrogatepass") + b"\0")
    known = _tables.get(encoder)
    if known is not None and known[0] == seen.digest():
        return known[1]

    def batches() -> Iterator[tuple[Ids, Mask]]:
        for start in range(0, len(corpus), _TEXTS):
            ids = encoder.token_ids(corpus[start : start + _TEXTS])
            yield ids, encoder.word_mask(ids)

    table = common_words(batches(), counting)
    _tables[encoder] = (seen.digest(), table)
    return table


def read_corpus(path: str, method: str) -> list[str]:
    """The texts of a file, one a line; empty lines are none.

    Raises:
        UsageError: the file cannot be read or holds no text; the message names the method.
    """
    try:
        lines = Path(path).expanduser().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"method {method}: corpus {path} cannot be read: {error}") from error
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise UsageError(f"method {method}: corpus {path} holds no text. Allowed: one text a line.")
    return texts
