"""Refining a search turn by turn: ``/v1/conversations``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from needlepoint.library.conversation import Reply
from needlepoint.library.guests import admit_method
from needlepoint.methods.dialogue import Mark
from needlepoint.query import Part, Query
from needlepoint.server.answers import Answer, answer
from needlepoint.server.problems import Json, Problem
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

    method: Annotated[
        str, Field(min_length=1, max_length=500, description="NAME or NAME:option=value,…")
    ] = "feedback"
    where: Annotated[str | None, Field(max_length=4000, description="Filter over facts.")] = None
    k: Annotated[int, Field(ge=1, le=1000, description="Pictures in each answer.")] = 50
    model: Annotated[str | None, Field(max_length=500, description="An indexed encoder.")] = None


class TurnIn(BaseModel):
    """Words, marks or both."""

    model_config = ConfigDict(extra="forbid")

    said: Annotated[
        str, Field(max_length=4000, description="A question in the one language, or an answer.")
    ] = ""
    more: Annotated[list[MarkIn], Field(max_length=200, description="Liked.")] = []
    less: Annotated[list[MarkIn], Field(max_length=200, description="Not liked.")] = []


class TurnOut(BaseModel):
    """A turn and its answer."""

    said: str
    asked: Annotated[str, Field(description="The question that was said before.")]
    more: list[MarkIn]
    less: list[MarkIn]
    understood: Annotated[str, Field(description="What the method made of the turns, in words.")]
    question: Annotated[str, Field(description="What the method asks next, or empty.")]
    moved: Annotated[
        dict[int, int | None],
        Field(description="Ranks risen since the turn before, by id; null where new."),
    ]
    picture: Annotated[
        str | None, Field(description="Data URL of what a model painted of the turns.")
    ]
    answer: Answer


class ConversationOut(BaseModel):
    """A conversation: its turns, and the question that awaits an answer (or nothing)."""

    id: str
    method: str
    turns: list[TurnOut]
    question: str


Number = Annotated[str, Path(max_length=100, description="Id of a conversation.")]

_SAID: dict[int | str, dict[str, Any]] = {
    404: {"description": "The conversation is not kept any more, or an item is not there."},
    409: {"description": "There is no turn to take back, or there are too many turns."},
    503: {"description": "A model that the method needs is not configured."},
}


@router.post("", status_code=201, response_model=ConversationOut, responses=_SAID)
def begin(here: Here, told: ConversationIn) -> Json:
    """Begin a conversation."""
    admit_method(told.method)
    talk = here.library.converse(
        method=told.method,
        helpers=here.serving.helpers,
        where=told.where or None,
        k=told.k,
        model=told.model,
    )
    held = here.conversations.add(talk)
    where = {"location": f"/v1/conversations/{held.id}"}
    return Json(_conversation(held), 201, headers=where)


@router.get("/{number}", response_model=ConversationOut, responses=_SAID)
def show(here: Here, number: Number) -> Json:
    """A conversation with all its turns and answers."""
    held = here.conversations.get(number)
    with held.turn:
        return Json(_conversation(held))


@router.delete("/{number}", status_code=204, responses=_SAID)
def end(here: Here, number: Number) -> None:
    """End a conversation."""
    here.conversations.drop(number)


@router.post("/{number}/turns", status_code=201, response_model=TurnOut, responses=_SAID)
async def say(here: Here, number: Number, told: TurnIn) -> Json:
    """Say or mark something; the answer is ranked by all turns so far.

    Pictures in what is said are those that a search may name. What answers a question of the
    method is words, whatever signs are in it.
    """
    held = here.conversations.get(number)
    waiting = here.conversations.talking.statistics().tasks_waiting
    if waiting >= here.serving.waiting:
        raise Problem(
            429,
            "busy",
            f"{waiting} turns are waiting; say it again in a moment",
            headers={"retry-after": "1"},
        )
    said = told.said.strip()
    parts = held.talk.read(said, files=False) if said else ()
    admitted = [await _admitted(here, part) for part in parts]
    return await to_thread.run_sync(
        _say, here, held, told, admitted, limiter=here.conversations.talking
    )


def _say(here: Here, held: Held, told: TurnIn, parts: Sequence[Part]) -> Json:
    _ = here.library  # in use
    with held.turn:
        if len(held.talk.turns) >= TURNS:
            raise Problem(
                409,
                "conversation-full",
                f"this conversation has {TURNS} turns, the most there may be. Begin another.",
            )
        reply = held.talk.say(
            told.said, more=_marks(told.more), less=_marks(told.less), parts=parts
        )
        return Json(_turn(reply), 201)


@router.delete("/{number}/turns/last", response_model=ConversationOut, responses=_SAID)
def undo(here: Here, number: Number) -> Json:
    """Take the last turn back; the answer before stands again as it was."""
    held = here.conversations.get(number)
    with held.turn:
        if not held.talk.turns:
            raise Problem(409, "nothing-to-undo", "there is no turn to take back")
        held.talk.undo()
        return Json(_conversation(held))


async def _admitted(here: Here, part: Part) -> Part:
    """A part whose picture may be asked with, decoded."""
    (found,) = (await here.admit(Query((replace(part, weight=abs(part.weight)),)))).parts
    return replace(found, weight=part.weight)


def _marks(told: list[MarkIn]) -> list[Mark]:
    return [Mark(one.id, one.box) for one in told]


def _conversation(held: Held) -> dict[str, Any]:
    talk = held.talk
    turns = [_turn(reply) for reply in talk.replies]
    return {"id": held.id, "method": talk.method, "turns": turns, "question": talk.question}


def _turn(reply: Reply) -> dict[str, Any]:
    return {**reply.to_dict(), "answer": answer(reply.results, reply.results.hits)}
