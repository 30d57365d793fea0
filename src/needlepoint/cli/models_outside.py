"""The options that name outside models, for verbs that hold conversations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from needlepoint.cli.config import Settings
from needlepoint.cli.door import reader

if TYPE_CHECKING:
    from needlepoint.methods.dialogue import Helpers

F = TypeVar("F", bound=Callable[..., Any])

NAMES = ("chat", "chat_pictures", "chat_seconds", "chat_price", "captioner", "generator")
NAMED = ("chat", "captioner", "generator")
"""Those of :data:`NAMES` that name a model."""


def outside_models(function: F) -> F:
    """Give a verb the options of :data:`NAMES` and pass it as ``models`` what was given."""

    @functools.wraps(function)
    def wrapped(*args: Any, **given: Any) -> Any:
        models = {name: given.pop(name) for name in NAMES}
        return function(*args, models=models, **given)

    options = (
        click.option(
            "--chat", metavar="openai:BASE_URL#MODEL", help="Chat model that methods may ask."
        ),
        click.option(
            "--chat-pictures/--no-chat-pictures",
            default=None,
            help="Let it see pictures of the library.  [no]",
        ),
        click.option(
            "--chat-seconds",
            metavar="S",
            callback=reader("chat_seconds"),
            help="How long one request may take.  [60]",
        ),
        click.option(
            "--chat-price",
            metavar="IN,OUT",
            callback=reader("chat_price"),
            help="Prices of a million tokens, to tell what was spent.",
        ),
        click.option("--captioner", metavar="blip:FOLDER", help="Captioner on this machine."),
        click.option(
            "--generator",
            metavar="openai:BASE_URL#MODEL|folder:DIR",
            help="Painter of what was understood.",
        ),
    )
    verb: Any = wrapped
    for option in reversed(options):
        verb = option(verb)
    return verb  # type: ignore[no-any-return]


def open_outside(settings: Settings, models: dict[str, Any]) -> Helpers:
    """The models that flags and settings name; see ``open_helpers``."""
    from needlepoint.library.helpers import open_helpers

    chosen = {name: settings.choose(name, models[name]) for name in NAMES}
    price = chosen["chat_price"]
    read, written = map(float, price.split(",")) if price else (0.0, 0.0)
    return open_helpers(
        chat=chosen["chat"],
        pictures=chosen["chat_pictures"],
        captioner=chosen["captioner"],
        generator=chosen["generator"],
        seconds=chosen["chat_seconds"],
        price=(read, written),
    )
