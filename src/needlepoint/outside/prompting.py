"""Prompts as readable files: ``outside/prompts/NAME.md``, one section a message.

A file begins with what it is for; then each heading ``## system``, ``## user`` or
``## assistant`` begins a message. ``$name`` stands for a value, ``$$`` for the sign itself.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from string import Template
from typing import get_args

from needlepoint.outside.chat import Message, Role

_HEADING = re.compile(r"^## (\w+)$", re.MULTILINE)


def prompt(name: str, **values: str) -> list[Message]:
    """The messages of a prompt with its values filled in.

    Raises:
        KeyError: a value that the prompt needs is not given.

    Example:
        >>> [message.role for message in prompt("caption")]
        ['user']
    """
    return [Message(role, text.substitute(values)) for role, text in _sections(name)]


@cache
def _sections(name: str) -> list[tuple[Role, Template]]:
    file = files("needlepoint.outside") / "prompts" / f"{name}.md"
    _, *pieces = _HEADING.split(file.read_text("utf-8"))
    found: list[tuple[Role, Template]] = []
    for heading, text in zip(pieces[::2], pieces[1::2], strict=True):
        role = next(role for role in get_args(Role) if role == heading)
        found.append((role, Template(text.strip())))
    return found
