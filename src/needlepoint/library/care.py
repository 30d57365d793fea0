"""The models of a library and its upkeep: what it does besides indexing and answering."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from needlepoint import __version__
from needlepoint.encoders.address import parse
from needlepoint.library.asking import Asker
from needlepoint.library.embedding import Embedded, embed, embedders
from needlepoint.library.roster import BUILTIN, Asks, Roster, method_of
from needlepoint.picture import Pixels
from needlepoint.store.sqlite import SqliteStore

Source = str | os.PathLike[str]


class Care:
    """The part of a ``Library`` that looks after it."""

    path: Path
    _store: SqliteStore
    _roster: Roster
    _asker: Asker

    def embedders(self) -> list[str]:
        """Addresses of the encoders that :meth:`embed` may be asked with."""
        return embedders(self._store.spaces())

    def embed(
        self,
        things: Sequence[str] | Sequence[Pixels],
        *,
        model: str = BUILTIN,
        space: str | None = None,
    ) -> Embedded:
        """Vectors of texts or of pictures by an encoder of the library.

        Args:
            things: texts, or pictures uint8 ``[H, W, 3]``.
            model: address, one of :meth:`embedders`.
            space: the encoder's space to embed in; None for the one such questions are asked in.

        Raises:
            UsageError: no such encoder or space, or nothing to embed.
            ModelUnavailable: the encoder's files or packages are not on this machine.
        """
        return embed(self._roster, self._store.spaces(), things, model, space)

    def warm(self) -> None:
        """Load the encoders and whatever else the first question would wait for.

        Raises:
            LibraryIncompatible: an encoder here is not the one the library was indexed with.
            ModelUnavailable: an encoder's files or packages are not on this machine.
        """
        self._asker.warm()

    def release(self) -> None:
        """Let go of encoders and search structures; the next question loads them again."""
        self._roster.release()
        self._store.release()

    @property
    def loaded(self) -> list[str]:
        """Addresses of the encoders that are in memory."""
        return self._roster.loaded

    def attend(self) -> None:
        """Make sure that the library is still there; see ``Database.attend``.

        Raises:
            LibraryMissing: it is gone, or its disk is.
            LibraryError: another stands in its place and cannot be taken up.
        """
        self._store.attend()

    def use(self, address: str, for_: Literal["text", "image", "both"] = "both") -> None:
        """Set the indexed encoder that answers words, pictures or both."""
        kinds: tuple[Asks, ...] = ("text", "image")
        for asks in kinds:
            if for_ in (asks, "both"):
                card = self._roster.open(str(parse(address))).card
                if for_ == "both" and card.space_for(asks) is None:
                    continue
                self._roster.use(str(parse(address)), asks)

    def models(self) -> list[dict[str, Any]]:
        """Encoders and methods this library was indexed with, and which questions each gets."""
        spaces = self._store.spaces()
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for space in spaces:
            entry = found.setdefault(
                (space.encoder, space.recipe),
                {
                    "address": space.encoder,
                    "method": method_of(space.recipe),
                    "recipe": space.recipe,
                    "fingerprint": space.fingerprint,
                    "spaces": [],
                    "pictures": len(self._store.described(space.id)),
                    "used_for": [],
                },
            )
            entry["spaces"].append({"name": space.name, "dim": space.dim, "codec": space.codec})
        kinds: tuple[tuple[Asks, str], ...] = (("text", "words"), ("image", "pictures"))
        for asks, kind in kinds:
            if any(asks in s.card["answers"] for s in spaces):
                chosen = self._roster.choice(asks)
                found[chosen.encoder, chosen.recipe]["used_for"].append(kind)
        return list(found.values())

    def info(self) -> dict[str, Any]:
        """Counts, folders, models and bytes."""
        told = self._store.stats()
        for space in told["spaces"]:
            space["method"] = method_of(space["recipe"])
        return {
            "library": str(self.path),
            "version": __version__,
            **told,
            "roots": [{"path": p, "online": on} for p, on in self._store.roots().values()],
            "models": self.models(),
            "skipped": len(self._store.skipped()),
            "unfinished": self._store.unfinished_job("index"),
        }

    def skipped(self) -> list[dict[str, Any]]:
        """Pictures that could not be read: ``path``, ``reason``, ``size``."""
        roots = {number: path for number, (path, _) in self._store.roots().items()}
        return [
            {
                "path": os.path.join(roots[old["root"]], old["path"]),
                "reason": old["reason"],
                "size": old["size"],
            }
            for old in self._store.skipped()
        ]

    def gc(self, *, dry_run: bool = False) -> dict[str, int]:
        """Remove what is left of pictures that are gone. No picture file is ever touched."""
        return self._store.gc(dry_run=dry_run)

    def snapshot(self, dest: Source) -> Path:
        """A consistent copy of the library in a new folder, also while another process writes."""
        return self._store.snapshot(Path(dest).expanduser())
