"""Options of a method as one line of text: ``n=5,geometry=released``; what a recipe is made of."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import fields
from typing import Any, ClassVar, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints

from needlepoint.errors import UsageError, nearest

FILE_OPTIONS = frozenset({"captions", "corpus", "file", "layers", "phrases", "weights", "words"})
"""Options of any method that name files of the machine; no other option does, but for these:"""
FILE_SOURCES = frozenset({"annotations", "owlv2", "sam"})
"""What stands before a file or folder where an option says how things are looked for."""


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T", bound=_Dataclass)


def read_options(kind: type[T], text: str, method: str) -> T:
    """A frozen dataclass of options from ``key=value`` pairs with commas between them.

    Fields may be ``str``, ``int``, ``float``, ``bool`` (``yes``, ``no``) and ``Literal`` of
    strings; what is not given keeps its default. A value ends at a comma unless that is doubled.

    Raises:
        UsageError: an unknown key, a value that is not of the kind, a key given twice.
    """
    hints = get_type_hints(kind)
    known = {field.name: hints[field.name] for field in fields(kind)}
    given: dict[str, Any] = {}
    for pair in filter(None, text.replace(",,", "\0").split(",")):
        key, equals, value = (part.strip().replace("\0", ",") for part in pair.partition("="))
        if key not in known or not equals:
            raise UsageError(
                f"method {method}: option {pair.strip()!r} is not known{nearest(key, known)}. "
                f"Allowed: {', '.join(f'{name}=…' for name in known) or 'none'}."
            )
        if key in given:
            raise UsageError(f"method {method}: option {key} is given twice.")
        given[key] = _value(known[key], value, f"method {method}: {key}")
    return kind(**given)


def write_options(options: _Dataclass) -> str:
    """The options that differ from their defaults; ``read_options`` gives the same back.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Options:
        ...     n: int = 5
        >>> write_options(Options(7)), write_options(Options())
        ('n=7', '')
    """
    told = []
    for field in fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
            told.append(f"{field.name}={text.replace(',', ',,')}")
    return ",".join(told)


def without(options: str, keys: Container[str]) -> str:
    """The options less those of some keys.

    Example:
        >>> without("n=5,tau=0.2", {"tau"})
        'n=5'
    """
    pairs = options.replace(",,", "\0").split(",")
    kept = [pair for pair in pairs if pair.partition("=")[0].strip() not in keys]
    return ",".join(kept).replace("\0", ",,")


def recipe_text(method: str, options: _Dataclass) -> str:
    """What is stored with the vectors of a method: its name and its options.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Options:
        ...     n: int = 5
        >>> recipe_text("lare", Options(7)), recipe_text("lare", Options())
        ('lare:n=7', 'lare')
    """
    told = write_options(options)
    return f"{method}:{told}" if told else method


def _value(kind: Any, text: str, where: str) -> Any:
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise UsageError(f"{where} is {text!r}. Allowed: {', '.join(get_args(kind))}.")
        return text
    if kind is bool:
        if text not in ("yes", "no"):
            raise UsageError(f"{where} is {text!r}. Allowed: yes, no.")
        return text == "yes"
    try:
        return kind(text)
    except ValueError as error:
        raise UsageError(f"{where} is {text!r}, which is not {kind.__name__}.") from error
