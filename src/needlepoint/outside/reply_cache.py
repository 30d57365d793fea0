"""Replies of chat models kept on disk, so that the same question costs nothing again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from needlepoint.outside.chat import ChatModel, Message
from needlepoint.outside.endpoint import Spent

MOST = 20_000
"""Replies kept; when there are more, the older half goes."""


class KeptReplies:
    """A chat model whose replies are files, named by all that they hang on.

    Replies of a temperature above 0 differ each time and are not kept, unless ``always`` is set. A
    disk that fails only stops the keeping.

    Args:
        model: the model asked where nothing is kept.
        folder: made when something is to be kept.
        always: keep replies of any temperature, for runs that must be the same again.
    """

    def __init__(self, model: ChatModel, folder: str | Path, *, always: bool = False) -> None:
        self._model, self._folder, self._always = model, Path(folder), always
        self.spent: Spent = getattr(model, "spent", Spent())

    @property
    def name(self) -> str:
        """See ``ChatModel``."""
        return self._model.name

    def reply(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        most: int = 400,
    ) -> str:
        """See ``ChatModel``."""
        if temperature > 0 and not self._always:
            return self._model.reply(messages, schema=schema, temperature=temperature, most=most)
        file = self._folder / f"{self._key(messages, schema, temperature, most)}.json"
        try:
            text = json.loads(file.read_text("utf-8"))["reply"]
        except (OSError, ValueError, KeyError, TypeError):
            text = None  # absent or damaged
        if isinstance(text, str):
            self.spent.kept += 1
            return text
        text = self._model.reply(messages, schema=schema, temperature=temperature, most=most)
        with contextlib.suppress(OSError):
            self._keep(file, text)
        return text

    def _key(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, Any] | None,
        temperature: float,
        most: int,
    ) -> str:
        told = [
            (m.role, m.text, [hashlib.sha256(data).hexdigest() for data in m.pictures])
            for m in messages
        ]
        key = json.dumps([self.name, told, schema, temperature, most], sort_keys=True)
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

    def _keep(self, file: Path, text: str) -> None:
        """Write a reply whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                json.dump({"model": self.name, "reply": text}, out)
            os.replace(part, file)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        self._bound()

    def _bound(self) -> None:
        with os.scandir(self._folder) as entries:
            found = [e for e in entries if e.name.endswith(".json")]
            if len(found) <= MOST:
                return
            found.sort(key=lambda entry: entry.stat().st_mtime_ns)
        for entry in found[: len(found) // 2]:
            with contextlib.suppress(OSError):
                os.unlink(entry.path)
