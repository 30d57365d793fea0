"""One line that names what is measured: a method, its options, its library and its fusion."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, replace
from pathlib import Path

from needlepoint.errors import UsageError
from needlepoint.methods.card import Method, describer_of, find_method
from needlepoint.methods.options import without
from needlepoint.parts import EncoderCard
from needlepoint.search.fusion import BEST, WHOLE, Fusion

TRUTH = "{truth}"
"""Stands for the annotations of the data a line is run on."""

_ENDINGS = re.compile(r"\+(whole|best|gated(?:@(?P<tau>-?[\d.]+))?|csls)$")


@dataclass(frozen=True, slots=True)
class Spec:
    """``text`` as given; ``recipe`` is what the gallery is described with.

    ``fusion`` overrides the method's; ``csls`` asks for the transductive correction, which is
    never part of a method.
    """

    text: str
    method: str
    options: str
    recipe: str
    fusion: Fusion | None = None
    csls: bool = False

    def found(self) -> Method:
        """The method."""
        return find_method(self.method)

    def how(self, card: EncoderCard) -> Fusion:
        """The fusion for an encoder."""
        return self.found().fusion(self.options, card) if self.fusion is None else self.fusion


def read_spec(text: str, truth: Path | None = None) -> Spec:
    """Read ``METHOD[:OPTIONS][ on RECIPE][+whole|+best|+gated|+gated@TAU][+csls]``.

    ``on RECIPE`` says what a method searches that keeps nothing of its own; left out, it searches
    whole pictures. ``{truth}`` in it becomes the path of the annotations.

    Raises:
        UsageError: an unknown method, options it does not know, a recipe it cannot search, or
            ``{truth}`` where the data has no annotations.

    Example:
        >>> read_spec("windows:9+gated@0.2+csls").fusion.tau
        0.2
        >>> read_spec("hard-max on windows:9").recipe
        'windows:9'
    """
    rest, fusion, csls = text.strip(), None, False
    while (match := _ENDINGS.search(rest)) is not None:
        rest, ending = rest[: match.start()], match[1]
        if ending == "csls":
            csls = True
        elif fusion is not None:
            raise UsageError(f"method line {text!r} names two fusions. Keep one.")
        elif ending in ("whole", "best"):
            fusion = WHOLE if ending == "whole" else BEST
        else:
            fusion = Fusion("gated", tau=float(match["tau"] or Fusion().tau))
    if TRUTH in rest:
        if truth is None:
            raise UsageError("needs annotations, and this data has no truth.json")
        rest = rest.replace(TRUTH, str(truth).replace(",", ",,"))
    head, _, base = rest.partition(" on ")
    name, _, options = head.strip().partition(":")
    method = find_method(name)
    spec = Spec(text.strip(), name, options, "none", fusion, csls)
    if base:
        recipe = describer_of(base.strip()).recipe
    elif method.describer is not None:
        # lines that differ in what is only asked otherwise share their vectors
        recipe = method.describer(without(options, method.when_asked)).recipe
    elif method.card.recipe != "*":
        recipe = describer_of(head.strip()).recipe  # dense and windows: regions by policy
    else:
        recipe = "none"
    if not fnmatch.fnmatch(recipe, method.card.recipe):
        raise UsageError(
            f"method {name} searches {method.card.recipe}. Received: {text!r}, which is {recipe}."
        )
    return replace(spec, recipe=recipe)
