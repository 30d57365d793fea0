"""Asking: ``/v1/search``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from needlepoint import query as language
from needlepoint.server.shared import Here

router = APIRouter(prefix="/v1", tags=["search"])


@router.get("/search")
def search(
    here: Here,
    q: Annotated[str, Query(max_length=4000, description="A question in the one language.")],
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    where: Annotated[str | None, Query(max_length=4000)] = None,
) -> dict[str, Any]:
    """The pictures that answer a question, best first."""
    asked = language.Query.parse(q, files=False)
    return here.library.search(asked, k=limit, where=where).to_dict()
