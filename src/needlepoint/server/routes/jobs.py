"""Indexing: started, followed and cancelled over ``/v1/index/jobs``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from needlepoint.library.browse import shown
from needlepoint.library.guests import admit_method
from needlepoint.library.jobs import Job, Jobs, NoSuchJob, SourceRefused, TooManyJobs
from needlepoint.server.problems import MEDIA, Problem
from needlepoint.server.shared import Here

router = APIRouter(prefix="/v1/index/jobs", tags=["index"])

LOOK = 0.1
"""Seconds between two looks at a job that somebody follows."""
HEART_BEAT = 15.0
"""Seconds of silence after which a follower is told that all is well."""

_SAID = {
    400: "A source or model is not one that can be indexed.",
    403: "The server is read-only, or a source lies outside the folders that may be indexed.",
    404: "There is no such job.",
    422: "A value is not one that is allowed.",
    429: "Too many jobs wait already.",
}
Id = Annotated[int, Path(ge=1, le=2**62, description="Id of a job.")]
Source = Annotated[str, Field(min_length=1, max_length=4096)]


def _told(*statuses: int) -> dict[int | str, dict[str, Any]]:
    shape = {"schema": {"type": "object"}}
    return {s: {"description": _SAID[s], "content": {MEDIA: shape}} for s in statuses}


class Wish(BaseModel):
    """What to index."""

    model_config = ConfigDict(extra="forbid")

    sources: list[Source] = Field(
        default=[],
        max_length=100,
        description="Absolute paths of folders or pictures; none for all folders of the library.",
    )
    model: str | None = Field(default=None, min_length=1, max_length=500)
    method: str | None = Field(default=None, min_length=1, max_length=500)


class Shown(BaseModel):
    """Where a job stands."""

    id: int
    sources: list[str]
    model: str | None
    method: str | None
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    phase: str
    done: int
    total: int
    resumed: int
    report: dict[str, Any] | None
    error: str | None
    warnings: list[str]
    started: str | None
    ended: str | None


class List(BaseModel):
    """Every job that is remembered, the newest first."""

    jobs: list[Shown]


@router.post("", status_code=202, responses=_told(400, 403, 422, 429))
def start(here: Here, wish: Wish, response: Response) -> Shown:
    """Index folders in the background; what is written is found at once."""
    _may_write(here.serving.read_only)
    admit_method(wish.method)
    try:
        job = here.jobs.start(wish.sources, model=wish.model, method=wish.method)
    except SourceRefused as error:
        raise Problem(403, "source-refused", str(error)) from None
    except TooManyJobs as error:
        raise Problem(429, "too-many-jobs", str(error), headers={"retry-after": "30"}) from None
    response.headers["Location"] = f"/v1/index/jobs/{job.id}"
    return _shown(job)


@router.get("")
def jobs(here: Here) -> List:
    """Jobs that wait, run, or ended not long ago."""
    return List(jobs=[_shown(job) for job in here.jobs.all()])


@router.get("/{number}", responses=_told(404, 422))
def job(here: Here, number: Id) -> Shown:
    """Where a job stands."""
    return _shown(_get(here.jobs, number))


@router.delete("/{number}", responses=_told(403, 404, 422))
def cancel(here: Here, number: Id) -> Shown:
    """End a job after the batch it is at; every batch that is written stays."""
    _may_write(here.serving.read_only)
    try:
        return _shown(here.jobs.cancel(number))
    except NoSuchJob as error:
        raise Problem(404, "no-such-job", str(error)) from None


@router.get(
    "/{number}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events, each a job.",
            "content": {"text/event-stream": {}},
        },
        **_told(404, 422),
    },
)
async def events(here: Here, number: Id) -> StreamingResponse:
    """The job now and whenever it changes, as server-sent events, until it is over."""
    first = _get(here.jobs, number)
    return StreamingResponse(
        _follow(here.jobs, first),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _follow(jobs: Jobs, job: Job) -> AsyncIterator[str]:
    yield _event(job)
    told = time.monotonic()
    while not job.over and not jobs.closing:
        await asyncio.sleep(LOOK)
        try:
            now = jobs.get(job.id)
        except NoSuchJob:
            return
        if now != job:
            job, told = now, time.monotonic()
            yield _event(job)
        elif time.monotonic() - told > HEART_BEAT:
            told = time.monotonic()
            yield ": still here\n\n"


def _event(job: Job) -> str:
    return f"event: job\ndata: {_shown(job).model_dump_json()}\n\n"


def _shown(job: Job) -> Shown:
    return Shown(**{**asdict(job), "sources": [shown(source) for source in job.sources]})


def _get(jobs: Jobs, number: int) -> Job:
    try:
        return jobs.get(number)
    except NoSuchJob as error:
        raise Problem(404, "no-such-job", str(error)) from None


def _may_write(read_only: bool) -> None:
    if read_only:
        raise Problem(403, "read-only", "this server is read-only: index from the command line")
