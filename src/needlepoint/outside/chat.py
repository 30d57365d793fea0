"""Models that converse: one protocol for language and picture-language models."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from PIL import Image

from needlepoint.picture import Pixels

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat; ``pictures`` are encoded pictures (JPEG or PNG bytes) shown in it."""

    role: Role
    text: str
    pictures: tuple[bytes, ...] = ()


class ChatModel(Protocol):
    """Writes the next message of a chat."""

    @property
    def name(self) -> str:
        """What a reply hangs on: address, model and settings; part of cache keys."""
        ...

    def reply(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        most: int = 400,
    ) -> str:
        """The reply's text.

        Args:
            messages: at least one; the last is the user's.
            schema: JSON schema that the reply must satisfy; the text is then that JSON.
            temperature: 0 for the likeliest words.
            most: tokens the reply has at most.

        Raises:
            ModelUnavailable: the model cannot be reached, or answers nothing usable after retries.
        """
        ...


def shown(pixels: Pixels, side: int = 768) -> bytes:
    """A picture for a message: a JPEG of its pixels alone, its long side at most ``side``.

    Nothing that a file says beside its pixels (place, camera, date) is in it.
    """
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    return out.getvalue()
