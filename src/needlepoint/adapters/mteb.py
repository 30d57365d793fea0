"""A library as a search model of mteb: its own regions, methods and questions, mteb's tasks.

mteb's usual wrapper knows one vector a picture; this one searches as a library does, so that
places in pictures, methods and composed questions take part in mteb's protocols.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from mteb.models.model_meta import ModelMeta

from needlepoint import __version__
from needlepoint.errors import UsageError
from needlepoint.library import Library
from needlepoint.query import Part, Query


class LibrarySearch:
    """Indexes a corpus of pictures and answers queries of words, pictures or both.

    mteb's ``SearchProtocol``: give it to ``mteb.evaluate`` as the model.

    Args:
        model: encoder address.
        method: what is kept of a picture, and how it is searched, as in ``Library.index``.
        folder: where a folder of its own is made for the pictures and the library of a corpus;
            None for the system's temporary folder. It goes with the next corpus or :meth:`close`.

    Example:
        >>> import mteb  # doctest: +SKIP
        >>> mteb.evaluate(LibrarySearch(), tasks)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str = "builtin",
        *,
        method: str | None = None,
        folder: str | Path | None = None,
    ) -> None:
        self._model, self._method = model, method
        self._where = folder
        self._made: Path | None = None
        self._library: Library | None = None
        self._names: dict[int, str] = {}

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What is evaluated: the encoder and the method, at this version."""
        name = self._model.replace("/", "_").replace(":", "_")
        told = {
            "name": f"needlepoint/{name}" + (f"-{self._method}" if self._method else ""),
            "revision": __version__,
            "modalities": ["image", "text"],
        }
        return ModelMeta.create_empty(told)

    def index(self, corpus: Any, **_: Any) -> None:
        """Write the pictures of a corpus as files and index them.

        Args:
            corpus: data set with the columns ``id`` and ``image``.

        Raises:
            UsageError: the corpus has no pictures.
        """
        if "image" not in corpus.column_names:
            raise UsageError(
                "needlepoint searches in pictures; the corpus has no column `image`. Received: "
                f"{', '.join(corpus.column_names)}."
            )
        self.close()
        self._made = Path(tempfile.mkdtemp(prefix="needlepoint-", dir=self._where))
        pictures = self._made / "pictures"
        pictures.mkdir()
        names = {}
        for place, row in enumerate(corpus):
            path = pictures / f"{place:08d}.png"
            row["image"].convert("RGB").save(path, compress_level=1)
            names[str(path)] = row["id"]
        self._library = Library.open(self._made / "library", create=True)
        self._library.index(pictures, model=self._model, method=self._method)
        for file, name in names.items():
            number = self._library.at(file)
            if number is None:
                raise UsageError(f"the picture {name!r} of the corpus cannot be indexed")
            self._names[number] = name

    def search(
        self,
        queries: Any,
        *,
        top_k: int,
        top_ranked: Any = None,
        **_: Any,
    ) -> dict[str, dict[str, float]]:
        """The best pictures for every query.

        Args:
            queries: data set with ``id`` and ``text``, ``image`` or both; words are words, never
                operators.
            top_k: how many for a query.
            top_ranked: by id of a query, the only pictures that may be found.

        Returns:
            By id of a query, score by id of a picture.

        Raises:
            UsageError: nothing is indexed, or a query has neither words nor picture.
        """
        if self._library is None:
            raise UsageError("there is no corpus yet; call `index` before `search`")
        found = {}
        for row in queries:
            among = None if top_ranked is None else set(top_ranked[row["id"]])
            k = top_k if among is None else len(self._names)
            hits = self._library.search(_question(row), k=k, method=self._method)
            scores = {self._names[hit.id]: hit.score for hit in hits}
            if among is not None:
                scores = {name: score for name, score in scores.items() if name in among}
            found[row["id"]] = dict(list(scores.items())[:top_k])
        return found

    def close(self) -> None:
        """Close the library and remove what was written for it."""
        if self._library is not None:
            self._library.close()
            self._library = None
        self._names = {}
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)
            self._made = None


def _question(row: dict[str, Any]) -> Query:
    """A row of queries as a question."""
    parts: tuple[Part, ...] = ()
    if (row.get("text") or "").strip():
        parts += (Part("text", row["text"]),)
    if row.get("image") is not None:
        parts += Query.coerce(row["image"]).parts
    return Query(parts)
