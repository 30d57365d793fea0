"""The two recipes of needle scenes and every option they have."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from needlepoint.bench.needle.paste import Look
from needlepoint.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """What a set of scenes is made of.

    Attributes:
        name: ``2d`` (photographic stamps) or ``3d`` (rendered models, new viewpoints).
        size: width and height of a scene in pixels.
        count: number of scenes.
        queries: number of questions by picture.
        objects: least and greatest number of objects in a scene (uniform).
        area: least and greatest share of the scene that an object's box takes before it is turned
            (uniform).
        positives: mean number of scenes that hold each questioned object; the other places go to
            objects nobody asks for. ``None`` spreads all objects evenly.
        clutter: objects per scene added on top of ``objects``, which no question asks for.
        same_class: share (0 to 1) of the added and other places that go to a different object of
            the same family as one already in the scene, when the split has one.
        occlusion: greatest share of an object that others may hide; a scene counts as positive
            when at least ``min_visible`` of the object shows.
        views: renderings per model, the first of them for questions (``3d``).
        family_cap: greatest number of models of one family in a set (``3d``).
        look: how cut-outs are changed in scenes; ``query_look`` in questions.
        quality: JPEG quality of the scenes, least and greatest.
    """

    name: str
    size: tuple[int, int]
    count: int
    queries: int
    objects: tuple[int, int]
    area: tuple[float, float]
    positives: float | None
    clutter: int = 0
    same_class: float = 0.0
    occlusion: float = 0.15
    min_visible: float = 0.5
    views: int = 14
    family_cap: int = 12
    look: Look = field(default_factory=Look)
    query_look: Look = field(default_factory=Look)
    query_side: int = 320
    quality: tuple[int, int] = (85, 93)


RECIPES = {
    "2d": Recipe(
        name="2d",
        size=(800, 600),
        count=300,
        queries=200,
        objects=(1, 12),
        area=(0.0045, 0.03),
        positives=6.4,
    ),
    "3d": Recipe(
        name="3d",
        size=(1024, 768),
        count=250,
        queries=150,
        objects=(3, 15),
        area=(0.004, 0.04),
        positives=None,
        look=Look(rotation=4.0, flip=False, blur=0.8, light=0.15),
        query_look=Look(rotation=0.0, flip=False, blur=0.0, light=0.05),
    ),
}


def recipe_named(name: str, **changes: Any) -> Recipe:
    """A recipe by name, with some options changed.

    Raises:
        UsageError: unknown name or option, or a value outside its range.

    Example:
        >>> recipe_named("2d", count=10).size
        (800, 600)
    """
    if name not in RECIPES:
        raise UsageError(f"recipe={name!r} is not known (allowed: {', '.join(RECIPES)})")
    unknown = set(changes) - set(Recipe.__dataclass_fields__)
    if unknown:
        raise UsageError(
            f"option {sorted(unknown)[0]!r} is not known "
            f"(allowed: {', '.join(Recipe.__dataclass_fields__)})"
        )
    recipe = replace(RECIPES[name], **changes)
    for option in ("occlusion", "min_visible", "same_class"):
        value = getattr(recipe, option)
        if not 0 <= value <= 1:
            raise UsageError(f"{option}={value!r} is outside 0 to 1")
    low, high = recipe.area
    if not 0 < low <= high < 0.5:
        raise UsageError(f"area={recipe.area!r} needs 0 < least <= greatest < 0.5")
    if recipe.views < 2:
        raise UsageError(f"views={recipe.views!r} is too few; a model needs at least 2")
    if recipe.count < 1 or recipe.queries < 0 or recipe.objects[0] < 0:
        raise UsageError("count must be at least 1; queries and objects must not be negative")
    return recipe
