"""The verbs that ask: search and similar."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from needlepoint.cli import output
from needlepoint.cli.config import FORMATS
from needlepoint.cli.door import Door, common, reader
from needlepoint.errors import (
    EXIT_HITS,
    EXIT_NOTHING,
    NeedlepointError,
    PictureError,
    UsageError,
)
from needlepoint.query import Part, Query
from needlepoint.results import Results, dumps

F = TypeVar("F", bound=Callable[..., Any])

DASH = "\0-"
"""Stands for the dash of a question that begins with one, so that it is not read as an option."""


class Asking(click.Command):
    """A command whose arguments may begin with ``- `` (a part that pushes away)."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        safe = [DASH + arg[1:] if arg[:2] == "- " else arg for arg in args]
        return super().parse_args(ctx, safe)


def answering(function: F) -> F:
    """Options of every verb that gives an answer."""
    options = (
        click.option("-k", metavar="N", callback=reader("k"), help="Pictures shown.  [20]"),
        click.option(
            "-f",
            "--format",
            "form",
            metavar="|".join(FORMATS),
            callback=reader("format"),
            help="How the answer is written.  [table]",
        ),
        click.option("-0", "--print0", is_flag=True, help="Paths that end with NUL, for xargs -0."),
        click.option(
            "--min-score",
            metavar="X|auto",
            callback=reader("min_score"),
            help="Show nothing below X, or below the calibrated cut-off.",
        ),
        click.option("--where", metavar="EXPR", help="Only pictures that satisfy a filter."),
        click.option("-o", "--output", "target", metavar="FILE", help="Write to a file."),
        click.option("--open", "show", is_flag=True, help="Open the contact sheet (format html)."),
        click.option("--copy-to", metavar="DIR", help="Copy the pictures found into a folder."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command("search", cls=Asking)
@click.argument("question", nargs=-1)
@answering
@click.option("--model", metavar="ADDR", help="Ask with this encoder.")
@click.option("--method", metavar="NAME", help="Search with this method (needlepoint methods).")
@click.option("--no-places", is_flag=True, help="Compare whole pictures only.")
@click.option("--exact", is_flag=True, help="Scan everything exactly, however long it takes.")
@click.option("--here", is_flag=True, help="Index the current folder, search only below it.")
@click.option("-n", "--no-index", is_flag=True, help="With --here: do not index first.")
@common
def search(
    door: Door,
    question: tuple[str, ...],
    model: str | None,
    method: str | None,
    no_places: bool,
    exact: bool,
    here: bool,
    no_index: bool,
    k: int | None,
    form: str | None,
    print0: bool,
    min_score: str | None,
    where: str | None,
    target: str | None,
    show: bool,
    copy_to: str | None,
) -> int:
    """Find pictures, and the place in each, that answer QUESTION.

    A question is made of words, pictures (./duck.jpg), pieces of pictures
    (scene.jpg#xywh=610,40,70,70) and library items (@1234), joined by ' + ' and ' - ', each with
    an optional weight (2:beach). With - as the question, questions are read from stdin, one a
    line, and answered as JSON lines.

    \b
    Examples:
      needlepoint search "red bicycle"
      needlepoint search ./duck.jpg -k 5
      needlepoint search 'scene.jpg#xywh=610,40,70,70' --format html -o sheet.html --open
      needlepoint search "2:beach - people" --where "year >= 2020 and camera ~ Pixel"
      needlepoint search "a dog" -0 | xargs -0 ls -l
      cat questions.txt | needlepoint search - > answers.jsonl

    \b
    Exit codes: 0 something matches, 1 nothing above the cut-off, 2 usage,
    3 library missing or incompatible, 4 model not on this machine, 130 interrupted.
    """
    if not question:
        raise UsageError("no question; write for example: needlepoint search 'red bicycle'")
    door.settings.choose("k", k)
    door.settings.choose("min_score", min_score)
    options = {
        "k": door.settings["k"],
        "where": _here(where) if here else where,
        "min_score": _score(door.settings["min_score"]),
        "model": door.settings.choose("model", model),
        "method": door.settings.choose("method", method),
        "places": not no_places,
        "mode": "exact" if exact else "auto",
    }
    batch = question == ("-",)
    if batch and (show or copy_to or print0 or target or form not in (None, "json", "jsonl")):
        raise UsageError("with questions from stdin the answer is JSON lines on stdout only")
    how = None if batch else _How(door, form, print0, target, show, copy_to)
    asked = None if batch else Query.parse(_joined(question))
    for part in asked.parts if asked is not None else ():
        if part.kind == "picture" and os.path.isdir(part.file):
            raise UsageError(
                f"{part.value} is a folder; to make it searchable: needlepoint index {part.value}"
            )
    with door.open(create=here and not no_index) as library:
        if here and not no_index:
            with door.talk.progress() as progress:
                library.index([os.getcwd()], progress=progress, warn=door.talk.detail)
        if how is None or asked is None:
            return _batch(library, options)
        return how.deliver(_ask(library, asked, options))


@click.command("similar", cls=Asking)
@click.argument("item")
@answering
@click.option("--model", metavar="ADDR", help="Compare by this encoder.")
@common
def similar(
    door: Door,
    item: str,
    model: str | None,
    k: int | None,
    form: str | None,
    print0: bool,
    min_score: str | None,
    where: str | None,
    target: str | None,
    show: bool,
    copy_to: str | None,
) -> int:
    """Find pictures like a picture of the library, or like a piece of it.

    ITEM is @ and the id that search prints, with an optional piece in pixels or percent.

    \b
    Examples:
      needlepoint similar @1234
      needlepoint similar '@1234#xywh=610,40,70,70' -k 5 --format paths
    """
    part = _item(item)
    how = _How(door, form, print0, target, show, copy_to)
    with door.open() as library:
        box = part.box
        if box is not None and part.box_percent:
            facts = library.picture(int(part.value))
            width, height = facts["width"] / 100, facts["height"] / 100
            box = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
        results = library.similar(
            int(part.value),
            box=box,
            k=door.settings.choose("k", k),
            where=where,
            min_score=_score(door.settings.choose("min_score", min_score)),
            model=door.settings.choose("model", model),
        )
        return how.deliver(results)


class _How:
    """Where an answer goes and in which format; checked before anything is searched."""

    def __init__(
        self,
        door: Door,
        form: str | None,
        print0: bool,
        target: str | None,
        show: bool,
        copy_to: str | None,
    ) -> None:
        if print0 and form not in (None, "paths"):
            raise UsageError(f"-0 writes paths; it does not go with --format {form}")
        if show and form is None:
            form = "html"
        self.form: str = "paths" if print0 else door.settings.choose("format", form)
        if show and self.form != "html":
            raise UsageError(f"--open shows a contact sheet; it needs --format html, not {form}")
        if self.form == "html" and not (target or show) and sys.stdout.isatty():
            raise UsageError("a contact sheet is not for a terminal; add --output FILE or --open")
        self.door, self.print0, self.copy_to, self.show = door, print0, copy_to, show
        self.target = target or (_sheet_file() if show else None)

    def deliver(self, results: Results) -> int:
        """Write the answer, say what goes with it, and return the exit code."""
        data = output.render(results, self.form, print0=self.print0)
        if self.target is None:
            output.write(data)
        else:
            output.save(self.target, data)
            self.door.talk.note(f"written: {self.target}")
        self._tell(results)
        if self.copy_to is not None:
            from needlepoint.cli.copying import copy_hits

            copied, problems = copy_hits(results.hits, self.copy_to)
            self.door.talk.note(f"copied {copied} of {len(results)} pictures to {self.copy_to}")
            for problem in problems:
                self.door.talk.warn(problem)
        if self.show and self.target is not None:
            import webbrowser

            webbrowser.open(Path(self.target).absolute().as_uri())
        return EXIT_HITS if results.found else EXIT_NOTHING

    def _tell(self, results: Results) -> None:
        talk = self.door.talk
        for note in results.notes:
            talk.note(note)
        if not results.found:
            cutoff = "" if results.cutoff is None else f" (cut-off {results.cutoff:.3f})"
            shown = "; the nearest are shown" if results.hits else ""
            talk.note(f"nothing here matches {str(results.query)!r}{cutoff}{shown}")
        stages = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in results.timings.items())
        talk.detail(f"{'exact' if results.exact else 'approximate'}; {stages}")


def _ask(library: Any, query: Query, options: dict[str, Any]) -> Results:
    try:
        results: Results = library.search(query, **options)
    except PictureError as error:  # the question cannot be read: that is usage, not a partial run
        raise UsageError(
            f"the picture to search for cannot be read: {error.path}: {error.reason}. "
            "For words that look like a path write text:…"
        ) from error
    return results


def _batch(library: Any, options: dict[str, Any]) -> int:
    """Answer every line of stdin with a JSON line; a bad line does not end the run."""
    found, worst = False, EXIT_HITS
    for line in sys.stdin.buffer:
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if not text.strip():
            continue
        try:
            results = _ask(library, Query.parse(text), options)
        except NeedlepointError as error:
            worst = worst or error.exit_code
            answer = {"query": text, "error": {"code": error.exit_code, "message": str(error)}}
        else:
            found = found or results.found
            answer = {**results.to_dict(), "query": text}
        output.write(output.raw(dumps(answer) + "\n"))
    return worst or (EXIT_HITS if found else EXIT_NOTHING)


def _joined(words: Sequence[str]) -> str:
    """The arguments as one question; a picture whose name has spaces stays one part."""
    words = [word.replace(DASH, "-", 1) if word.startswith(DASH) else word for word in words]
    if len(words) == 1:
        return words[0]
    spaced = (str(Part("picture", w)) if " " in w and os.path.isfile(w) else w for w in words)
    return " ".join(spaced)


def _item(text: str) -> Part:
    parts = Query.parse(text if text.startswith("@") else f"@{text}").parts
    if len(parts) != 1 or parts[0].kind != "item" or parts[0].weight != 1:
        raise UsageError(f"an item is @ and its number, as @1234. Received: {text!r}")
    return parts[0]


def _score(value: str | None) -> Any:
    return value if value in (None, "auto") else float(value)


def _here(where: str | None) -> str:
    quoted = os.getcwd().replace("'", "''")
    below = f"folder = '{quoted}'"
    return f"{below} and ({where})" if where else below


def _sheet_file() -> str:
    handle, name = tempfile.mkstemp(prefix="needlepoint-", suffix=".html")
    os.close(handle)
    return name
