"""Asking: ``/v1/search``."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import Field

from needlepoint.errors import UsageError
from needlepoint.library.asking import Options
from needlepoint.library.guests import admit_method
from needlepoint.library.ranking import Order, Ranking
from needlepoint.query import Query as Question
from needlepoint.server.answers import Answer, answer
from needlepoint.server.problems import Json
from needlepoint.server.rankings import Held
from needlepoint.server.shared import Here

router = APIRouter(prefix="/v1", tags=["search"])


class Found(Answer):
    """A page of the answer to a question."""

    total: Annotated[int, Field(description="Pictures that can be paged through.")]
    matching: Annotated[
        int | None, Field(description="Pictures above the cut-off, of those looked at.")
    ]
    settled: Annotated[bool, Field(description="Whether all that match have been looked at.")]
    took_ms: float
    next: Annotated[str | None, Field(description="Cursor of the next page.")]


_SAID: dict[int | str, dict[str, Any]] = {
    404: {"description": "A picture that was sent is not kept any more, or an item is not there."},
    409: {"description": "The library was not indexed for this model or method."},
    410: {"description": "The answer that the cursor goes on with is not kept any more."},
    413: {"description": "A picture to ask with is too large."},
}


@router.get("/search", response_model=Found, responses=_SAID)
async def search(
    request: Request,
    here: Here,
    q: Annotated[str, Query(max_length=4000, description="A question in the one language.")],
    limit: Annotated[int, Query(ge=1, le=1000, description="Pictures on a page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=100, description="`next` of before.")] = None,
    where: Annotated[str | None, Query(max_length=4000, description="Filter over facts.")] = None,
    order: Annotated[Order, Query(description="Dates: within those that match.")] = "score",
    min_score: Annotated[
        str | None, Query(max_length=40, description="Lowest score, or auto for the cut-off.")
    ] = None,
    fold: Annotated[bool, Query(description="Fold near-duplicates under the best.")] = False,
    model: Annotated[str | None, Query(max_length=500, description="An indexed encoder.")] = None,
    method: Annotated[str | None, Query(max_length=500, description="A search method.")] = None,
    places: Annotated[bool, Query(description="False compares whole pictures only.")] = True,
) -> Json:
    """The pictures that answer a question, best first, a page at a time.

    A cursor goes on with the very ranking that its page came of, also while the library changes;
    rankings that were read long ago are forgotten, and their cursors answered with 410.
    """
    began = time.perf_counter()
    asked = (q, where, order, min_score, fold, model, method, places)
    start = 0
    if cursor is not None:
        held, start = here.rankings.find(cursor, asked)
    else:
        admit_method(method)
        query = await here.admit(Question.parse(q, files=False))
        helpers = here.serving.helpers
        options = Options(
            where=where or None, model=model, method=method, places=places, helpers=helpers
        )
        folding = here.library.shelf.fold if fold else None
        ranking = Ranking(order, _read_min_score(min_score), folding)
        held = Held(asked, query, options, ranking)
    ranking = held.ranking
    async with held.turn:
        while (k := ranking.wants(start + limit + 1)) is not None:
            found = await here.gate.ask(request, held.query, replace(held.options, k=k))
            if ranking.fold is None:
                ranking.take(found, k)
            else:  # folding reads vectors
                await to_thread.run_sync(ranking.take, found, k)
        hits = ranking.page(start, limit)
        rest = len(ranking.shown) > start + limit
    here.rankings.keep(held)
    assert ranking.first is not None
    return Json(
        {
            **answer(ranking.first, hits, ranking.folded),
            "total": ranking.total,
            "matching": None if ranking.first.cutoff is None else ranking.matching,
            "settled": ranking.settled,
            "took_ms": round((time.perf_counter() - began) * 1e3, 3),
            "next": held.cursor(start + limit) if rest else None,
        }
    )


def _read_min_score(given: str | None) -> float | Literal["auto"] | None:
    if given is None or given == "auto":
        return given  # type: ignore[return-value]
    try:
        score = float(given)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise UsageError(f"`min_score` is auto or a number such as 0.3. Received: {given!r}.")
    return score
