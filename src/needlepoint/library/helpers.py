"""Outside models that conversations may use, opened from settings."""

from __future__ import annotations

from pathlib import Path

from needlepoint.errors import UsageError
from needlepoint.methods.dialogue import Helpers
from needlepoint.outside.captioner import BlipCaptioner, Captioner, ChatCaptioner
from needlepoint.outside.endpoint import Endpoint
from needlepoint.outside.generator import Generator, OpenAIImages, Paintings
from needlepoint.outside.openai_chat import OpenAIChat
from needlepoint.outside.reply_cache import KeptReplies


def open_helpers(
    *,
    chat: str | None = None,
    pictures: bool = False,
    captioner: str | None = None,
    generator: str | None = None,
    seconds: float = 60.0,
    price: tuple[float, float] = (0.0, 0.0),
    cache: Path | None = None,
) -> Helpers:
    """Models for ``Library.converse``; nothing is sent anywhere before a method asks.

    Args:
        chat: ``openai:BASE_URL#MODEL``, a server that speaks OpenAI's chat completions.
        pictures: let that model see pictures of the library, to caption candidates.
        captioner: ``blip:FOLDER``, a captioner on this machine instead.
        generator: ``openai:BASE_URL#MODEL``, a server that paints, or ``folder:DIR`` of paintings.
        seconds: how long one request may take.
        price: of a million tokens read and written, for what the chat model's ``spent`` tells.
        cache: folder for replies and paintings; None for the user's cache folder.

    Raises:
        UsageError: a setting that cannot be read.
        ModelUnavailable: a package or a model folder is missing, or offline is set and a server
            is on another machine.
    """
    folder = cache or _cache()
    talker = None
    if chat is not None:
        served = OpenAIChat(Endpoint.parse(chat, seconds=seconds), price=price)
        talker = KeptReplies(served, folder / "replies")
    if pictures and talker is None and captioner is None:
        raise UsageError("pictures may be shown to a chat model, but none is named: set `chat` too")
    sees: Captioner | None = None
    if captioner is not None:
        sees = _captioner(captioner)
    elif pictures and talker is not None:
        sees = ChatCaptioner(talker)
    paints = None if generator is None else _generator(generator, seconds, folder / "paintings")
    return Helpers(talker, sees, paints)


def _captioner(text: str) -> Captioner:
    kind, _, place = text.partition(":")
    if kind != "blip" or not place:
        raise UsageError(f"`captioner` is blip:FOLDER. Received: {text!r}.")
    return BlipCaptioner(Path(place).expanduser())


def _generator(text: str, seconds: float, kept: Path) -> Generator:
    kind, _, place = text.partition(":")
    if kind == "folder" and place:
        return Paintings(Path(place).expanduser())
    return Paintings(kept, OpenAIImages(Endpoint.parse(text, seconds=seconds)))


def _cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("needlepoint", appauthor=False)
