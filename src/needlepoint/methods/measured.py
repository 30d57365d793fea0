"""What a method was measured to find, in the figures that come with the package."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _rows() -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = json.loads(
        files("needlepoint.methods").joinpath("measured.json").read_text("utf-8")
    )
    return rows


def measured(name: str) -> dict[str, Any] | None:
    """The figure of a method: suite, data, encoder, line, measure, value and its 95 % interval.

    Of several lines of a method it is that of the first in the suite.

    Args:
        name: of a method.

    Returns:
        None where the method was not measured.

    Example:
        >>> measured("windows") is None
        True
    """
    return _rows().get(name)
