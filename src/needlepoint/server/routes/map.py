"""The collection on a plane, and on the earth: ``/v1/map`` and ``/v1/places``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from needlepoint.server.routes.items import Where, told
from needlepoint.server.shared import Here

router = APIRouter(prefix="/v1", tags=["map"])


class Map(BaseModel):
    """Where each picture lies, from 0 to 1; what is alike lies together."""

    ids: list[int]
    x: list[float]
    y: list[float]
    space: Annotated[str, Field(description="What is meant by alike: encoder and space.")]
    made: str
    current: Annotated[bool, Field(description="False while a newer one is being made.")]


class Making(BaseModel):
    """The map is being made; ask again."""

    progress: Annotated[float, Field(ge=0, le=1)]


class Places(BaseModel):
    """Pictures that have a place, in degrees."""

    ids: list[int]
    lat: list[float]
    lon: list[float]


@router.get(
    "/map",
    response_model=Map,
    responses={
        202: {"model": Making, "description": "The map is being made."},
        304: {"description": "The asker has it: `If-None-Match` names its tag."},
        **told(503),
    },
)
def collection(
    here: Here, known: Annotated[str | None, Header(alias="If-None-Match", max_length=4000)] = None
) -> Response:
    """All pictures on a plane. Made in the background when pictures have come or gone."""
    found = here.library.shelf.layouts.get()
    if isinstance(found, float):
        return _json(Making(progress=round(found, 3)), 202, {"Retry-After": "1"})
    headers = {"ETag": f'"{found.tag}"', "Cache-Control": "private, no-cache"}
    if headers["ETag"] in [tag.strip().removeprefix("W/") for tag in (known or "").split(",")]:
        return Response(status_code=304, headers=headers)
    x, y = ([round(place, 4) for place in axis] for axis in found.places.T.tolist())
    told_of = Map(
        ids=found.ids.tolist(),
        x=x,
        y=y,
        space=found.space,
        made=found.made,
        current=found.current,
    )
    return _json(told_of, 200, headers)


@router.get("/places", responses=told(400, 422))
def places(here: Here, where: Where = None) -> Places:
    """Pictures that have a place on the earth."""
    found = here.library.shelf.places(where)
    return Places(
        ids=[number for number, _, _ in found],
        lat=[lat for _, lat, _ in found],
        lon=[lon for _, _, lon in found],
    )


def _json(model: BaseModel, status: int, headers: dict[str, str]) -> Response:
    return Response(model.model_dump_json(), status, headers, media_type="application/json")
