"""The card every method carries and the registry that lists them."""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
import warnings
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any, Literal

from needlepoint.errors import UsageError

Evidence = Literal["authors' code", "paper's equations", "own reading", "own"]


@dataclass(frozen=True, slots=True)
class MethodCard:
    """What a published system (or one of ours) is made of, and how sure we are of it.

    ``recipe`` is the region policy a library must have been indexed with, as a pattern with wild
    cards; ``needs`` names encoder abilities; ``stores`` says what is kept of a picture;
    ``passes`` is the number of encoder passes a picture costs.
    """

    name: str
    title: str
    paper: str
    year: int
    task: str
    parts: tuple[str, ...]
    recipe: str
    needs: tuple[str, ...]
    stores: str
    passes: str
    evidence: Evidence
    parameters: dict[str, str] = field(default_factory=dict)
    disagreements: tuple[str, ...] = ()
    places: bool = True
    """Whether regions take part in the answer (and boxes come with it)."""

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)


_METHODS: dict[str, MethodCard] = {}
_loaded = False


def register(card: MethodCard) -> MethodCard:
    """List a method under its name; a second registration of a name warns and replaces."""
    if card.name in _METHODS and _METHODS[card.name] != card:
        warnings.warn(
            f"method {card.name!r} is registered twice; the later one is used", stacklevel=2
        )
    _METHODS[card.name] = card
    return card


def list_methods(pattern: str = "*") -> list[MethodCard]:
    """Cards whose name matches a wild-card pattern, by name.

    Example:
        >>> [card.name for card in list_methods("den*")]
        ['dense']
    """
    _load()
    return [_METHODS[name] for name in sorted(_METHODS) if fnmatch.fnmatch(name, pattern)]


def find_method(name: str) -> MethodCard:
    """The card of this name.

    Raises:
        UsageError: no such method; the message names the nearest ones.
    """
    _load()
    if name not in _METHODS:
        near = get_close_matches(name, _METHODS, n=3) or sorted(_METHODS)
        raise UsageError(
            f"unknown method {name!r}. Nearest: {', '.join(near)}. See `needlepoint methods`."
        )
    return _METHODS[name]


def _load() -> None:
    """Import every method file once, then what other packages offer as entry points."""
    global _loaded
    if _loaded:
        return
    _loaded = True
    package = importlib.import_module("needlepoint.methods")
    for module in pkgutil.walk_packages(package.__path__, "needlepoint.methods."):
        importlib.import_module(module.name)
    for entry in entry_points(group="needlepoint.methods"):
        register(entry.load())
