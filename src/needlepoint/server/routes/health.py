"""Whether the server does its work: ``/healthz`` and ``/metrics``."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from needlepoint.server.shared import Here

router = APIRouter(tags=["health"])
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Health(BaseModel):
    """Busy means that questions are being turned away."""

    status: Literal["ok", "busy"]
    waiting: int


@router.get("/healthz")
def healthz(here: Here) -> Health:
    """Whether the library can be read and questions are taken."""
    here.look()
    waiting = len(here.gate)
    return Health(status="busy" if waiting >= here.serving.waiting else "ok", waiting=waiting)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Figures.", "content": {"text/plain": {}}}},
)
def metrics(here: Here) -> Response:
    """Figures in the format of Prometheus."""
    return Response(here.meters.text(), media_type=_TEXT)
