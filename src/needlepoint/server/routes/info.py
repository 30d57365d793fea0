"""What the library holds, and what this server allows: ``/v1/info``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from needlepoint.library.ranking import DEPTH
from needlepoint.methods.card import list_methods
from needlepoint.server.shared import Here
from needlepoint.where import FIELDS

router = APIRouter(prefix="/v1", tags=["library"])


class Methods(BaseModel):
    """Names of methods that a question or a conversation may be held by."""

    search: list[str]
    interactive: list[str]


class Bounds(BaseModel):
    """What this server takes: bytes, pixels, seconds and pictures."""

    upload_bytes: int
    upload_pixels: int
    uploads: int
    waiting: int
    answer_seconds: float
    depth: int


class Info(BaseModel):
    """The library as ``needlepoint info`` shows it, and what may be asked here."""

    model_config = ConfigDict(extra="allow")

    library: str
    version: str
    pictures: int
    roots: list[dict[str, Any]]
    models: list[dict[str, Any]]
    methods: Methods
    limits: Bounds
    read_only: bool
    fetch: bool
    chat: Annotated[str | None, Field(description="The chat model of conversations.")]
    fields: list[str]


@router.get("/info")
def info(here: Here) -> Info:
    """What the library holds, and what this server allows."""
    serving = here.serving
    cards = list_methods()
    return Info(
        **here.library.info(),
        methods=Methods(
            search=[card.name for card in cards if card.task != "interactive"],
            interactive=[card.name for card in cards if card.task == "interactive"],
        ),
        limits=Bounds(
            upload_bytes=serving.upload_bytes,
            upload_pixels=serving.upload_pixels,
            uploads=serving.uploads_kept,
            waiting=serving.waiting,
            answer_seconds=serving.answer_seconds,
            depth=DEPTH,
        ),
        read_only=serving.read_only,
        fetch=serving.allow_fetch,
        chat=None if serving.helpers.chat is None else serving.helpers.chat.name,
        fields=list(FIELDS),
    )
