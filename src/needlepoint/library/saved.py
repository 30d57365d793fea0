"""Saved searches: a question with its filter and order, kept in the library under a name."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from needlepoint.errors import LibraryError, UsageError
from needlepoint.store.catalogue import Catalogue

MOST = 1000
"""Searches that one library keeps."""
LONGEST_NAME = 200
_KEY = "saved.searches"
_ORDERS = ("score", "newest", "oldest")


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """What was asked, and when it was saved (ISO 8601, UTC)."""

    name: str
    q: str
    where: str | None = None
    order: str = "score"
    min_score: float | str | None = None
    fold: bool = False
    model: str | None = None
    method: str | None = None
    saved: str = ""


class NoSuchSearch(UsageError):
    """A name under which nothing is saved."""


class Saved:
    """The saved searches of one library; ``library.shelf.saved``.

    Example:
        >>> library.shelf.saved.put(SavedSearch("bikes", "a red bicycle"))  # doctest: +SKIP
        >>> [one.name for one in library.shelf.saved.all()]  # doctest: +SKIP
        ['bikes']
    """

    def __init__(self, store: Catalogue) -> None:
        self._store = store
        self._guard = threading.Lock()

    def all(self) -> list[SavedSearch]:
        """Every saved search, by name."""
        kept = self._read()
        return [kept[name] for name in sorted(kept, key=lambda name: (name.casefold(), name))]

    def get(self, name: str) -> SavedSearch:
        """One of them.

        Raises:
            NoSuchSearch: none has this name.
        """
        kept = self._read()
        if name not in kept:
            raise NoSuchSearch(f"no search is saved as {name!r}")
        return kept[name]

    def put(self, search: SavedSearch) -> tuple[SavedSearch, bool]:
        """Save a search, in place of the one of its name; also tells whether that was new.

        Raises:
            UsageError: the name cannot be one, or too many are saved.
            LibraryError: the library cannot be written.
        """
        name = search.name
        if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            raise UsageError(
                f"`name` is 1 to {LONGEST_NAME} characters that can be seen. Received: {name!r}."
            )
        if search.order not in _ORDERS:
            raise UsageError(f"`order` is {', '.join(_ORDERS)}. Received: {search.order!r}.")
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        stamped = SavedSearch(**{**asdict(search), "saved": now})
        with self._guard:
            kept = self._read()
            new = name not in kept
            if new and len(kept) >= MOST:
                raise UsageError(f"{MOST} searches are saved already: remove some first")
            self._write({**kept, name: stamped})
        return stamped, new

    def remove(self, name: str) -> None:
        """Forget a search.

        Raises:
            NoSuchSearch: none has this name.
            LibraryError: the library cannot be written.
        """
        with self._guard:
            self.get(name)
            self._write({key: one for key, one in self._read().items() if key != name})

    def _read(self) -> dict[str, SavedSearch]:
        text = self._store.get_meta(_KEY)
        try:
            told: list[dict[str, Any]] = json.loads(text) if text else []
            return {one["name"]: SavedSearch(**one) for one in told}
        except (ValueError, TypeError, KeyError):
            raise LibraryError(
                "the saved searches cannot be read: a newer needlepoint has written them"
            ) from None

    def _write(self, kept: dict[str, SavedSearch]) -> None:
        text = json.dumps([asdict(one) for one in kept.values()], ensure_ascii=False)
        self._store.set_meta(_KEY, text)
