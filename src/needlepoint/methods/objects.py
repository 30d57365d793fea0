"""Opens a source of objects by one line of text."""

from __future__ import annotations

from needlepoint.errors import UsageError
from needlepoint.regions.objects import AnnotatedObjects, ObjectSource, WindowObjects
from needlepoint.regions.recipe import Recipe

ALLOWED = "windows:N (N = 4, 9, 16 ...), annotations:FILE"


def open_objects(text: str) -> ObjectSource:
    """The source that a text names.

    Args:
        text: ``windows:9``; ``annotations:FILE`` (COCO's JSON or the ``truth.json`` of a
            generated set).

    Raises:
        UsageError: another kind, or a file that cannot be read.

    Example:
        >>> open_objects("windows:9").name
        'windows:9'
    """
    kind, _, rest = text.strip().partition(":")
    if kind == "windows":
        return WindowObjects(Recipe.parse(text).count)
    if kind == "annotations" and rest:
        return AnnotatedObjects.read(rest)
    raise UsageError(f"objects is {text!r}. Allowed: {ALLOWED}.")
