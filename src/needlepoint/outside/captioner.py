"""Captions of pictures: by BLIP and BLIP-2 from local files, or by a chat model that sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from needlepoint.outside.chat import ChatModel, shown
from needlepoint.outside.labels import open_local
from needlepoint.outside.prompting import prompt
from needlepoint.picture import Picture

_KINDS = {
    "blip": "BlipForConditionalGeneration",
    "blip-2": "Blip2ForConditionalGeneration",
}


class Captioner(Protocol):
    """Says in words what a picture shows."""

    @property
    def name(self) -> str:
        """What a caption made with this hangs on."""
        ...

    def caption(self, pictures: Sequence[Picture], prompts: Sequence[str]) -> list[str]:
        """One caption a picture, each beginning with its prompt (which may be empty)."""
        ...


class ChatCaptioner:
    """A picture-language model behind a chat server; pictures are sent to it, one a call.

    Args:
        chat: a model that reads pictures.
        side: long side in pixels of what is sent.
    """

    def __init__(self, chat: ChatModel, *, side: int = 768) -> None:
        self._chat, self._side = chat, side

    @property
    def name(self) -> str:
        """What a caption made with this hangs on."""
        return f"{self._chat.name} side={self._side}"

    def caption(self, pictures: Sequence[Picture], prompts: Sequence[str]) -> list[str]:
        """See ``Captioner``; a caption is one line."""
        captions = []
        for picture, beginning in zip(pictures, prompts, strict=True):
            *before, last = prompt("caption")
            asked = replace(last, pictures=(shown(picture.pixels, self._side),))
            text = self._chat.reply([*before, asked], most=60)
            captions.append(continued(beginning, text))
        return captions


class BlipCaptioner:
    """``blip:FOLDER``: BLIP (arXiv 2201.12086) or BLIP-2 (arXiv 2301.12597) through transformers.

    A caption continues its prompt. Words are taken greedily, so the same picture and prompt give
    the same caption.

    Args:
        folder: the model as transformers saves it; nothing is downloaded.
        words: at most so many new tokens.
        device: ``cpu``, ``cuda``, …

    Raises:
        ModelUnavailable: no such folder, another kind of model, or transformers is missing.
    """

    def __init__(self, folder: str | Path, *, words: int = 30, device: str = "cpu") -> None:
        self._folder, self._words, self._device = Path(folder), words, device
        self._processor, self._model = open_local(self._folder, _KINDS, device)

    @property
    def name(self) -> str:
        """What a caption made with this hangs on."""
        return f"blip:{self._folder.name} greedy words={self._words}"

    def caption(self, pictures: Sequence[Picture], prompts: Sequence[str]) -> list[str]:
        """One caption a picture, each beginning with its prompt.

        Args:
            pictures: N pictures.
            prompts: N beginnings, for instance ``a photo of a dog``.
        """
        import torch

        captions = []
        for picture, beginning in zip(pictures, prompts, strict=True):
            inputs = self._processor(images=picture.pixels, text=beginning, return_tensors="pt")
            with torch.inference_mode():
                ids = self._model.generate(
                    **inputs.to(self._device),
                    max_new_tokens=self._words,
                    do_sample=False,
                    num_beams=1,
                )
            text = self._processor.batch_decode(ids, skip_special_tokens=True)[0]
            captions.append(continued(beginning, text))
        return captions


def continued(prompt: str, text: str) -> str:
    """The prompt and what a model wrote after it; some models repeat the prompt, some do not.

    Example:
        >>> continued("a photo of a dog", "A photo of a dog on a beach ")
        'a photo of a dog on a beach'
        >>> continued("a photo of a dog", "on a beach")
        'a photo of a dog on a beach'
    """
    prompt, text = " ".join(prompt.split()), " ".join(text.split())
    if text.casefold().startswith(prompt.casefold()):
        text = text[len(prompt) :]
    return f"{prompt} {text.strip()}".strip()
