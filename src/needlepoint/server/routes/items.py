"""Pictures of the library: lists, facts, small pictures, pieces, heat."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel

from needlepoint.errors import NoSuchItem, UsageError
from needlepoint.library.browse import MOST_LISTED, shown
from needlepoint.library.thumbs import Wanted
from needlepoint.picture import Box
from needlepoint.query import Query as Question
from needlepoint.server.problems import MEDIA, Problem
from needlepoint.server.shared import Here
from needlepoint.store.browsing import Listed, Order

router = APIRouter(prefix="/v1/items", tags=["items"])

MOST = 2**62
MOST_CELLS = 128
"""Rows or columns of a heat map."""
Id = Annotated[int, Path(ge=0, le=MOST, description="Id of a picture.")]
Where = Annotated[str | None, Query(max_length=4000, description="Filter over facts.")]
Boxed = Annotated[
    str | None,
    Query(max_length=200, description="A piece: x,y,w,h in pixels of the upright original."),
]
Known = Annotated[str | None, Header(alias="If-None-Match", max_length=4000)]

_SAID = {
    400: "The filter, cursor or question cannot be understood.",
    403: "The file now leads out of the library's folders.",
    404: "No picture has this id.",
    410: "The file of the picture is not there.",
    409: "The library keeps nothing that could tell.",
    422: "A value is not one that is allowed, or the picture cannot be read.",
    429: "Too many questions wait already.",
    503: "The library or a model is not there, or the answer took too long.",
}


def told(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problems an address may answer with, for its description."""
    shape = {"schema": {"type": "object"}}
    return {s: {"description": _SAID[s], "content": {MEDIA: shape}} for s in statuses}


_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture.", "content": {"image/jpeg": {}}},
    304: {"description": "The asker has it: `If-None-Match` names its tag."},
    **told(403, 404, 410, 422),
}


class Brief(BaseModel):
    """The least a grid needs of a picture."""

    id: int
    width: int
    height: int
    taken: str | None


class Item(Brief):
    """A picture in a list."""

    path: str
    name: str
    lat: float | None
    lon: float | None


class Items(BaseModel):
    """Some pictures, how many the whole list has, and the cursor of the next ones."""

    items: list[Item] | list[Brief]
    total: int
    next: str | None


class Facts(Item):
    """All that is known of a picture."""

    size: int
    format: str
    camera: str | None
    lens: str | None
    keywords: list[str]
    rating: int | None
    state: Literal["present", "offline", "gone"]


class Heat(BaseModel):
    """Where in a picture the answer lies.

    ``values`` has ``rows`` lists of ``columns`` numbers from 0 (coldest) to 1 (hottest), the first
    at the top left; ``box`` is the best window, x, y, w, h in pixels of the upright original, and
    ``score`` its cosine.
    """

    rows: int
    columns: int
    values: list[list[float]]
    box: tuple[float, float, float, float]
    score: float


@contextlib.contextmanager
def _boxes() -> Iterator[None]:
    """What cannot be understood here is the box."""
    try:
        yield
    except NoSuchItem:
        raise
    except UsageError as error:
        raise Problem(422, "box", str(error)) from None


@router.get("", responses=told(400, 422))
def items(
    here: Here,
    where: Where = None,
    order: Annotated[Order, Query(description="Without a date last; ties by id.")] = "id",
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100,
    cursor: Annotated[str | None, Query(max_length=4000, description="`next` of before.")] = None,
    fields: Literal["full", "brief"] = "full",
) -> Items:
    """Pictures of the library in an order; pages stay true while the library changes."""
    page = here.library.shelf.page(where, order=order, limit=limit, cursor=cursor)
    brief = fields == "brief"
    return Items(
        items=[_brief(one) for one in page.items] if brief else [_item(one) for one in page.items],
        total=page.total,
        next=page.next,
    )


@router.get("/{number}", responses=told(404, 422))
def item(here: Here, number: Id) -> Facts:
    """What is known of a picture."""
    known = here.library.picture(number)
    path = shown(known["path"])
    return Facts(**{**known, "path": path}, name=path.replace("\\", "/").rpartition("/")[2])


@router.get("/{number}/thumb", response_class=Response, responses=_SHOWN)
def thumb(
    here: Here,
    number: Id,
    side: Annotated[int, Query(ge=16, le=1024, description="Long side in pixels.")] = 320,
    box: Boxed = None,
    known: Known = None,
) -> Response:
    """A small JPEG of the picture or a piece; never larger than the original."""
    with _boxes():
        wanted = here.thumbs.want(number, side, read_box(box))
        return _same(wanted, known) or _jpeg(wanted, here.thumbs.small(wanted))


@router.get("/{number}/crop", response_class=Response, responses=_SHOWN)
def crop(
    here: Here,
    number: Id,
    side: Annotated[int, Query(ge=16, le=4096, description="Long side in pixels.")] = 2048,
    box: Boxed = None,
    known: Known = None,
) -> Response:
    """The picture or a piece of it as JPEG, upright and in sRGB, without its metadata."""
    with _boxes():
        wanted = here.thumbs.want(number, side, read_box(box))
        return _same(wanted, known) or _jpeg(wanted, here.thumbs.large(wanted))


@router.get("/{number}/heat", responses=told(400, 404, 409, 422, 429, 503))
async def heat(
    request: Request,
    here: Here,
    number: Id,
    q: Annotated[
        str, Query(max_length=4000, description="One picture, a piece of one, or an item.")
    ],
    model: Annotated[str | None, Query(max_length=500, description="An indexed encoder.")] = None,
) -> Heat:
    """Where in a picture the answer to a question lies; words have no heat."""
    query = await here.admit(Question.parse(q, files=False))
    found = await here.gate.run(request, lambda: here.library.heat(number, query, model=model))
    values = found.scaled(MOST_CELLS)
    return Heat(
        rows=len(values),
        columns=len(values[0]),
        values=[[round(value, 4) for value in row] for row in values.tolist()],
        box=found.box,
        score=found.score,
    )


def read_box(text: str | None) -> Box | None:
    """A box from an address.

    Raises:
        UsageError: not four numbers. Whether they make a piece, the picture tells.
    """
    if text is None:
        return None
    try:
        x, y, w, h = (float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(
            f"`box` is x,y,w,h in pixels, such as 10,20,300,200. Received: {text!r}."
        ) from None
    return x, y, w, h


def _same(wanted: Wanted, known: str | None) -> Response | None:
    """The answer that nothing has changed, if the asker has this very picture."""
    tags = [tag.strip().removeprefix("W/") for tag in (known or "").split(",")]
    return Response(status_code=304, headers=_headers(wanted)) if _tag(wanted) in tags else None


def _jpeg(wanted: Wanted, data: bytes) -> Response:
    return Response(data, media_type="image/jpeg", headers=_headers(wanted))


def _headers(wanted: Wanted) -> dict[str, str]:
    # asked again each time, which costs little, so that a changed picture is seen at once
    return {"ETag": _tag(wanted), "Cache-Control": "private, no-cache"}


def _tag(wanted: Wanted) -> str:
    return f'"{wanted.tag}"'


def _brief(one: Listed) -> Brief:
    return Brief(id=one.id, width=one.width, height=one.height, taken=one.taken)


def _item(one: Listed) -> Item:
    return Item(**{name: getattr(one, name) for name in Item.model_fields})
