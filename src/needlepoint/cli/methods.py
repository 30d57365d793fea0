"""The verb about methods: what each is made of, and how to index and search with it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS, UsageError, nearest
from needlepoint.methods.card import Method, find_method, how_to, list_methods
from needlepoint.methods.measured import measured
from needlepoint.results import printable

WIDTH = 100
"""Columns of a card that does not go to a terminal."""

_as_json = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
_task = click.option("--task", metavar="TASK", help="Only those of a task, as composed.")


@click.group("methods", invoke_without_command=True)
@_task
@_as_json
@common
def methods(door: Door, task: str | None, as_json: bool) -> int:
    """List search methods: what each costs, and how sure we are of it.

    \b
    Examples:
      needlepoint methods
      needlepoint methods list 'ca*'
      needlepoint methods --task composed --json
      needlepoint methods show lare
    """
    context = click.get_current_context()
    return EXIT_HITS if context.invoked_subcommand else _list(as_json, "*", task)


@methods.command("list")
@click.argument("pattern", default="*")
@_task
@_as_json
@common
def list_some(door: Door, pattern: str, task: str | None, as_json: bool) -> int:
    """Methods whose name matches PATTERN (wild cards allowed)."""
    return _list(as_json, pattern, task)


def _list(as_json: bool, pattern: str, task: str | None) -> int:
    cards = list_methods(pattern)
    if task is not None:
        known = sorted({card.task for card in list_methods()})
        if task not in known:
            raise UsageError(
                f"--task is {task!r}{nearest(task, known)}. Allowed: {', '.join(known)}."
            )
        cards = [card for card in cards if card.task == task]
    if as_json:
        output.write_json([_told(find_method(card.name)) for card in cards])
    elif cards:
        rows = [(c.name, c.task, c.evidence, c.title, f"passes: {c.passes}") for c in cards]
        output.write(output.columns(rows))
    return EXIT_HITS


@methods.command("show")
@click.argument("name")
@_as_json
@common
def show(door: Door, name: str, as_json: bool) -> int:
    """The card of one method: parts, parameters and their sources, evidence, and how to use it."""
    method = find_method(name)
    if as_json:
        output.write_json(_told(method))
    else:
        width = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
        output.write(output.raw("".join(f"{line}\n" for line in _lines(method, width))))
    return EXIT_HITS


def _told(method: Method) -> dict[str, object]:
    card = method.card
    return {**card.to_dict(), "how_to": how_to(method), "measured": measured(card.name)}


def _figure(row: dict[str, Any] | None) -> str:
    """A measured row in one sentence."""
    if row is None:
        return "no figure comes with the package"
    value, low, high = (f"{100 * row[name]:.1f}" for name in ("value", "low", "high"))
    return (
        f"{row['measure']} {value} % ({low} to {high}) of {row['questions']} questions, "
        f"{row['data']}, {row['encoder']}, as {row['line']}"
    )


def _lines(method: Method, width: int) -> Iterator[str]:
    """The card, a heading a part."""
    card = method.card
    yield from _wrapped(f"{card.name}: {card.title}", width, "")
    facts = {
        "task": card.task,
        "source": f"{card.paper} ({card.year})",
        "evidence": card.evidence,
        "parts": "; ".join(card.parts),
        "needs": ", ".join(card.needs) or "nothing special of an encoder",
        "stores": card.stores,
        "places": "take part, and come with the answer" if card.places else "take no part",
        "passes": card.passes,
        "measured": _figure(measured(card.name)),
    }
    label = max(map(len, facts)) + 4
    for name, value in facts.items():
        yield from _wrapped(value, width, f"  {name}".ljust(label))
    if card.parameters:
        yield "parameters, and where each comes from"
        label = max(map(len, card.parameters)) + 4
        for name, value in card.parameters.items():
            yield from _wrapped(value, width, f"  {name}".ljust(label))
    if card.disagreements:
        yield "where the sources disagree"
        for value in card.disagreements:
            yield from _wrapped(value, width, "  - ")
    yield "how to"
    for name, value in how_to(method).items():
        yield f"  {name.ljust(8)}{value}"  # a command is not broken into lines


def _wrapped(text: str, width: int, lead: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        max(width, 40),
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_on_hyphens=False,
        break_long_words=False,
    )
