"""The card every method carries, the parts it is made of, and the registry that lists them."""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol

from needlepoint.errors import UsageError
from needlepoint.methods.composing import Composer
from needlepoint.methods.dialogue import Dialogue, Helpers
from needlepoint.methods.options import without
from needlepoint.parts import Encoder, EncoderCard, Floats
from needlepoint.regions.describe import Describer, PolicyDescriber
from needlepoint.regions.recipe import Recipe, is_policy
from needlepoint.search.fusion import BEST, Fusion

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


@dataclass(frozen=True, slots=True)
class Asked:
    """Q texts as vectors float32 ``[Q, D]`` of unit length.

    Where ``second`` float32 ``[Q, D]`` is given, the best ``shortlist`` pictures are put in order
    again by ``(1 - share) s + share <second, whole>``; the others keep their order below them.
    """

    vectors: Floats
    second: Floats | None = None
    share: float = 0.0
    shortlist: int = 100


class Asks(Protocol):
    """Turns words into vectors otherwise than by the encoder's text tower alone."""

    def __call__(
        self, encoder: Encoder, texts: Sequence[str], options: str, corpus: Sequence[str]
    ) -> Asked:
        """``options`` as in the recipe; ``corpus`` holds texts that tell which words are common."""
        ...


@dataclass(frozen=True, slots=True)
class Method:
    """A card and the parts of a method.

    ``describer`` makes one from the options of a recipe (the text behind ``NAME:``), None where
    the region policies of ``index --regions`` serve; ``fusion`` tells how whole and regions make a
    score, for an encoder and the options; ``asks`` is None where the text tower alone serves.
    ``when_asked`` names the options that change no vector: a question may give them another value
    than the library was indexed with. ``dialogue`` makes an interactive method at work from its
    options and the outside models there are, ``composer`` one that answers a picture and a change.
    """

    card: MethodCard
    describer: Callable[[str], Describer] | None = None
    fusion: Callable[[str, EncoderCard], Fusion] = lambda options, card: BEST
    asks: Asks | None = None
    when_asked: tuple[str, ...] = ()
    dialogue: Callable[[str, Helpers], Dialogue] | None = None
    composer: Callable[[str, Helpers], Composer] | None = None


_METHODS: dict[str, Method] = {}
_loaded = False


def register(method: Method) -> MethodCard:
    """List a method under its name; a second registration of a name warns and replaces."""
    name = method.card.name
    if name in _METHODS and _METHODS[name].card != method.card:
        warnings.warn(f"method {name!r} is registered twice; the later one is used", stacklevel=2)
    _METHODS[name] = method
    return method.card


def list_methods(pattern: str = "*") -> list[MethodCard]:
    """Cards whose name matches a wild-card pattern, by name.

    Example:
        >>> [card.name for card in list_methods("wh*")]
        ['whole']
    """
    _load()
    return [_METHODS[name].card for name in sorted(_METHODS) if fnmatch.fnmatch(name, pattern)]


def find_method(name: str) -> Method:
    """The method of this name.

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


def describer_of(recipe: str) -> Describer:
    """The describer that a recipe names: a region policy, or a method with its options.

    Raises:
        UsageError: neither, or options that cannot be understood.

    Example:
        >>> describer_of("windows:9").recipe
        'windows:9'
    """
    if is_policy(recipe):
        return PolicyDescriber(Recipe.parse(recipe))
    name, _, options = recipe.partition(":")
    method = find_method(name)
    if method.describer is None:
        raise UsageError(
            f"method {name} keeps nothing of its own: it searches libraries indexed for "
            f"{method.card.recipe}. Index with --regions or with another method."
        )
    return method.describer(options)


def how_to(method: Method) -> dict[str, str]:
    """Command lines that ``index`` for a method and ``search`` with it, capitals to be filled in.

    Example:
        >>> how_to(find_method("windows"))["index"]
        'needlepoint index --regions windows FOLDER'
    """
    card = method.card
    source = card.recipe.partition(":")[0].rstrip("*")
    if method.describer is not None:
        model = " --model ADDR" if card.needs else ""
        index = f"needlepoint index --method {card.name}{model} FOLDER"
    elif is_policy(source):
        index = f"needlepoint index --regions {source} FOLDER"
    elif source:
        index = f"needlepoint index --method {source} FOLDER"
    else:
        index = "needlepoint index FOLDER"  # any library will do
    if method.dialogue is not None:
        return {"index": index, "search": f"needlepoint chat --method {card.name}"}
    if method.composer is not None:
        search = f'needlepoint search PICTURE --change "WORDS" --method {card.name}'
        return {"index": index, "search": search}
    corpus = " --corpus TEXTS" if method.asks is not None else ""
    return {"index": index, "search": f"needlepoint search --method {card.name}{corpus} QUESTION"}


def same_vectors(one: str, other: str) -> bool:
    """Whether two recipes keep the same of every picture: they differ only in ``when_asked``.

    Example:
        >>> same_vectors("dense:32@1x", "dense:32@1x+map"), same_vectors("windows:9", "windows:4")
        (True, False)
    """
    return _lasting(one) == _lasting(other)


def suits(method: str, recipe: str) -> bool:
    """Whether vectors of a recipe can be searched with a method, ``NAME`` or ``NAME:options``.

    A name takes whatever options the vectors were made with; options that are given must agree.

    Raises:
        UsageError: no such method, or options that cannot be understood.

    Example:
        >>> suits("windows", "windows:9"), suits("windows:4", "windows:9"), suits("whole", "none")
        (True, False, True)
    """
    name, _, options = method.partition(":")
    found = find_method(name)
    if not fnmatch.fnmatchcase(recipe, found.card.recipe):
        return False
    if not options or (found.describer is None and not is_policy(method)):
        return True
    return same_vectors(describer_of(method).recipe, recipe)


def _lasting(recipe: str) -> str:
    """A recipe without what changes no vector."""
    if is_policy(recipe):
        return recipe.removesuffix("+map")
    name, _, options = recipe.partition(":")
    return f"{name}:{without(options, find_method(name).when_asked)}"


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
