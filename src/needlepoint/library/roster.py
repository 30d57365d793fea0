"""Which encoder serves what: those a library was indexed with, chosen by question."""

from __future__ import annotations

from typing import Literal

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.parts import Encoder
from needlepoint.store.base import Space
from needlepoint.store.sqlite import SqliteStore

Asks = Literal["text", "image"]

BUILTIN = "builtin"


class Roster:
    """The encoders of a library. Weights load when a question first needs them."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._open: dict[str, Encoder] = {}

    def open(self, address: str) -> Encoder:
        """The encoder at an address, loaded once."""
        if address not in self._open:
            # One core a pass: several passes run side by side while indexing.
            self._open[address] = open_encoder(address, threads=1)
        return self._open[address]

    def use(self, address: str, asks: Asks) -> None:
        """Make an indexed encoder the one for questions of a kind.

        Raises:
            UsageError: the library was not indexed with it, or it has no such ability.
        """
        self.choice(asks, address)
        self._store.set_meta(f"use.{asks}", address)

    def space(self, asks: Asks, address: str | None = None) -> Space:
        """The space in which a question of a kind is asked, its encoder opened and compared.

        Raises:
            UsageError: no indexed encoder answers such questions, or not the one asked for.
            LibraryIncompatible: the encoder at this address is not the one the vectors are from.
        """
        chosen = self.choice(asks, address)
        self._check(chosen)
        return chosen

    def choice(self, asks: Asks, address: str | None = None) -> Space:
        """The space in which a question of a kind would be asked.

        Without an address: the encoder set by :meth:`use`; else for words the newest
        picture-language model, for pictures the one whose recipe knows places; the built-in
        encoder stands in for words only while there is no other.

        Raises:
            UsageError: no indexed encoder answers such questions, or not the one asked for.
        """
        spaces = [s for s in self._store.spaces() if asks in s.card["answers"]]
        wanted = address or self._store.get_meta(f"use.{asks}")
        if wanted is not None:
            spaces = [s for s in spaces if s.encoder == wanted]
        if not spaces:
            known = sorted({s.encoder for s in self._store.spaces()})
            kind = "words" if asks == "text" else "pictures"
            raise UsageError(
                f"`model` is {wanted or 'not given'}, but this library cannot ask it with {kind}. "
                f"Indexed with: {', '.join(known) or 'nothing yet'}. "
                f"Run `needlepoint index --model {wanted or BUILTIN} FOLDER`."
            )
        if asks == "text":
            spaces.sort(key=lambda s: (s.encoder != BUILTIN, s.id))
        else:
            spaces.sort(key=lambda s: (s.recipe.startswith("dense"), s.encoder == BUILTIN, s.id))
        return spaces[-1]

    def _check(self, space: Space) -> None:
        card = self.open(space.encoder).card
        if card.fingerprint() == space.fingerprint:
            return
        stored = space.card.get("encoder", {})
        mine = card.facts()
        differs = [k for k in mine if k in stored and stored[k] != mine[k]] or ["weights_hash"]
        told = "; ".join(f"{k}: library {stored.get(k)!r}, here {mine[k]!r}" for k in differs)
        raise LibraryIncompatible(
            f"the library was indexed with another {space.encoder} ({told}). Vectors of the two "
            "cannot be compared: use the version it was made with, or index into a new library."
        )
