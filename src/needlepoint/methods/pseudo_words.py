"""Pictures in a sentence as pseudo-words: what Pic2Word, SEARLE and LinCIR share when they ask.

Shapes: Q questions, N references of all of them, R pseudo-words each, S slots of a sentence,
D joint dim, C token width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from needlepoint.errors import LibraryIncompatible, ModelUnavailable, UsageError
from needlepoint.methods.composing import Change, Composed, Sight, query_probe
from needlepoint.methods.nearest_words import nearest_tokens, told_words
from needlepoint.parts import Floats
from needlepoint.query import Query
from needlepoint.store.base import Probe

TEMPLATES = {
    "that": "a photo of {} that {change}",
    "list": "a photo of {}, {change}",
    "domain": "a {change} of {}",
    "bare": "{} {change}",
}
"""The published sentences, and ``bare``, which is ours, by the name an option calls them."""

PLAIN = "a photo of {}"
"""Where nothing is to change."""

_SLOT, _SAID = "{}", "{change}"

Kind = Literal["pic2word", "searle", "lincir"]

Reader = Callable[[Floats, Any], Floats]
"""Unit vectors ``[N, D]`` of pictures, and the encoder, to pseudo-words ``[N, C]``, or R each
``[N, R, C]``."""


def read_template(text: str, method: str) -> str:
    """A sentence from its name, or as it is written: ``{}`` and ``{change}`` once each.

    Raises:
        UsageError: neither.

    Example:
        >>> read_template("domain", "lincir"), read_template("{change}: {}", "lincir")
        ('a {change} of {}', '{change}: {}')
    """
    found = TEMPLATES.get(text, text)
    if found.count(_SLOT) != 1 or found.count(_SAID) != 1:
        raise UsageError(
            f"method {method}: template is {text!r}. Allowed: {', '.join(TEMPLATES)}, or a "
            f"sentence with {_SLOT} (the picture) and {_SAID} (the words) once each."
        )
    return found


def sentence(template: str, change: str, references: int, words: int = 1) -> str:
    """The words with ``words`` places ``{}`` for each reference, in their order.

    Example:
        >>> sentence("a photo of {} that {change}", "is red", 2)
        'a photo of {} and {} that is red'
    """
    said = change.replace("{", " ").replace("}", " ").strip()
    head, _, tail = (template if said else PLAIN).partition(_SLOT)
    # the slot's place is found first: words of the change cannot make another
    head, tail = head.replace(_SAID, said), tail.replace(_SAID, said)
    return head + " and ".join([" ".join([_SLOT] * words)] * references) + tail


class PseudoWords:
    """A composer: each reference becomes a word, the sentence a query vector.

    Args:
        method: its name, for messages.
        template: sentence with ``{}`` and ``{change}``.
        reader: given an encoder, makes what turns vectors of pictures into words.
    """

    def __init__(self, method: str, template: str, reader: Reader) -> None:
        self._method, self._template, self._reader = method, template, reader

    def compose(self, changes: Sequence[Change], view: Sight) -> list[Composed]:
        """One query vector a question.

        Raises:
            LibraryIncompatible: the encoder takes no pseudo-words.
        """
        encoder: Any = view.encoder
        if "inject" not in encoder.card.abilities:
            raise LibraryIncompatible(
                f"`method` is {self._method}, which puts a word of its own among the tokens of a "
                f"text; {encoder.card.address} has no text tower that takes one. Choose a model "
                "with `inject` (needlepoint models)."
            )
        probes = [[view.probes(Query((p,)))[0] for p in c.references] for c in changes]
        shown = [probe.vector for row in probes for probe in row]
        if not shown:
            return []
        words = self._reader(np.stack(shown), encoder)
        words = words.reshape(len(shown), -1, words.shape[-1])
        rows = np.split(words, np.cumsum([len(row) for row in probes])[:-1])
        return self._ask(changes, probes, rows, encoder)

    def _ask(
        self,
        changes: Sequence[Change],
        probes: Sequence[Sequence[Probe]],
        rows: Sequence[Floats],
        encoder: Any,
    ) -> list[Composed]:
        """The sentences, those with as many slots at once."""
        found: dict[int, Composed] = {}
        # of all questions at once: the vocabulary may be large
        near = iter(nearest_tokens(encoder, np.concatenate(rows).reshape(-1, rows[0].shape[-1])))
        told = [told_words([next(near) for _ in range(row[..., 0].size)]) for row in rows]
        for slots in sorted({len(row) for row in rows}):
            some = [number for number, row in enumerate(rows) if len(row) == slots]
            each, width = rows[some[0]].shape[1:]
            texts = [sentence(self._template, changes[n].text, slots, each) for n in some]
            put = np.stack([rows[n].reshape(-1, width) for n in some])
            vectors = encoder.inject(texts, put)
            for number, text, vector in zip(some, texts, vectors, strict=True):
                probe = query_probe(probes[number][0], vector)
                lines = (("sentence", text), told[number])
                found[number] = Composed((probe,), ("the sentence",), lines)
        return [found[number] for number in range(len(changes))]


def mapped(kind: Kind, weights: str) -> Reader:
    """A reader by the mapping network of a folder, opened once for each encoder.

    Raises (when it reads):
        ModelUnavailable: torch or the network is not there.
        LibraryIncompatible: the network was trained for another encoder or method.
    """
    opened: dict[str, Any] = {}

    def read(vectors: Floats, encoder: Any) -> Floats:
        try:
            from needlepoint.encoders.phi import find_weights, load_phi
        except ImportError as error:
            raise ModelUnavailable(
                f"{kind} needs {error.name}, which is not installed: "
                "pip install 'needlepoint[torch]'"
            ) from error
        card = encoder.card
        made_for = card.fingerprint()
        if made_for not in opened:
            opened[made_for] = load_phi(find_weights(weights, kind, card), kind, card)
        words: Floats = opened[made_for].pseudo_words(vectors)
        return words

    return read
