"""What the commands of ``train`` share: options, packages, and the line that a card tells."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from needlepoint.errors import ModelUnavailable

F = TypeVar("F", bound=Callable[..., Any])

#: options that leave the model as it is
_NOT_OF_THE_RUN = {"resume", "stop_after", "cache", "threads", "library", "quiet", "verbose",
                   "offline"}  # fmt: skip
_FIRST = {"data": 0, "out": 1}


def of_a_run(command: F) -> F:
    """Give a command the options of every training: where it goes, how it goes on, its seed."""
    options = (
        click.option("--out", required=True, type=click.Path(), metavar="FOLDER",
                     help="The model."),
        click.option("--resume", is_flag=True, help="Go on with the run in --out."),
        click.option("--stop-after", type=int, metavar="N",
                     help="Leave after N steps; resume later."),
        click.option("--threads", type=int, metavar="N", help="Threads of torch."),
        click.option("--licence", default="unknown", show_default=True, help="Of the weights."),
        click.option("--seed", default=0, show_default=True, metavar="N"),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@contextmanager
def packages() -> Iterator[None]:
    """Around the imports of a training.

    Raises:
        ModelUnavailable: a package is not installed; says which, and how to come by it.
    """
    try:
        yield
    except ImportError as error:
        raise ModelUnavailable(
            f"training needs {error.name}, which is not installed: pip install 'needlepoint[train]'"
        ) from error


def command_line() -> str:
    """The command of this run with what differs from the defaults, paths by their last name."""
    context = click.get_current_context()
    words = ["needlepoint", "train", str(context.info_name)]
    options = sorted(context.command.params, key=lambda one: _FIRST.get(one.name or "", 2))
    for option in options:
        value = context.params.get(option.name or "")
        told = value is not False and value not in (None, "", (), option.default)
        if option.name in _NOT_OF_THE_RUN or not told:
            continue
        flag = option.opts[-1]
        if value is True:
            words.append(flag)
            continue
        for one in value if isinstance(value, tuple) else (value,):
            named = Path(one).name if isinstance(option.type, click.Path) else _bare(str(one))
            words += [flag, shlex.quote(named)]
    return " ".join(words)


def _bare(value: str) -> str:
    """A value without the folders of absolute paths in it.

    Example:
        >>> _bare("open_clip:local-dir:/home/me/mine"), _bare("cirr:train=/data/CIRR")
        ('open_clip:local-dir:mine', 'cirr:train=CIRR')
    """
    return re.sub(r"(^|[=:])/(?:[^/]+/)*", r"\1", value)
