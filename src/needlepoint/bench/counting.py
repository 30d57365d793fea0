"""Encoders that count their passes: the cost every method is held to in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from needlepoint.parts import Encoder

T = TypeVar("T")


@dataclass(slots=True)
class Passes:
    """``pictures``: how many pictures or crops went through; ``maps``: dense passes among them."""

    pictures: int = 0
    maps: int = 0


def counted(encoder: Encoder) -> tuple[Encoder, Passes]:
    """The same encoder with a count of its passes over pictures.

    A dense pass counts as one, whatever its size; texts and questions are not counted.
    """
    passes = Passes()

    def image_features(self: Any, pictures: Any, **how: Any) -> Any:
        passes.pictures += len(pictures)
        return encoder.image_features(pictures, **how)

    def dense_features(self: Any, pixels: Any, **how: Any) -> Any:
        passes.pictures += 1
        passes.maps += 1
        return encoder.dense_features(pixels, **how)  # type: ignore[attr-defined]

    return with_methods(encoder, (image_features, dense_features)), passes


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
