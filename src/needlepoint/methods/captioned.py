"""Captions of pictures for methods that compare words with words, wherever they come from."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from needlepoint.errors import UsageError
from needlepoint.methods.composing import Sight
from needlepoint.outside.captioner import Captioner
from needlepoint.picture import Picture, Pixels
from needlepoint.query import Part

MOST = 20_000
"""Captions held that a captioner has written."""

_SIDE = 768
_guard = threading.Lock()
_written: OrderedDict[tuple[str, bytes], str] = OrderedDict()


class Captions:
    """What is said of pictures: by a file, else by the library, else by a captioner.

    Args:
        file: captions by the end of a picture's path (``b.jpg``, ``a/b.jpg``) or by its bare name
            (``b``); may be empty.
        most: of each picture so many captions are taken, the first ones.
        captioner: asked for pictures that nothing is known of; None leaves them without.
    """

    def __init__(
        self, file: Mapping[str, Sequence[str]], most: int, captioner: Captioner | None
    ) -> None:
        self._file, self._most, self._captioner = file, most, captioner

    def of(self, ids: Sequence[int], view: Sight) -> list[list[str]]:
        """Captions of pictures of the gallery, in order; none where there are none.

        A library's own are one a line; keywords are one caption.
        """
        known = [self._named(name) for name in view.names(ids)]
        bare = [place for place, found in enumerate(known) if not found]
        own = view.captions([ids[place] for place in bare]) if bare else []
        for place, text in zip(bare, own, strict=True):
            known[place] = self._lines(text)
            if not known[place] and self._captioner is not None:
                pixels = view.pixels(ids[place], _SIDE)
                known[place] = self._lines(_say(self._captioner, pixels))
        return known

    def of_part(self, part: Part, view: Sight) -> list[str]:
        """Captions of a reference; those of a whole picture are not those of a piece of it."""
        if part.box is None:
            if part.kind == "item":
                return self.of([int(part.value)], view)[0]
            known = self._named(PurePosixPath(part.value.replace("\\", "/")).as_posix())
            if known:
                return known
        if self._captioner is None:
            return []
        return self._lines(_say(self._captioner, view.pixels_of(part)))

    def _named(self, name: str) -> list[str]:
        """The captions a file has under the longest end of a path, else under the bare name."""
        if not self._file:
            return []
        parts = PurePosixPath(name).parts
        ends = ["/".join(parts[start:]).lstrip("/") for start in range(len(parts))]
        for end in (*ends, PurePosixPath(name).stem):
            if end in self._file:
                return list(self._file[end][: self._most])
        return []

    def _lines(self, text: str) -> list[str]:
        return [line.strip() for line in text.splitlines() if line.strip()][: self._most]


def read_captions(path: str, method: str) -> dict[str, list[str]]:
    """Captions of a JSON file ``{"a/b.jpg": ["a duck", …], …}``; a single text will do for one.

    Raises:
        UsageError: the file cannot be read or is of another form; the message names the method.
    """
    try:
        told = json.loads(Path(path).expanduser().read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"method {method}: captions {path} cannot be read: {error}") from error
    if not isinstance(told, dict):
        raise UsageError(
            f"method {method}: captions {path} holds {type(told).__name__}. Allowed: "
            '{"PICTURE": ["CAPTION", …], …}.'
        )
    found = {}
    for name, texts in told.items():
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise UsageError(
                f"method {method}: captions {path} has {texts!r} for {name!r}. Allowed: a list of "
                "texts."
            )
        found[name] = [text.strip() for text in texts if text.strip()]
    return found


def _say(captioner: Captioner, pixels: Pixels) -> str:
    """A caption, written once for each picture."""
    seen = hashlib.blake2b(pixels.tobytes(), digest_size=16, salt=b"captioned")
    seen.update(repr(pixels.shape).encode())
    key = captioner.name, seen.digest()
    with _guard:
        if key in _written:
            _written.move_to_end(key)
            return _written[key]
    (text,) = captioner.caption([Picture.from_pixels(pixels)], [""])
    with _guard:
        _written[key] = text
        while len(_written) > MOST:
            _written.popitem(last=False)
    return text
