"""What pictures have in common, counted: ``/v1/facets``."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from needlepoint.server.routes.items import Where, told
from needlepoint.server.shared import Here

router = APIRouter(prefix="/v1", tags=["items"])


class Value(BaseModel):
    """A value, how many pictures have it, and the filter that selects them."""

    model_config = ConfigDict(from_attributes=True)

    value: str
    count: int
    where: str


class Located(BaseModel):
    """How many pictures have a place."""

    model_config = ConfigDict(from_attributes=True)

    count: int
    where: str


class Counted(BaseModel):
    """Values by kind, at most 50 each; ``more`` counts those left out."""

    total: int
    folders: list[Value]
    cameras: list[Value]
    years: list[Value]
    months: list[Value]
    formats: list[Value]
    orientations: list[Value]
    keywords: list[Value]
    ratings: list[Value]
    sizes: list[Value]
    places: Located
    more: dict[str, int]


@router.get("/facets", responses=told(400, 422))
def facets(here: Here, where: Where = None) -> Counted:
    """Folders, cameras, dates and more under a filter, each with the filter that selects it."""
    found = here.library.shelf.facets(where)
    kinds = {
        kind: [Value.model_validate(one) for one in values] for kind, values in found.kinds.items()
    }
    places = Located.model_validate(found.places)
    return Counted(total=found.total, places=places, more=found.more, **kinds)
