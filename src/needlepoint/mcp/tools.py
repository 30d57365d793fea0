"""The tools: each asks the library on a thread and answers in rows, text and small pictures."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar, cast

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.mcpserver.resolve import ListRoots, Resolve
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    CallToolResult,
    ContentBlock,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    TextContent,
)
from pydantic import Field

from needlepoint.errors import NeedlepointError, PictureError, UsageError
from needlepoint.library import Library
from needlepoint.library.browse import shown
from needlepoint.mcp import pictures
from needlepoint.mcp.asking import (
    DEPTH,
    cursor_of,
    digest,
    folders_of,
    item_at,
    place_of,
    question,
)
from needlepoint.mcp.base import Server
from needlepoint.mcp.sessions import MOST_SESSIONS, MOST_TURNS, Session, Sessions
from needlepoint.mcp.shapes import (
    MOST,
    Answer,
    BoxOf,
    Cursor,
    Id,
    Info,
    K,
    Marks,
    Question,
    Refined,
    Row,
    Shown,
    Thumbnails,
    Where,
    about,
    box_of,
    marks_of,
)
from needlepoint.results import Results, printable

P = ParamSpec("P")
T = TypeVar("T")

THUMBS_BYTES = 200_000
"""All thumbnails of one answer together."""
_AT_ONCE = 4

LIMITS = {
    "hits_a_page": MOST,
    "hits_in_all": DEPTH,
    "thumbnail_pixels": pictures.THUMB_SIDE,
    "thumbnail_bytes": pictures.THUMB_BYTES,
    "thumbnails_bytes": THUMBS_BYTES,
    "picture_pixels": pictures.SHOWN_SIDE,
    "picture_bytes": pictures.SHOWN_BYTES,
    "sessions": MOST_SESSIONS,
    "turns": MOST_TURNS,
}
_ROOTS = "roots"  # key of what the client is asked for before a resource is read


def client_roots(ctx: Context) -> ListRoots | None:
    """Ask a client for its folders, if it says that it has some and the server honours them."""
    offered = ctx.client_capabilities
    if not cast(Server, ctx.mcp_server).honours_roots or offered is None:
        return None
    return None if offered.roots is None else ListRoots()


Roots = Annotated[ListRootsResult | None, Resolve(client_roots)]


class Tools:
    """The tools of one server."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._sessions = Sessions()
        self._turns = anyio.CapacityLimiter(_AT_ONCE)

    async def search_images(
        self,
        ctx: Context,
        roots: Roots,
        query: Question,
        k: K = 10,
        where: Where = None,
        negative: Annotated[
            str | None,
            Field(max_length=4000, description="What hits must not look like, as a question."),
        ] = None,
        cursor: Cursor = None,
        thumbnails: Thumbnails = "whole",
    ) -> Annotated[CallToolResult, Answer]:
        """Find pictures by words, by a picture of the library, by a piece of one, or by several
        of these, best first, each with the place in it that answers. Small things are found too.
        """
        view = await self._view(roots)
        asked = await self._run(question, view, query, negative)
        mark = digest("search", str(asked), where)
        first = place_of(cursor, mark)
        found = await self._run(view.search, asked, k=_upto(first, k), where=where)
        answer = _answer(found, first, k, mark)
        return await self._told(ctx, view, answer, thumbnails)

    async def similar_images(
        self,
        ctx: Context,
        roots: Roots,
        id: Id | None = None,
        path: Annotated[
            str | None,
            Field(max_length=4096, description="Instead of the id: where the picture lies."),
        ] = None,
        box: BoxOf = None,
        change: Annotated[
            str,
            Field(
                max_length=1000,
                description="What is to be different, in words, as 'the same, but red'.",
            ),
        ] = "",
        k: K = 10,
        where: Where = None,
        cursor: Cursor = None,
        thumbnails: Thumbnails = "whole",
    ) -> Annotated[CallToolResult, Answer]:
        """Find pictures like one of the library or, with a box, pictures that contain the thing
        in that box; with `change`, pictures like it but for what the words say. The picture itself
        is left out.
        """
        view = await self._view(roots)
        if (id is None) == (path is None):
            raise UsageError("one of `id` and `path` says which picture. Received: both or neither")
        number = id if id is not None else await self._run(item_at, view, path or "")
        mark = digest("similar", number, box, where, change)
        first = place_of(cursor, mark)
        found = await self._run(
            view.similar,
            number,
            box=box_of(box),
            k=_upto(first, k),
            where=where,
            change=change,
        )
        answer = _answer(found, first, k, mark)
        return await self._told(ctx, view, answer, thumbnails)

    async def refine(
        self,
        ctx: Context,
        roots: Roots,
        session: Annotated[
            str | None,
            Field(max_length=64, description="Of the answer before; none begins a conversation."),
        ] = None,
        said: Annotated[
            str,
            Field(max_length=4000, description="Words, or a question in the question language."),
        ] = "",
        more: Annotated[Marks, Field(description="Pictures like what is sought.")] = None,
        less: Annotated[Marks, Field(description="Pictures unlike it.")] = None,
        undo: Annotated[bool, Field(description="Take the last turn back.")] = False,
        k: Annotated[
            int | None,
            Field(ge=1, le=MOST, description="Hits of each answer, 10 if not said at the start."),
        ] = None,
        where: Where = None,
        thumbnails: Thumbnails = "whole",
    ) -> Annotated[CallToolResult, Refined]:
        """Search in a conversation: say what is sought, then mark hits as more or less like it,
        add words, or take a turn back. Every turn ranks all pictures anew.
        """
        view = await self._view(roots)
        if session is None:
            if undo:
                raise UsageError("`undo` needs the `session` whose last turn is taken back")
            held = Session(view.converse(k=k or 10, where=where), _folders(roots))
        elif k is not None or where is not None:
            raise UsageError(
                "`k` and `where` hold for a whole conversation and are given when it begins. "
                "Leave them out, or leave out `session` to begin anew."
            )
        else:
            held = self._sessions.find(session, _folders(roots))
        async with held.turn:
            if undo:
                if said.strip() or more or less:
                    raise UsageError("`undo` takes a turn back; leave out said, more and less")
                reply = await self._run(held.talk.undo)
            else:
                if len(held.talk.turns) >= MOST_TURNS:
                    raise UsageError(f"a conversation has {MOST_TURNS} turns at most; begin anew")
                if said.strip():
                    said = str(await self._run(question, view, said))
                reply = await self._run(
                    held.talk.say, said, more=marks_of(more), less=marks_of(less)
                )
            answer = Refined.of(reply, held.name, len(held.talk.turns))
        if session is None:
            self._sessions.keep(held)
        return await self._told(ctx, view, answer, thumbnails)

    async def get_image(
        self,
        ctx: Context,
        roots: Roots,
        id: Id,
        max_px: Annotated[
            int, Field(ge=16, le=pictures.SHOWN_SIDE, description="Long side in pixels, at most.")
        ] = 768,
        box: BoxOf = None,
    ) -> Annotated[CallToolResult, Shown]:
        """Look at a picture of the library, or at a piece of it, as JPEG."""
        view = await self._view(roots)
        facts = await self._run(view.picture, id)
        jpeg, size = await self._run(pictures.shown, view.shelf, id, max_px, box_of(box))
        told = {**facts, "path": shown(facts["path"]), "box": box}
        told.update(shown_width=size[0], shown_height=size[1])
        row = Shown.model_validate({name: told[name] for name in Shown.model_fields})
        piece = "" if box is None else f", the piece {box}"
        text = (
            f"@{id} {printable(row.path)}, {row.width}x{row.height}{piece}, "
            f"shown at {size[0]}x{size[1]}"
        )
        return CallToolResult(
            content=[TextContent(text=text), _image(jpeg)],
            structured_content=row.model_dump(mode="json"),
        )

    async def library_info(self, ctx: Context, roots: Roots) -> Annotated[CallToolResult, Info]:
        """What the library holds, which facts filters can use, and how questions are written."""
        view = await self._view(roots)
        told = await self._run(about, view, LIMITS)
        return CallToolResult(
            content=[TextContent(text=told.model_dump_json(indent=1))],
            structured_content=told.model_dump(mode="json"),
        )

    async def item(self, number: str, ctx: Context) -> bytes | InputRequiredResult:
        """The resource of a picture.

        Raises:
            ResourceNotFoundError: there is none that the client may see.
            ResourceError: its file cannot be read.
        """
        roots = None
        if client_roots(ctx) is not None:
            roots = await _ask_roots(ctx)
            if roots is None:
                return InputRequiredResult(input_requests={_ROOTS: ListRootsRequest()})
        try:
            view = await self._view(roots)
            if not number.isascii() or not number.isdigit() or len(number) > 18:
                raise UsageError(
                    f"a picture's resource ends with its id. Received: {number[:80]!r}"
                )
            side = pictures.SHOWN_SIDE
            return (await self._run(pictures.shown, view.shelf, int(number), side, None))[0]
        except UsageError as error:
            raise ResourceNotFoundError(str(error)) from None
        except NeedlepointError as error:
            raise ResourceError(str(error)) from None

    # -- what the tools share

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Work of the library, on a thread; a few at a time, the others wait."""
        return await anyio.to_thread.run_sync(
            functools.partial(work, *args, **kwargs), limiter=self._turns
        )

    async def _view(self, roots: ListRootsResult | None) -> Library:
        """What of the library the client may see.

        Raises:
            UsageError: nothing at all.
        """
        folders = _folders(roots)
        if folders is None:
            return self._library
        view = self._library.within(folders)
        if not (await self._run(view.shelf.page, limit=1)).total:
            raise UsageError(
                "none of the client's folders (roots) holds a picture of this library. Offer one "
                "that does, or start the server with --no-roots to show all of the library."
            )
        return view

    async def _told(
        self, ctx: Context, view: Library, answer: Answer, thumbnails: str
    ) -> CallToolResult:
        """Rows as text, each followed by its thumbnail, and the same as structure."""
        content: list[ContentBlock] = []
        lines = [answer.head()]
        room = 0 if thumbnails == "none" else THUMBS_BYTES
        for done, row in enumerate(answer.hits):
            lines.append(row.line())
            await ctx.report_progress(done, len(answer.hits), f"@{row.id}")
            if room < pictures.THUMB_BYTES:
                continue
            close = thumbnails == "place"
            try:
                jpeg = await self._run(
                    pictures.thumb, view.shelf, row.id, box_of(row.box), close=close
                )
            except (PictureError, UsageError) as error:
                lines.append(f"   no thumbnail: {printable(str(error))}")
                continue
            room -= len(jpeg)
            content += [TextContent(text="\n".join(lines)), _image(jpeg)]
            lines = []
        if lines:
            content.append(TextContent(text="\n".join(lines)))
        return CallToolResult(content=content, structured_content=answer.model_dump(mode="json"))


async def _ask_roots(ctx: Context) -> ListRootsResult | None:
    """A client's folders; None where it has to be asked by answering that they are needed."""
    given = (ctx.input_responses or {}).get(_ROOTS)
    if isinstance(given, ListRootsResult):
        return given
    if not ctx.session.can_send_request:
        return None
    told: ListRootsResult = await ctx.session.send_request(
        ListRootsRequest(),
        ListRootsResult,
        metadata=ServerMessageMetadata(related_request_id=ctx.request_id),
    )
    return told


def _folders(roots: ListRootsResult | None) -> tuple[str, ...] | None:
    return None if roots is None else tuple(sorted(folders_of(roots.roots)))


def _upto(first: int, k: int) -> int:
    """How many hits to ask for, one more than the page shows."""
    return min(first + k, DEPTH) + 1


def _answer(found: Results, first: int, k: int, mark: str) -> Answer:
    """A page of results."""
    last = min(first + k, DEPTH)
    more = len(found) > last and last < DEPTH
    return Answer(
        **Answer.facts(found),
        hits=[Row.of(hit) for hit in found[first:last]],
        next=cursor_of(last, mark) if more else None,
    )


def _image(jpeg: bytes) -> ImageContent:
    return ImageContent(data=base64.b64encode(jpeg).decode(), mime_type="image/jpeg")
