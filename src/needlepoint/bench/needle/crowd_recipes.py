"""The two recipes of crowds: scenes with a few large things and many small ones, in words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from needlepoint.bench.needle.blend import Blend, Camera
from needlepoint.bench.needle.materials import KINDS
from needlepoint.bench.needle.paste import Look
from needlepoint.errors import UsageError


@dataclass(frozen=True)
class CrowdRecipe:
    """What a set of crowds is made of.

    Attributes:
        name: ``crowd-2d`` (stamps, clip art, emoji) or ``crowd-3d`` (rendered models).
        size: width and height of a scene in pixels.
        count: number of scenes.
        things: greatest number of questions about small things; ``wholes`` about whole
            pictures; ``instances`` by picture.
        objects: least and greatest number of things in a scene (log-uniform).
        large: least and greatest number of large things in a scene (uniform), at most all.
        large_area: least and greatest share of the picture that a large thing's mask takes
            (uniform); ``small_area`` the same for small things (log-uniform).
        coloured: share (0 to 1) of things that are painted in a named colour.
        held_out: share of painted things of ``dev`` and ``test`` whose colour is one that never
            occurs with their word in ``train``, where there is one.
        same_class: share of small things that are another instance, or another colour, of
            something in the scene.
        clutter: share of small things that nobody can ask for by words.
        behind: share of small things that stand behind the large ones.
        occlusion: greatest share of a thing that others may hide; it counts as shown when at
            least ``min_visible`` of it is.
        materials: kinds of cut-outs (``crowd-2d``): ``photo``, ``drawn``, ``clipart``, ``emoji``.
        renderings: views of each model, the first for questions, ``view_side`` pixels each
            (``crowd-3d``).
        enlarge: how many times its own size a cut-out may be shown.
        look: how cut-outs are changed in scenes; ``query_look`` in questions.
        blend: how they are adapted to the background; ``camera`` what happens to the scene.
        export: whether ``captions.jsonl`` is written; ``None`` writes it for ``train``.
    """

    name: str
    size: tuple[int, int] = (800, 600)
    count: int = 300
    things: int = 200
    wholes: int = 200
    instances: int = 150
    objects: tuple[int, int] = (1, 40)
    large: tuple[int, int] = (1, 3)
    large_area: tuple[float, float] = (0.08, 0.30)
    small_area: tuple[float, float] = (0.003, 0.03)
    coloured: float = 0.6
    held_out: float = 0.25
    same_class: float = 0.3
    clutter: float = 0.15
    behind: float = 0.15
    occlusion: float = 0.4
    min_visible: float = 0.5
    materials: tuple[str, ...] = KINDS
    renderings: int = 10
    view_side: int = 512
    enlarge: float = 1.5
    look: Look = field(default_factory=lambda: Look(rotation=15.0, blur=0.0, light=0.12))
    query_look: Look = field(default_factory=lambda: Look(rotation=15.0, blur=0.5, light=0.15))
    query_side: int = 320
    blend: Blend = field(default_factory=Blend)
    camera: Camera = field(default_factory=Camera)
    export: bool | None = None


CROWDS = {
    "crowd-2d": CrowdRecipe(name="crowd-2d"),
    "crowd-3d": CrowdRecipe(
        name="crowd-3d",
        size=(1024, 768),
        look=Look(rotation=0.0, flip=False, blur=0.0, light=0.12),
        query_look=Look(rotation=0.0, flip=False, blur=0.0, light=0.05),
        blend=Blend(shadow=0.5, fringe=0),
    ),
}
_SHARES = ("coloured", "held_out", "same_class", "clutter", "behind", "occlusion", "min_visible")
_LOOKS: dict[str, Any] = {"look": Look, "query_look": Look, "blend": Blend, "camera": Camera}


def crowd_named(name: str, **changes: Any) -> CrowdRecipe:
    """A recipe of crowds by name, with some options changed.

    Args:
        name: ``crowd-2d`` or ``crowd-3d``.
        changes: fields of ``CrowdRecipe``; ``look``, ``query_look``, ``blend`` and ``camera`` also
            as a dict of some of their fields.

    Raises:
        UsageError: unknown name or option, or a value outside its range.

    Example:
        >>> crowd_named("crowd-2d", blend={"light": 0.5}).blend.light
        0.5
    """
    if name not in CROWDS:
        raise UsageError(f"recipe={name!r} is not known (allowed: {', '.join(CROWDS)})")
    fields = CrowdRecipe.__dataclass_fields__
    if unknown := sorted(set(changes) - set(fields)):
        raise UsageError(f"option {unknown[0]!r} is not known (allowed: {', '.join(fields)})")
    plan = CROWDS[name]
    for option in _LOOKS.keys() & changes.keys():
        value = changes[option]
        if isinstance(value, dict):
            known = _LOOKS[option].__dataclass_fields__
            if strange := sorted(set(value) - set(known)):
                raise UsageError(
                    f"{option}: {strange[0]!r} is not known (allowed: {', '.join(known)})"
                )
            changes[option] = replace(
                getattr(plan, option),
                **{k: tuple(v) if isinstance(v, list) else v for k, v in value.items()},
            )
    plan = replace(plan, **changes)
    for option in _SHARES:
        value = getattr(plan, option)
        if not 0 <= value <= 1:
            raise UsageError(f"{option}={value!r} is outside 0 to 1")
    for option in ("large_area", "small_area"):
        low, high = getattr(plan, option)
        if not 0 < low <= high < 0.5:
            raise UsageError(f"{option}={(low, high)!r} needs 0 < least <= greatest < 0.5")
    for option in ("objects", "large"):
        low, high = getattr(plan, option)
        if not 1 <= low <= high:
            raise UsageError(f"{option}={(low, high)!r} needs 1 <= least <= greatest")
    if plan.renderings < 2:
        raise UsageError(f"renderings={plan.renderings!r} is too few; a model needs at least 2")
    for option in ("count", "things", "wholes", "instances"):
        if getattr(plan, option) < (option == "count"):
            raise UsageError(f"{option}={getattr(plan, option)!r} is too small")
    return plan
