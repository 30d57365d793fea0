"""What the commands of ``train`` share: the line that a card tells to train the model again."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

#: options that leave the model as it is
_NOT_OF_THE_RUN = {"resume", "stop_after", "cache", "threads", "library", "quiet", "verbose",
                   "offline"}  # fmt: skip


def command_line() -> str:
    """The command of this run with what differs from the defaults, paths by their last name."""
    context = click.get_current_context()
    words = ["needlepoint", "train", str(context.info_name)]
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if option.name in _NOT_OF_THE_RUN or value in (None, "", (), option.default):
            continue
        flag = option.opts[-1]
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
