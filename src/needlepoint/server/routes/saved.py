"""Saved searches: ``/v1/saved``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from needlepoint.errors import UsageError
from needlepoint.library.saved import LONGEST_NAME, NoSuchSearch, SavedSearch
from needlepoint.server.problems import MEDIA, Problem
from needlepoint.server.shared import Here

router = APIRouter(prefix="/v1/saved", tags=["saved"])

_SAID = {
    403: "The server is read-only.",
    404: "No search is saved under this name.",
    409: "Another process is writing to the library; try again when it has finished.",
    422: "A value is not one that is allowed.",
    503: "The library cannot be written.",
}
Name = Annotated[str, Path(min_length=1, max_length=LONGEST_NAME, description="Its name.")]


def _told(*statuses: int) -> dict[int | str, dict[str, Any]]:
    shape = {"schema": {"type": "object"}}
    return {s: {"description": _SAID[s], "content": {MEDIA: shape}} for s in statuses}


class Wish(BaseModel):
    """A search as the address of the page has it."""

    model_config = ConfigDict(extra="forbid")

    q: Annotated[str, Field(max_length=4000)]
    where: Annotated[str | None, Field(max_length=4000)] = None
    order: Literal["score", "newest", "oldest"] = "score"
    min_score: Annotated[
        Annotated[float, Field(allow_inf_nan=False)] | Literal["auto"] | None,
        Field(description="Lowest score, or auto for the cut-off."),
    ] = None
    fold: bool = False
    model: Annotated[str | None, Field(max_length=500)] = None
    method: Annotated[str | None, Field(max_length=500)] = None


class Shown(Wish):
    """A saved search."""

    name: str
    saved: str


class List(BaseModel):
    """Every saved search, by name."""

    saved: list[Shown]


@contextlib.contextmanager
def _plain() -> Iterator[None]:
    try:
        yield
    except NoSuchSearch as error:
        raise Problem(404, "no-such-search", str(error)) from None
    except UsageError as error:
        raise Problem(422, "saved", str(error)) from None


@router.get("")
def searches(here: Here) -> List:
    """All saved searches."""
    return List(saved=[_shown(one) for one in here.library.shelf.saved.all()])


@router.get("/{name}", responses=_told(404, 422))
def search(here: Here, name: Name) -> Shown:
    """One saved search."""
    with _plain():
        return _shown(here.library.shelf.saved.get(name))


@router.put(
    "/{name}",
    responses={
        201: {"model": Shown, "description": "It is new."},
        **_told(403, 409, 422, 503),
    },
)
def save(here: Here, name: Name, wish: Wish, response: Response) -> Shown:
    """Save a search, in place of the one of this name."""
    _may_write(here.serving.read_only)
    with _plain():
        kept, new = here.library.shelf.saved.put(SavedSearch(name=name, **wish.model_dump()))
    response.status_code = 201 if new else 200
    return _shown(kept)


@router.delete("/{name}", status_code=204, responses=_told(403, 404, 409, 422, 503))
def forget(here: Here, name: Name) -> None:
    """Forget a saved search."""
    _may_write(here.serving.read_only)
    with _plain():
        here.library.shelf.saved.remove(name)


def _shown(one: SavedSearch) -> Shown:
    return Shown(**asdict(one))


def _may_write(read_only: bool) -> None:
    if read_only:
        raise Problem(403, "read-only", "this server is read-only: nothing can be saved")
