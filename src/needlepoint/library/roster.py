"""Which encoder and vectors serve what: those a library was indexed with, chosen by question."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Sequence
from typing import Literal

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.methods.card import find_method, suits
from needlepoint.parts import Encoder
from needlepoint.regions.recipe import is_policy
from needlepoint.store.base import Space
from needlepoint.store.sqlite import SqliteStore

Asks = Literal["text", "image"]

BUILTIN = "builtin"


class Roster:
    """The encoders of a library. Weights load when a question first needs them."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._open: dict[str, Encoder] = {}
        self._opening = threading.Lock()

    def beside(self, store: SqliteStore) -> Roster:
        """The same encoders, opened once for both, for another view of the library."""
        other = Roster(store)
        other._open = self._open
        return other

    def open(self, address: str) -> Encoder:
        """The encoder at an address, loaded once."""
        with self._opening:
            if address not in self._open:
                # One core a pass: several passes run side by side while indexing.
                self._open[address] = open_encoder(address, threads=1)
            return self._open[address]

    def release(self) -> None:
        """Let go of all encoders; whoever is using one keeps it until done."""
        with self._opening:
            self._open.clear()

    @property
    def loaded(self) -> list[str]:
        """Addresses of the encoders that are in memory."""
        return list(self._open)

    def use(self, address: str, asks: Asks) -> None:
        """Make an indexed encoder the one for questions of a kind.

        Raises:
            UsageError: the library was not indexed with it, or it has no such ability.
        """
        self.choice(asks, address)
        self._store.set_meta(f"use.{asks}", address)

    def space(self, asks: Asks, address: str | None = None, method: str | None = None) -> Space:
        """The space in which a question of a kind is asked, its encoder opened and compared.

        Raises:
            UsageError: no indexed encoder answers such questions, or not the one asked for.
            LibraryIncompatible: the encoder at this address is not the one the vectors are from,
                or no vectors can be searched with this method; says what to run.
        """
        chosen = self.choice(asks, address, method)
        self._check(chosen)
        return chosen

    def choice(self, asks: Asks, address: str | None = None, method: str | None = None) -> Space:
        """The space in which a question of a kind would be asked.

        Without an address: the encoder set by :meth:`use`; else for words the newest
        picture-language model, for pictures the one whose recipe knows places; the built-in
        encoder stands in for words only while there is no other. An encoder is as new as its
        first vectors here. Of its vectors those of a region policy come first, then the newest.

        With a method: the first, in this order, of the vectors that it can search.

        Raises:
            UsageError: no indexed encoder answers such questions, or not the one asked for.
            LibraryIncompatible: no vectors can be searched with this method; says what to run.
        """
        spaces = [s for s in self._store.spaces() if asks in s.card["answers"]]
        spaces = _in_order(asks, spaces)
        wanted = address or self._store.get_meta(f"use.{asks}")
        theirs = [s for s in spaces if wanted in (None, s.encoder)]
        if not theirs:
            known = sorted({s.encoder for s in self._store.spaces()})
            kind = "words" if asks == "text" else "pictures"
            raise UsageError(
                f"`model` is {wanted or 'not given'}, but this library cannot ask it with {kind}. "
                f"Indexed with: {', '.join(known) or 'nothing yet'}. "
                f"Run `needlepoint index --model {wanted or BUILTIN} FOLDER`."
            )
        if method is None:
            return theirs[0]
        # An address is an order; what `use` has set is a preference.
        fit = [s for s in (theirs if address else [*theirs, *spaces]) if suits(method, s.recipe)]
        if not fit:
            raise LibraryIncompatible(self._what_to_run(method, theirs))
        return fit[0]

    def _what_to_run(self, method: str, spaces: Sequence[Space]) -> str:
        encoder = spaces[0].encoder
        recipes = list(dict.fromkeys(s.recipe for s in spaces if s.encoder == encoder))
        library = str(self._store.folder)
        name, _, options = method.partition(":")
        found = find_method(name)
        # a method without vectors of its own is searched in those of another, or of a policy
        source = method if options else found.card.recipe.partition(":")[0].rstrip("*")
        how = ["--method", method if found.describer is not None else source]
        another = is_policy(source) and any(map(is_policy, recipes))
        if is_policy(source):
            how = ["--regions", source]
        if another:  # a library holds one policy for an encoder
            library += "-2"
        folders = [path for path, _ in self._store.roots().values()] or ["FOLDER"]
        command = ["needlepoint", "--library", library, "index", *how, "--model", encoder]
        needed = "vectors of " + (method if options else found.card.recipe)
        return (
            f"`method` is {method}, which needs {needed}; this library has {', '.join(recipes)} "
            f"by {encoder}. Run `{shlex.join([*command, *folders])}`"
            + (" and search that --library." if another else ".")
        )

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


def method_of(recipe: str) -> str:
    """The method by which vectors of a recipe are searched when none is named.

    Example:
        >>> method_of("dense:32@1x"), method_of("none"), method_of("lare:n=7")
        ('dense', 'whole', 'lare')
    """
    name = recipe.partition(":")[0]
    return "whole" if name == "none" else name


def _in_order(asks: Asks, spaces: Sequence[Space]) -> list[Space]:
    """Spaces that answer a kind of question, the preferred one first."""
    first: dict[str, int] = {}
    for space in spaces:
        first[space.encoder] = min(space.id, first.get(space.encoder, space.id))
    dense = {s.encoder for s in spaces if s.recipe.startswith("dense") and is_policy(s.recipe)}

    def rank(space: Space) -> tuple[int, ...]:
        own = space.encoder == BUILTIN
        lead = (not own, 0) if asks == "text" else (space.encoder in dense, own)
        return (*lead, first[space.encoder], is_policy(space.recipe), space.id)

    return sorted(spaces, key=rank, reverse=True)
