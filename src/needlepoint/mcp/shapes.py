"""What the tools take and answer, as the schemas that clients see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from needlepoint.library import Library
from needlepoint.library.browse import shown
from needlepoint.library.conversation import Reply
from needlepoint.methods.dialogue import Mark
from needlepoint.picture import Box
from needlepoint.results import Hit, Results, printable
from needlepoint.where import FIELDS

MOST = 100
"""Hits on one page."""

Question = Annotated[
    str,
    Field(
        min_length=1,
        max_length=4000,
        description="What to look for, in the question language: words; @12 for a picture of the "
        "library; @12#xywh=x,y,w,h for a piece of it; parts joined by ' + ' and ' - ', weighted "
        "as in '2:beach + @12 - people'.",
    ),
]
Where = Annotated[
    str | None,
    Field(
        max_length=4000,
        description="Filter over what is known of pictures, such as: year >= 2020 and camera ~ "
        "'Pixel' and folder = trips. See library_info for the fields.",
    ),
]
K = Annotated[int, Field(ge=1, le=MOST, description="Hits on a page.")]
Cursor = Annotated[
    str | None,
    Field(max_length=200, description="`next` of the page before, all else as it was."),
]
Id = Annotated[int, Field(ge=0, le=2**62, description="Number of a picture of the library.")]
BoxOf = Annotated[
    list[float] | None,
    Field(
        min_length=4,
        max_length=4,
        description="A piece of the picture: [x, y, w, h] in pixels of the upright original.",
    ),
]
Thumbnails = Annotated[
    Literal["whole", "place", "none"],
    Field(
        description="Small pictures that come with the hits: the whole picture with its place "
        "outlined, the place itself, or none."
    ),
]


class Marked(BaseModel):
    """A picture pointed at, or a piece of it."""

    id: Id
    box: BoxOf = None


Marks = Annotated[list[Marked | Id] | None, Field(max_length=50)]


class Row(BaseModel):
    """One picture of an answer."""

    rank: int
    id: int
    uri: str = Field(description="Resource that gives the picture.")
    path: str
    score: float
    score_kind: str
    box: list[int] | None = Field(description="Where it matched: [x, y, w, h]; null: the whole.")
    match: bool | None = Field(
        description="Whether the score is above the calibrated cut-off: false means probably not "
        "what was asked for; null means that nobody knows."
    )
    probability: float | None
    width: int
    height: int

    @classmethod
    def of(cls, hit: Hit) -> Row:
        """The row of a hit."""
        told = {**hit.to_dict(), "path": shown(hit.path), "uri": uri_of(hit.id)}
        return cls.model_validate({name: told[name] for name in cls.model_fields})

    def line(self) -> str:
        """The row as a line of text."""
        where = "whole" if self.box is None else "box " + ",".join(map(str, self.box))
        doubt = ", probably not" if self.match is False else ""
        return (
            f"{self.rank}. @{self.id} {printable(self.path)} ({self.width}x{self.height}), "
            f"{where}, score {self.score:.3f}{doubt}"
        )


class Answer(BaseModel):
    """A page of a ranked list of pictures."""

    query: str
    hits: list[Row]
    cutoff: float | None = Field(description="Score from which hits match; null: not calibrated.")
    exact: bool = Field(description="Whether the ranking equals that of comparing everything.")
    notes: list[str]
    next: str | None = Field(description="Cursor of the next page; null: there is none.")

    @classmethod
    def facts(cls, results: Results) -> dict[str, Any]:
        """What results tell, all but the hits and the cursor."""
        told = results.to_dict()
        return {
            "query": shown(told["query"]),
            "cutoff": told["cutoff"],
            "exact": told["exact"],
            "notes": told["notes"],
        }

    def head(self) -> str:
        """The first line of the answer as text."""
        count = len(self.hits)
        lines = [f"{count} picture{'' if count == 1 else 's'} for: {printable(self.query)}"]
        if self.hits and all(row.match is False for row in self.hits):
            lines.append("None of them is above the cut-off: probably nothing here matches.")
        if self.next:
            lines.append(f"More with cursor {self.next}")
        return "\n".join([*lines, *self.notes])


class Refined(Answer):
    """The answer to a turn of a conversation."""

    session: str = Field(description="Give this with the next turn.")
    turns: int
    moved: dict[str, int | None] = Field(
        description="By id, how many ranks a hit rose since the turn before; null: it is new."
    )

    @classmethod
    def of(cls, reply: Reply | None, session: str, turns: int) -> Refined:
        """The answer to a turn; None before the first."""
        if reply is None:
            facts: dict[str, Any] = {"query": "", "cutoff": None, "exact": True, "notes": []}
            return cls(**facts, hits=[], next=None, session=session, turns=turns, moved={})
        return cls(
            **cls.facts(reply.results),
            hits=[Row.of(hit) for hit in reply.results],
            next=None,
            session=session,
            turns=turns,
            moved={str(number): rise for number, rise in reply.moved.items()},
        )

    def head(self) -> str:
        """The first lines of the answer as text."""
        return f"session {self.session}, turn {self.turns}\n{super().head()}"


class Shown(BaseModel):
    """A picture that is shown, and what is known of it."""

    id: int
    path: str
    width: int = Field(description="Of the original, in pixels.")
    height: int
    shown_width: int
    shown_height: int
    box: list[float] | None
    format: str
    taken: str | None
    camera: str | None
    lat: float | None
    lon: float | None
    keywords: list[str]
    rating: int | None


class Info(BaseModel):
    """What the library holds and how it can be asked."""

    pictures: int
    folders: list[str]
    models: list[dict[str, Any]]
    fields: list[str] = Field(description="What a filter (`where`) may compare.")
    question: str = Field(description="The question language, by example.")
    limits: dict[str, int]
    version: str


def uri_of(number: int) -> str:
    """The resource of a picture."""
    return f"needlepoint://item/{number}"


def box_of(given: Sequence[float] | None) -> Box | None:
    """A box as the library takes it."""
    return None if given is None else (given[0], given[1], given[2], given[3])


def marks_of(given: Sequence[Marked | int] | None) -> list[Mark]:
    """Marks as a conversation takes them."""
    return [
        Mark(one) if isinstance(one, int) else Mark(one.id, box_of(one.box)) for one in given or ()
    ]


def about(view: Library, limits: dict[str, int]) -> Info:
    """What is told of a library."""
    told = view.info()
    return Info(
        pictures=told["pictures"],
        folders=[shown(root["path"]) for root in told["roots"]],
        models=[
            {
                "address": model["address"],
                "answers": model["used_for"],
                "method": model["method"],
                "pictures": model["pictures"],
            }
            for model in told["models"]
        ],
        fields=[*FIELDS, "near(lat, lon, km)", "has(field)"],
        question="red bicycle; @12; @12#xywh=610,40,70,70; 2:beach + @12 - people",
        limits=limits,
        version=told["version"],
    )
