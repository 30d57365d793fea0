"""The verb that refines a search turn by turn: chat."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common, reader
from needlepoint.cli.models_outside import open_outside, outside_models
from needlepoint.cli.talk import say
from needlepoint.errors import EXIT_HITS, EXIT_NOTHING, NeedlepointError, UsageError
from needlepoint.library.conversation import Conversation, Reply
from needlepoint.methods.dialogue import Mark
from needlepoint.query import Query
from needlepoint.results import Hit, dumps, printable, shorten

PROMPT = "> "
HELP = """\
words                what you look for; after a question of the program: your answer
- words              less of that
+ @12 @15            more like these pictures (ids are in the answers)
- @7                 less like this one
@12#xywh=10,20,90,60 more like this piece, in pixels
/show                the answer again
/why                 what each part says of each picture
/undo                take the last turn back
/quit                end (as does the end of the input)"""

_ITEM = re.compile(r"@[0-9]+(?:#xywh=\S+)?")
_MARKS = re.compile(rf"(?:[+-]?\s*{_ITEM.pattern}(?:\s+|$))+")


@click.command("chat")
@click.option(
    "--method",
    metavar="NAME[:OPTIONS]",
    default="feedback",
    show_default=True,
    help="How turns are understood (needlepoint methods --task interactive).",
)
@click.option("--where", metavar="EXPR", help="Only pictures that satisfy a filter.")
@click.option("-k", metavar="N", callback=reader("k"), help="Pictures shown.  [20]")
@click.option("--model", metavar="ADDR", help="Ask with this encoder.")
@outside_models
@common
def chat(
    door: Door,
    method: str,
    where: str | None,
    k: int | None,
    model: str | None,
    models: dict[str, Any],
) -> int:
    """Find a picture by talking: start vague, then say and mark what is nearer.

    Each line is a turn; /help lists what it can be. On a terminal answers are tables. Turns that
    come through a pipe are answered as JSON lines, one a turn. No model is needed; a method that
    asks questions back needs one (--chat), and nothing is sent to any unless it is named.

    \b
    Examples:
      needlepoint chat
      needlepoint chat -k 8 --where "year >= 2020"
      needlepoint chat --method plugir --chat openai:http://127.0.0.1:11434/v1#gemma3:4b
      printf 'a dog\\n+ @12\\n' | needlepoint chat > answers.jsonl

    \b
    Exit codes: 0 done, 1 the last answer of a pipe matches nothing, 2 usage,
    3 library missing or incompatible, 4 model not on this machine, 130 interrupted.
    """
    k, model = door.settings.choose("k", k), door.settings.choose("model", model)
    helpers = open_outside(door.settings, models)
    with door.open() as library:
        talk = library.converse(method=method, helpers=helpers, k=k, where=where, model=model)
        try:
            if sys.stdin.isatty():
                return _Terminal(door, library, talk).run()
            return _Pipe(library, talk).run()
        finally:
            if helpers.chat is not None:
                door.talk.note(f"{helpers.chat.name}: {getattr(helpers.chat, 'spent', '')}")


class _Turns:
    """What lines do to a conversation."""

    def __init__(self, library: Any, talk: Conversation) -> None:
        self._library, self.talk = library, talk

    def take(self, line: str) -> Reply | None:
        """The answer to a turn that a line says or marks; of /undo the one that stands again."""
        if line == "/undo":
            return self.talk.undo()
        if line.startswith("/") and line[1:].isalpha():
            raise UsageError(f"there is no command {line}; /help lists what there is")
        if _MARKS.fullmatch(line):
            more, less = self._marks(line)
            return self.talk.say(more=more, less=less)
        return self.talk.say(line)

    def _marks(self, line: str) -> tuple[list[Mark], list[Mark]]:
        """Pictures that a line likes and dislikes; a sign holds until the next."""
        more: list[Mark] = []
        less: list[Mark] = []
        wanted = more
        for sign, item in re.findall(rf"([+-]?)\s*({_ITEM.pattern})", line):
            if sign:
                wanted = more if sign == "+" else less
            wanted.append(self._mark(item))
        return more, less

    def _mark(self, item: str) -> Mark:
        (part,) = Query.parse(item).parts
        number, box = int(part.value), part.box
        if box is not None and part.box_percent:
            facts = self._library.picture(number)
            width, height = facts["width"] / 100, facts["height"] / 100
            box = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
        return Mark(number, box)


class _Pipe:
    """Turns from stdin, answered as JSON lines; a bad line does not end the run."""

    def __init__(self, library: Any, talk: Conversation) -> None:
        self._turns, self._talk = _Turns(library, talk), talk

    def run(self) -> int:
        found, worst = False, EXIT_HITS
        for raw in sys.stdin.buffer:
            line = raw.decode("utf-8", "surrogateescape").strip()
            if line == "/quit":
                break
            if not line:
                continue
            try:
                told = self._told(line)
            except NeedlepointError as error:
                worst = worst or error.exit_code
                told = {"line": line, "error": {"code": error.exit_code, "message": str(error)}}
            else:
                last = self._talk.replies[-1] if self._talk.replies else None
                found = last is not None and last.results.found
            output.write(output.raw(dumps(told) + "\n"))
        return worst or (EXIT_HITS if found else EXIT_NOTHING)

    def _told(self, line: str) -> dict[str, Any]:
        if line == "/why":
            return {"line": line, "why": [_reasons(hit) for hit in _last(self._talk).results]}
        if line == "/show":
            return {"line": line, **_last(self._talk).to_dict()}
        reply = self._turns.take(line)
        return {"line": line, **({"turns": 0} if reply is None else reply.to_dict())}


class _Terminal:
    """A conversation with a person."""

    def __init__(self, door: Door, library: Any, talk: Conversation) -> None:
        self._door, self._turns, self._talk = door, _Turns(library, talk), talk

    def run(self) -> int:
        self._door.talk.note("say what you look for; /help lists what else a line can be")
        for line in self._lines():
            try:
                if line == "/help":
                    say(HELP)
                elif line == "/show":
                    self._show(_last(self._talk))
                elif line == "/why":
                    self._why(_last(self._talk))
                elif (reply := self._turns.take(line)) is not None:
                    self._show(reply)
                else:
                    self._door.talk.note("nothing is said now; begin again")
            except NeedlepointError as error:
                say(f"error: {error}")
        return EXIT_HITS

    def _lines(self) -> Iterator[str]:
        """What is typed, until /quit or the end of the input."""
        import readline  # noqa: F401  (input() then edits and remembers lines)

        prompt = PROMPT if sys.stdout.isatty() else ""  # only data goes into a file
        while True:
            try:
                line = input(prompt).strip()
            except EOFError:
                output.write(b"\n")
                return
            if line == "/quit":
                return
            if line:
                yield line

    def _show(self, reply: Reply) -> None:
        rows = []
        for hit in reply.results:
            where = "whole" if hit.place is None else "{},{} {}×{}".format(*hit.place)
            rows.append(
                (
                    *(str(hit.rank), _moved(reply, hit.id), f"{hit.score:.3f}"),
                    *(where, f"@{hit.id}", shorten(hit.path)),
                )
            )
        if rows:
            output.write(output.columns(rows))
        for note in reply.results.notes:
            self._door.talk.note(note)
        if not reply.results.found:
            self._door.talk.note("nothing here matches; the nearest are shown")
        if reply.understood:
            output.write(output.raw(f"understood: {printable(reply.understood)}\n"))
        if reply.question:
            output.write(output.raw(f"? {printable(reply.question)}\n"))

    def _why(self, reply: Reply) -> None:
        for hit in reply.results:
            parts = "  ".join(
                f"{reason.weight * reason.score:+.3f} {reason.part}" for reason in hit.why
            )
            output.write(output.raw(printable(f"{hit.rank}  @{hit.id}  {parts}") + "\n"))


def _last(talk: Conversation) -> Reply:
    if not talk.replies:
        raise UsageError("nothing has been said yet")
    return talk.replies[-1]


def _moved(reply: Reply, number: int) -> str:
    """How far a picture rose since the turn before; empty at the first."""
    if number not in reply.moved:
        return ""
    rise = reply.moved[number]
    if rise is None:
        return "new"
    return "" if rise == 0 else f"▲{rise}" if rise > 0 else f"▼{-rise}"


def _reasons(hit: Hit) -> dict[str, Any]:
    return {"id": hit.id, "why": [reason.to_dict() for reason in hit.why]}
