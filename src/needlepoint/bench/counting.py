"""Encoders that count their passes: the cost every method is held to in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from needlepoint.parts import Encoder

T = TypeVar("T")


@dataclass(slots=True)
class Passes:
    """What went through an encoder.

    ``pictures`` counts pictures and crops, ``maps`` the dense passes among them; ``work`` weighs
    each by its number of pixels (and of patches, where they overlap): 1 is a picture at the
    encoder's own input size. ``texts`` counts texts, also those with pseudo-words in them.
    """

    pictures: int = 0
    maps: int = 0
    work: float = 0.0
    texts: int = 0


def counted(encoder: Encoder) -> tuple[Encoder, Passes]:
    """The same encoder with a count of its passes.

    What a method runs through ``encoder.tower`` or ``encoder.text`` itself is counted, too.
    """
    passes = Passes()
    own = encoder.card.input_size**2

    def image_features(self: Any, pictures: Any, **how: Any) -> Any:
        height, width = how.get("size") or (1, own)
        overlap = (encoder.card.patch / how["stride"]) ** 2 if how.get("stride") else 1.0
        passes.pictures += len(pictures)
        passes.work += len(pictures) * height * width / own * overlap
        return encoder.image_features(pictures, **how)

    def dense_features(self: Any, pixels: Any, *, long_side: int, **how: Any) -> Any:
        high, wide = pixels.shape[:2]
        passes.pictures += 1
        passes.maps += 1
        passes.work += long_side**2 * min(high, wide) / max(high, wide) / own
        return encoder.dense_features(pixels, long_side=long_side, **how)  # type: ignore[attr-defined]

    def query_features(self: Any, pictures: Any, **how: Any) -> Any:
        passes.pictures += len(pictures)
        passes.work += len(pictures)
        return encoder.query_features(pictures, **how)  # type: ignore[attr-defined]

    def text_features(self: Any, texts: Any, **how: Any) -> Any:
        passes.texts += len(texts)
        return encoder.text_features(texts, **how)  # type: ignore[attr-defined]

    # a text tower is counted where all texts enter it, pseudo-words and gradients included
    reader = getattr(encoder, "text", None)
    counting = (image_features, dense_features, query_features)
    copy = with_methods(
        encoder, counting if hasattr(reader, "start") else (*counting, text_features)
    )
    if hasattr(reader, "start"):

        def start(self: Any, words: Any) -> Any:
            passes.texts += len(words)
            return reader.start(words)  # type: ignore[union-attr]

        vars(copy)["text"] = with_methods(reader, (start,))
    tower = getattr(encoder, "tower", None)
    if tower is not None:

        def embed(self: Any, pixels: Any) -> Any:
            passes.pictures += len(pixels)
            passes.work += len(pixels) * pixels.shape[-2] * pixels.shape[-1] / own
            return tower.embed(pixels)

        def place(self: Any, patches: Any, grid: Any) -> Any:
            passes.pictures += len(patches)
            passes.work += len(patches)
            return tower.place(patches, grid)

        vars(copy)["tower"] = with_methods(tower, (embed, place))
    return copy, passes


def with_methods(encoder: T, methods: tuple[Callable[..., Any], ...]) -> T:
    """A copy of an encoder in which these methods stand in for its own of the same names.

    It stays an instance of the encoder's class and has no ability that the encoder lacks. What a
    method of the encoder calls on itself is left alone, so nothing is counted or kept twice.

    Example:
        >>> class Dog:
        ...     def says(self): return "wau"
        ...     def twice(self): return self.says() * 2
        >>> def says(self): return "bow"
        >>> def purrs(self): return "rrr"
        >>> same = with_methods(Dog(), (says, purrs))
        >>> same.says(), isinstance(same, Dog), hasattr(same, "purrs")
        ('bow', True, False)
    """
    kind = type(encoder)
    own = {method.__name__: method for method in methods if hasattr(kind, method.__name__)}
    copy: T = object.__new__(type(kind.__name__, (kind,), own))
    copy.__dict__.update(vars(encoder))
    return copy
