"""The settings a run was begun with: going on with others would be neither one nor the other."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from needlepoint.errors import UsageError
from needlepoint.train.loop import CHECKPOINT

_SETTINGS = "settings.json"


def keep_settings(recipe: Any, run: Path, resume: bool) -> None:
    """Write a recipe (a dataclass with a ``plan``) beside a run, or compare it with the one there.

    The plan is compared by the loop, which knows what of it may change.

    Raises:
        UsageError: there is a run and ``resume`` is False, or it was begun with other settings.
    """
    path, told = run / _SETTINGS, plain(recipe)
    if (run / CHECKPOINT).is_file():
        if not resume:
            raise UsageError(f"out: {run} holds a run already; resume it, or name another folder")
        was = json.loads(path.read_text("utf-8"))
        other = [k for k in told if k != "plan" and was.get(k) != told[k]]
        if other:
            raise UsageError(
                f"resume: {other[0]} is {told[other[0]]}, but the run in {run} has "
                f"{was.get(other[0])}; resume with the same settings"
            )
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def plain(recipe: Any) -> dict[str, Any]:
    """A dataclass as JSON holds it."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return found
