"""From what a client says to what the library is asked: questions, pages and folders."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mcp_types import Root

from needlepoint.errors import UsageError
from needlepoint.library import Library
from needlepoint.library.guests import Pictures
from needlepoint.query import Part, Query

DEPTH = 10_000
"""Hits that can be paged through."""
MOST_FOLDERS = 100


def question(view: Library, query: str, negative: str | None = None) -> Query:
    """A question in the one language, with what pushes away said apart.

    Paths in it become items of the library: no file is opened because a client names it.

    Raises:
        UsageError: it cannot be understood, or names a picture that the library does not hold.
    """
    asked = Query.parse(query, files=False)
    parts = list(asked.parts)
    text = query
    if negative is not None and negative.strip():
        pushing = Query.parse(negative, files=False).parts
        parts += [replace(part, weight=-abs(part.weight)) for part in pushing]
        text = ""
    return view.admit(Query(tuple(parts), text, asked.change), Pictures())


def item_at(view: Library, path: str) -> int:
    """The id of the picture at a path.

    Raises:
        UsageError: the library holds none there; what else is there is not told.
    """
    return int(view.admit(Query((Part("picture", path),)), Pictures()).parts[0].value)


def digest(*told: object) -> str:
    """A short mark of a question, by which its cursors are known."""
    return blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def cursor_of(place: int, mark: str) -> str:
    """The cursor of the page that begins at a place (0-based)."""
    return base64.urlsafe_b64encode(json.dumps([place, mark]).encode()).decode().rstrip("=")


def place_of(cursor: str | None, mark: str) -> int:
    """Where the page of a cursor begins; 0 without one.

    Raises:
        UsageError: it is not a cursor, or one of another question.
    """
    if cursor is None:
        return 0
    try:
        told = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        place, theirs = json.loads(told)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        place, theirs = None, None
    if not isinstance(place, int) or not 0 < place < DEPTH:
        raise UsageError("`cursor` is not one that an answer gave as `next`; leave it out")
    if theirs != mark:
        raise UsageError(
            "`cursor` belongs to another question; with it everything but `k` and `thumbnails` "
            "stays as it was. Leave it out to begin anew."
        )
    return place


def folders_of(roots: Sequence[Root]) -> list[str]:
    """The folders that a client names.

    Raises:
        UsageError: more than MOST_FOLDERS, or one that is not a folder of this machine.
    """
    if len(roots) > MOST_FOLDERS:
        raise UsageError(f"a client may have {MOST_FOLDERS} roots at most. Received: {len(roots)}")
    folders = []
    for root in roots:
        parts = urlsplit(str(root.uri))
        path = url2pathname(parts.path)
        here = parts.scheme == "file" and parts.netloc in ("", "localhost")
        if not here or not os.path.isabs(path) or "\0" in path:
            raise UsageError(
                f"the client's roots must be folders of this machine, as file:///home/me. "
                f"Received: {str(root.uri)[:200]!r}"
            )
        folders.append(path)
    return folders
