"""Refining a search turn by turn: ``/v1/conversations``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from needlepoint.methods.dialogue import Mark
from needlepoint.server.problems import Problem
from needlepoint.server.shared import Here
from needlepoint.server.talks import Held

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])

TURNS = 200
"""Turns one conversation may have."""


Pixels = Annotated[float, Field(allow_inf_nan=False)]


class MarkIn(BaseModel):
    """A picture of the library, or a piece of it in pixels of the upright original."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[int, Field(ge=0, le=2**62)]
    box: Annotated[
        tuple[Pixels, Pixels, Pixels, Pixels] | None, Field(description="x, y, width, height")
    ] = None


class ConversationIn(BaseModel):
    """How a conversation is held."""

    model_config = ConfigDict(extra="forbid")

    method: Annotated[str, Field(min_length=1, max_length=500)] = "feedback"
    where: Annotated[str | None, Field(max_length=4000)] = None
    k: Annotated[int, Field(ge=1, le=1000)] = 50
    model: Annotated[str | None, Field(max_length=500)] = None


class TurnIn(BaseModel):
    """Words, marks or both."""

    model_config = ConfigDict(extra="forbid")

    said: Annotated[str, Field(max_length=4000)] = ""
    more: Annotated[list[MarkIn], Field(max_length=200)] = []
    less: Annotated[list[MarkIn], Field(max_length=200)] = []


class TurnOut(BaseModel):
    """A turn and its answer.

    ``moved`` gives how many ranks a picture rose since the turn before; null where it is new.
    ``picture`` is a data URL of a picture that a model has made of the turns.
    """

    said: str
    asked: str
    more: list[MarkIn]
    less: list[MarkIn]
    understood: str
    question: str
    moved: dict[int, int | None]
    picture: str | None
    answer: dict[str, Any]


class ConversationOut(BaseModel):
    """A conversation: its turns, and the question that awaits an answer (or nothing)."""

    id: str
    method: str
    turns: list[TurnOut]
    question: str


Number = Annotated[str, Path(max_length=100, description="Id of a conversation.")]


@router.post("", status_code=201)
def begin(here: Here, told: ConversationIn, response: Response) -> ConversationOut:
    """Begin a conversation."""
    talk = here.library.converse(method=told.method, where=told.where, k=told.k, model=told.model)
    held = here.conversations.add(talk)
    response.headers["Location"] = f"/v1/conversations/{held.id}"
    return _conversation(held)


@router.get("/{number}")
def show(here: Here, number: Number) -> ConversationOut:
    """A conversation with all its turns and answers."""
    held = here.conversations.get(number)
    with held.turn:
        return _conversation(held)


@router.delete("/{number}", status_code=204)
def end(here: Here, number: Number) -> None:
    """End a conversation."""
    here.conversations.drop(number)


@router.post("/{number}/turns", status_code=201)
def say(here: Here, number: Number, told: TurnIn) -> TurnOut:
    """Say or mark something; the answer is ranked by all turns so far."""
    held = here.conversations.get(number)
    with held.turn:
        if len(held.talk.turns) >= TURNS:
            raise Problem(
                409,
                "conversation-full",
                f"this conversation has {TURNS} turns, the most there may be. Begin another.",
            )
        said = told.said.strip()
        parts = held.talk.read(said, files=False) if said else ()
        if any(part.kind == "picture" for part in parts):
            raise Problem(
                400, "usage", "a turn is words and pictures of the library, as @12; mark others"
            )
        reply = held.talk.say(said, more=_marks(told.more), less=_marks(told.less), parts=parts)
        return TurnOut(**reply.to_dict())


@router.delete("/{number}/turns/last")
def undo(here: Here, number: Number) -> ConversationOut:
    """Take the last turn back; the answer before stands again as it was."""
    held = here.conversations.get(number)
    with held.turn:
        if not held.talk.turns:
            raise Problem(409, "nothing-to-undo", "there is no turn to take back")
        held.talk.undo()
        return _conversation(held)


def _marks(told: list[MarkIn]) -> list[Mark]:
    return [Mark(one.id, one.box) for one in told]


def _conversation(held: Held) -> ConversationOut:
    talk = held.talk
    return ConversationOut(
        id=held.id,
        method=talk.method,
        turns=[TurnOut(**reply.to_dict()) for reply in talk.replies],
        question=talk.question,
    )
