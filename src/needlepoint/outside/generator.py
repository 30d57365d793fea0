"""Models that paint what words say, behind one protocol; and paintings that are kept."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from needlepoint.errors import ModelUnavailable
from needlepoint.outside.endpoint import Endpoint
from needlepoint.picture import Pixels

SIDES = (16, 4096)
"""Sides in pixels that a painting may have."""


class Generator(Protocol):
    """Paints a picture of what a text says."""

    @property
    def name(self) -> str:
        """What a painting hangs on beside the text."""
        ...

    def paint(self, text: str) -> Pixels:
        """A picture uint8 ``[H, W, 3]``.

        Raises:
            ModelUnavailable: the model cannot be reached, or sends no picture.
        """
        ...


class OpenAIImages:
    """``openai:BASE_URL#MODEL``: a server with ``/images/generations``.

    Args:
        endpoint: where the model is served.
        size: width and height asked for, as ``512x512``.
    """

    def __init__(self, endpoint: Endpoint, *, size: str = "512x512") -> None:
        self._endpoint, self._size = endpoint, size
        self._client = endpoint.client()

    @property
    def name(self) -> str:
        """See ``Generator``."""
        return f"{self._endpoint} {self._size}"

    def paint(self, text: str) -> Pixels:
        """See ``Generator``; what is behind a URL is not fetched."""
        answer: Any = self._endpoint.call(
            lambda: self._client.images.generate(
                model=self._endpoint.model,
                prompt=text,
                n=1,
                size=self._size,
                response_format="b64_json",
            )
        )
        try:
            data = base64.b64decode(answer.data[0].b64_json, validate=True)
        except (AttributeError, IndexError, TypeError, binascii.Error) as error:
            raise ModelUnavailable(
                f"{self.name} sends no picture as b64_json; other ways are not taken."
            ) from error
        return _opened(data, self.name)


class Paintings:
    """A folder of paintings, found by their text: those made before, or put there.

    The painting of a text is the file :meth:`file` names. Where there is none the generator paints
    and the painting is kept, so that the same text always gives the same pixels.

    Args:
        folder: made when something is to be kept.
        generator: None to take only what is there.
    """

    def __init__(self, folder: str | Path, generator: Generator | None = None) -> None:
        self._folder, self._generator = Path(folder), generator

    @property
    def name(self) -> str:
        """See ``Generator``."""
        return self._generator.name if self._generator else f"folder:{self._folder.name}"

    def file(self, text: str) -> Path:
        """Where the painting of a text lies: 32 digits of the SHA-256 of the generator and it.

        Without a generator of the text alone, blanks evened out.
        """
        told = " ".join(text.split())
        if self._generator is not None:
            told = f"{self._generator.name}\n{told}"
        return self._folder / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.jpg"

    def paint(self, text: str) -> Pixels:
        """See ``Generator``."""
        file = self.file(text)
        with contextlib.suppress(OSError, ModelUnavailable):  # absent or damaged: painted anew
            return _opened(file.read_bytes(), str(file))
        if self._generator is None:
            raise ModelUnavailable(
                f"there is no painting of {text[:80]!r}. Put one at {file}, or name a generator."
            )
        out = io.BytesIO()
        Image.fromarray(self._generator.paint(text)).save(out, "JPEG", quality=92)
        with contextlib.suppress(OSError):
            self._keep(file, out.getvalue())
        return _opened(out.getvalue(), str(file))  # as it will be read the next time

    def _keep(self, file: Path, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
            os.replace(part, file)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise


def _opened(data: bytes, source: str) -> Pixels:
    """The pixels of a painting; only plain formats and sizes, whatever a server sends."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
                if not all(SIDES[0] <= side <= SIDES[1] for side in image.size):
                    raise ValueError(f"its size is {image.size[0]} x {image.size[1]}")
                return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning) as error:
        raise ModelUnavailable(f"{source} is no picture that can be used: {error}") from error
