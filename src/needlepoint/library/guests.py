"""Questions from people who may not know what files this machine has."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from needlepoint.errors import UsageError
from needlepoint.intake.decode import DEFAULT_LIMITS, Limits, decode
from needlepoint.library.browse import Shelf
from needlepoint.methods.options import FILE_OPTIONS, FILE_SOURCES
from needlepoint.picture import Picture
from needlepoint.query import Part, Query
from needlepoint.regions.question import QUESTION_SIDE
from needlepoint.store.catalogue import Catalogue

UPLOAD = "upload:"


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where pictures to ask with may come from, besides the library.

    ``sent`` gives the picture behind ``img:"upload:NAME"``, at its full size when the second
    argument says so; ``web`` the bytes at a URL. None refuses such parts. ``limits`` bound the
    decoding of what comes from the web.
    """

    sent: Callable[[str, bool], Picture] | None = None
    web: Callable[[str], bytes] | None = None
    limits: Limits = DEFAULT_LIMITS


def admit(query: Query, store: Catalogue, shelf: Shelf, pictures: Pictures) -> Query:
    """The question with every picture in it decoded or found in the library, or refused.

    A path is looked up among those that were indexed, as it is written; whether there is a file
    outside the library is neither told nor looked at. ``~`` stands for itself.

    Raises:
        UsageError: a picture that may not be asked with.
        PictureError: one that cannot be read.
    """
    return replace(query, parts=tuple(_admit(p, store, shelf, pictures) for p in query.parts))


def admit_method(method: str | None) -> None:
    """Refuse a method whose options name files, inside of other options as well.

    Raises:
        UsageError: it does; only whoever runs this machine may choose what is read from it.
    """
    named = re.findall(r"[\w-]+(?=\s*=)|\b\w+(?=\s*:)", method or "")
    if found := [name for name in named if name in {*FILE_OPTIONS, *FILE_SOURCES}]:
        raise UsageError(
            f"`method` has {found[0]}, which names a file of this machine and is not for guests. "
            "Leave it out."
        )


def _admit(part: Part, store: Catalogue, shelf: Shelf, pictures: Pictures) -> Part:
    if part.kind == "text" or part.picture is not None:
        return part
    whole = part.box is not None  # a small piece of a large picture needs the large picture
    if part.kind == "picture" and part.value.startswith(UPLOAD):
        if pictures.sent is None:
            raise UsageError(f"{part.value} cannot be asked with: nothing can be sent here")
        return replace(part, picture=pictures.sent(part.value.removeprefix(UPLOAD), whole))
    if part.is_url:
        if pictures.web is None:
            raise UsageError(
                f"{part.value} is on the web, and fetching is not allowed here. Send the picture "
                "itself."
            )
        data = pictures.web(part.value)
        side = 0 if whole else QUESTION_SIDE
        return replace(part, picture=decode(data, at_least=side, limits=pictures.limits))
    if part.kind == "picture":
        part = replace(part, kind="item", value=str(_indexed(part.value, store)))
    if not whole:
        return part
    return replace(part, picture=shelf.read(shelf.locate(int(part.value))))


def _indexed(path: str, store: Catalogue) -> int:
    try:
        number = store.at(path)
    except ValueError:  # bytes that no path has
        number = None
    if number is None:
        raise UsageError(
            f"{path} is not a picture of this library. Only indexed pictures can be named by "
            "their path, from the root; others must be sent."
        )
    return number
