"""The verbs that ask: search and similar."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from needlepoint.cli import output
from needlepoint.cli.config import FORMATS
from needlepoint.cli.door import Door, common, reader
from needlepoint.cli.explain import explanation
from needlepoint.cli.models_outside import NAMED, NAMES, open_outside
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


@dataclass(frozen=True, slots=True)
class Answer:
    """How an answer is asked for and given: the options that search and similar share."""

    k: int | None
    form: str | None
    print0: bool
    min_score: str | None
    where: str | None
    target: str | None
    show: bool
    copy_to: str | None
    model: str | None
    method: str | None
    change: str
    explain: bool

    def options(self, door: Door) -> dict[str, Any]:
        """What of it the library is told, with the settings for what no flag said."""
        chosen = {
            name: door.settings.choose(name, getattr(self, name))
            for name in ("k", "min_score", "model", "method")
        }
        score = chosen["min_score"]
        chosen["min_score"] = score if score in (None, "auto") else float(score)
        return {**chosen, "where": self.where, "change": self.change}


def answering(function: F) -> F:
    """Give a verb the options of an ``Answer`` and pass it as ``answer``."""

    @functools.wraps(function)
    def wrapped(*args: Any, **given: Any) -> Any:
        answer = Answer(**{field.name: given.pop(field.name) for field in fields(Answer)})
        return function(*args, answer=answer, **given)

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
        click.option("--model", metavar="ADDR", help="Ask with this encoder."),
        click.option(
            "--method",
            metavar="NAME[:OPTIONS]",
            help="Search with this method (needlepoint methods).",
        ),
        click.option(
            "--change",
            metavar="WORDS",
            default="",
            help="What is to be different in the picture, as 'in green'.",
        ),
        click.option("--explain", is_flag=True, help="Tell on stderr how the answer came about."),
    )
    verb: Any = wrapped
    for option in reversed(options):
        verb = option(verb)
    return verb  # type: ignore[no-any-return]


@click.command("search", cls=Asking)
@click.argument("question", nargs=-1)
@answering
@click.option("--no-places", is_flag=True, help="Compare whole pictures only.")
@click.option("--exact", is_flag=True, help="Scan everything exactly, however long it takes.")
@click.option(
    "--corpus",
    metavar="FILE",
    help="Texts, one a line, that tell a method which words are common.  [the library's keywords]",
)
@click.option("--here", is_flag=True, help="Index the current folder, search only below it.")
@click.option("-n", "--no-index", is_flag=True, help="With --here: do not index first.")
@common
def search(
    door: Door,
    question: tuple[str, ...],
    no_places: bool,
    exact: bool,
    corpus: str | None,
    here: bool,
    no_index: bool,
    answer: Answer,
) -> int:
    """Find pictures, and the place in each, that answer QUESTION.

    A question is made of words, pictures (./duck.jpg), pieces of pictures
    (scene.jpg#xywh=610,40,70,70) and library items (@1234), joined by ' + ' and ' - ', each with
    an optional weight (2:beach). --change, or ' -> ' and the rest, says what is to be different in
    a picture. With - as the question, questions are read from stdin, one a line, and answered as
    JSON lines.

    \b
    Examples:
      needlepoint search "red bicycle"
      needlepoint search ./duck.jpg -k 5
      needlepoint search 'scene.jpg#xywh=610,40,70,70' --format html -o sheet.html --open
      needlepoint search ./bag.jpg --change "in green, without the strap"
      needlepoint search "2:beach - people" --where "year >= 2020 and camera ~ Pixel"
      needlepoint search "a dog" -0 | xargs -0 ls -l
      needlepoint search "a small red mug" --method lare
      cat questions.txt | needlepoint search - > answers.jsonl

    \b
    Exit codes: 0 something matches, 1 nothing above the cut-off, 2 usage,
    3 library missing or incompatible, 4 model not on this machine, 130 interrupted.
    """
    if not question:
        raise UsageError("no question; write for example: needlepoint search 'red bicycle'")
    options = {
        **answer.options(door),
        "places": not no_places,
        "mode": "exact" if exact else "auto",
        "corpus": None if corpus is None else _lines(corpus),
    }
    if here:
        options["where"] = _here(answer.where)
    batch = question == ("-",)
    given = (answer.show, answer.copy_to, answer.print0, answer.target)
    if batch and (any(given) or answer.form not in (None, "json", "jsonl")):
        raise UsageError("with questions from stdin the answer is JSON lines on stdout only")
    how = None if batch else _How(door, answer)
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
            return _batch(door, library, options)
        return how.deliver(_ask(door, library, asked, options))


@click.command("similar", cls=Asking)
@click.argument("item")
@answering
@common
def similar(door: Door, item: str, answer: Answer) -> int:
    """Find pictures like a picture of the library, or like a piece of it.

    ITEM is @ and the id that search prints, with an optional piece in pixels or percent.

    \b
    Examples:
      needlepoint similar @1234
      needlepoint similar '@1234#xywh=610,40,70,70' -k 5 --format paths
      needlepoint similar @1234 --change "the same, but red" --explain
    """
    part = _item(item)
    how = _How(door, answer)
    with door.open() as library:
        box = part.box
        if box is not None and part.box_percent:
            facts = library.picture(int(part.value))
            width, height = facts["width"] / 100, facts["height"] / 100
            box = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
        return how.deliver(library.similar(int(part.value), box=box, **answer.options(door)))


class _How:
    """Where an answer goes and in which format; checked before anything is searched."""

    def __init__(self, door: Door, answer: Answer) -> None:
        form, print0, target, show = answer.form, answer.print0, answer.target, answer.show
        if print0 and form not in (None, "paths"):
            raise UsageError(f"-0 writes paths; it does not go with --format {form}")
        if show and form is None:
            form = "html"
        self.form: str = "paths" if print0 else door.settings.choose("format", form)
        if show and self.form != "html":
            raise UsageError(f"--open shows a contact sheet; it needs --format html, not {form}")
        if self.form == "html" and not (target or show) and sys.stdout.isatty():
            raise UsageError("a contact sheet is not for a terminal; add --output FILE or --open")
        self.door, self.print0, self.copy_to, self.show = door, print0, answer.copy_to, show
        self.target = target or (_sheet_file() if show else None)
        self.explain = answer.explain

    def deliver(self, results: Results) -> int:
        """Write the answer, say what goes with it, and return the exit code."""
        data = output.render(results, self.form, print0=self.print0)
        if self.target is None:
            output.write(data)
        else:
            output.save(self.target, data)
            self.door.talk.note(f"written: {self.target}")
        self._tell(results)
        if self.explain:
            click.echo("\n".join(explanation(results)), err=True)
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


def _ask(door: Door, library: Any, query: Query, options: dict[str, Any]) -> Results:
    if options["method"] and (query.change or options["change"]):
        options = {**options, **_helpers(door)}
    try:
        with warnings.catch_warnings(record=True) as caught:
            results: Results = library.search(query, **options)
    except PictureError as error:  # the question cannot be read: that is usage, not a partial run
        raise UsageError(
            f"the picture to search for cannot be read: {error.path}: {error.reason}. "
            "For words that look like a path write text:…"
        ) from error
    for told in caught:
        door.talk.warn(str(told.message))
    return results


def _helpers(door: Door) -> dict[str, Any]:
    """The outside models that the settings name, for a method that may ask one about a change."""
    if not any(door.settings.choose(name, None) for name in NAMED):
        return {}
    return {"helpers": open_outside(door.settings, dict.fromkeys(NAMES))}


def _batch(door: Door, library: Any, options: dict[str, Any]) -> int:
    """Answer every line of stdin with a JSON line; a bad line does not end the run."""
    found, worst = False, EXIT_HITS
    for line in sys.stdin.buffer:
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if not text.strip():
            continue
        try:
            results = _ask(door, library, Query.parse(text), options)
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


def _lines(file: str) -> list[str]:
    """The lines of a text file that are not empty."""
    try:
        text = Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--corpus {file} cannot be read: {error}. Give a UTF-8 file, one text a line."
        ) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _here(where: str | None) -> str:
    quoted = os.getcwd().replace("'", "''")
    below = f"folder = '{quoted}'"
    return f"{below} and ({where})" if where else below


def _sheet_file() -> str:
    handle, name = tempfile.mkstemp(prefix="needlepoint-", suffix=".html")
    os.close(handle)
    return name
