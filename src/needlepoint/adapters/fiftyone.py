"""A library as a similarity backend of FiftyOne: ``sort_by_similarity`` by words, pictures, places.

Samples are matched to pictures of the library by their file path. FiftyOne's own backends keep
one vector a sample that somebody computed; this one asks the library, so no embeddings are given
or stored, and what was found says where in the picture it lies (:meth:`mark`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone.brain.similarity import Similarity, SimilarityConfig, SimilarityIndex

from needlepoint.errors import UsageError
from needlepoint.library import Library
from needlepoint.query import Part, Query
from needlepoint.results import Hit

_ID = re.compile("[0-9a-f]{24}")
"""Ids of samples, which are also the only words that cannot be asked with."""


class LibrarySimilarityConfig(SimilarityConfig):  # type: ignore[misc]
    """How a data set is searched by a library.

    Args:
        library: folder of the library; it is made if it is not there.
        encoder: encoder address to index with; None for the one used last, at first ``builtin``.
        method: what is kept of a picture, as in ``Library.index``.
        options: those of FiftyOne's base class.

    Example:
        >>> import fiftyone.brain as fob  # doctest: +SKIP
        >>> found = fob.compute_similarity(  # doctest: +SKIP
        ...     dataset, backend=LibrarySimilarityConfig, library="holiday.library",
        ...     embeddings=False, brain_key="places",
        ... )
        >>> found.sort_by_similarity("red bicycle", k=20)  # doctest: +SKIP
    """

    def __init__(
        self,
        library: str | None = None,
        encoder: str | None = None,
        method: str | None = None,
        **options: Any,
    ) -> None:
        if library is None:
            raise UsageError("`library` is the folder of a library, and was not given")
        for name in ("patches_field", "roi_field", "embeddings_field", "model"):
            if options.get(name) is not None:
                raise UsageError(
                    f"`{name}` is {options[name]!r}, but a library finds places and makes vectors "
                    "by itself; leave it out, and give embeddings=False"
                )
        options["supports_prompts"] = True
        super().__init__(**options)
        self.library, self.encoder, self.way = str(library), encoder, method

    @property
    def method(self) -> str:
        """The backend's name."""
        return "needlepoint"

    @property
    def max_k(self) -> int | None:
        """No limit."""
        return None

    @property
    def supports_least_similarity(self) -> bool:
        """No: what is least like a question is noise."""
        return False

    @property
    def supported_aggregations(self) -> tuple[str, ...]:
        """Several queries are parts of one question."""
        return ("mean",)


class LibrarySimilarity(Similarity):  # type: ignore[misc]
    """Makes the index of a data set."""

    def initialize(self, samples: Any, brain_key: str | None) -> LibrarySimilarityIndex:
        """Index the files of all samples that the library does not hold as they are."""
        config = self.config
        with Library.open(config.library, create=True) as library:
            files = samples.values("filepath")
            if files:
                library.index(files, model=config.encoder, method=config.way)
        return LibrarySimilarityIndex(samples, config, brain_key, backend=self)


class LibrarySimilarityIndex(SimilarityIndex):  # type: ignore[misc]
    """Answers FiftyOne's questions from a library.

    A query is a question in the one language, the id of a sample, or several of these, which are
    then parts of one question.
    """

    def __init__(
        self, samples: Any, config: LibrarySimilarityConfig, brain_key: str | None, backend: Any
    ) -> None:
        self._library = Library.open(config.library, read_only=True)
        super().__init__(samples, config, brain_key, backend=backend)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Number in the library of every sample that it holds, by the sample's id."""
        ids, paths = self._samples.values(["id", "filepath"])
        found = ((name, self._library.at(path)) for name, path in zip(ids, paths, strict=True))
        return {name: number for name, number in found if number is not None}

    @property
    def supports_prompts(self) -> bool:
        """Whether words are understood: the question language is."""
        return True

    @property
    def sample_ids(self) -> Any:
        """Ids of the samples that the library holds."""
        return np.array(list(self._numbers))

    @property
    def total_index_size(self) -> int:
        """How many samples the library holds."""
        return len(self._numbers)

    def add_to_index(
        self,
        embeddings: Any,
        sample_ids: Sequence[str],
        label_ids: Any = None,
        overwrite: bool = True,
        allow_existing: bool = True,
        warn_existing: bool = False,
        reload: bool = True,
    ) -> None:
        """Index the files of samples; ``embeddings`` must be None."""
        if embeddings is not None:
            raise UsageError("a library makes its own vectors; `embeddings` must be None")
        files = self._samples.select(list(sample_ids)).values("filepath")
        with Library.open(self.config.library) as library:
            library.index(files, model=self.config.encoder, method=self.config.way)
        if reload:
            self.reload()

    def remove_from_index(self, *_: Any, **__: Any) -> None:
        """Refused: a library follows the files.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "a library follows the files and drops nothing by itself; delete the sample, or the "
            "file and run `needlepoint index`"
        )

    def get_embeddings(self, *_: Any, **__: Any) -> Any:
        """Refused: a picture has many vectors.

        Raises:
            UsageError: always.
        """
        raise UsageError("a picture of a library has many vectors, not the one FiftyOne asks for")

    def reload(self) -> None:
        """See what was added to the data set or to the library since."""
        self.__dict__.pop("_numbers", None)
        super().reload()

    def cleanup(self) -> None:
        """Close the library; it is the user's and stays."""
        self._library.close()

    def mark(self, query: Any, field: str, k: int | None = None) -> Any:
        """Write where a question is answered into a field of the samples found.

        Args:
            query: as for ``sort_by_similarity``.
            field: gets one ``Detection`` in ``Detections`` where a place was found, its
                confidence the score; replaced where it exists.
            k: how many samples; None for all.

        Returns:
            A view of the samples found, best first.
        """
        found = self._find(self._parse_query(query), k)
        places = {name: fo.Detections(detections=_detections(hit)) for name, hit in found}
        self._samples.set_values(field, places, key_field="id")
        return self.view.select([name for name, _ in found], ordered=True)

    def _parse_query(self, query: Any) -> Query:
        """Questions and samples' ids as one question."""
        if isinstance(query, np.ndarray) or query is None:
            raise UsageError(
                "`query` is a question, the id of a sample or several of these. Received: "
                f"{type(query).__name__}"
            )
        asked = [query] if isinstance(query, str) else list(query)
        return Query(tuple(part for one in asked for part in self._parts(one)), str(query))

    def _parts(self, one: Any) -> tuple[Part, ...]:
        if not isinstance(one, str):
            raise UsageError(f"`query` is text. Received: {one!r}")
        if not _ID.fullmatch(one):
            return Query.parse(one).parts
        if one not in self._numbers:
            raise UsageError(f"`query` is the sample {one}, which the library does not hold")
        return (Part("item", str(self._numbers[one])),)

    def _kneighbors(
        self,
        query: Any = None,
        k: int | None = None,
        reverse: bool = False,
        aggregation: str | None = None,
        return_dists: bool = False,
    ) -> Any:
        if reverse:
            raise UsageError("`reverse` must be False: what is least like a question is noise")
        found = self._find(query, k)
        names = [name for name, _ in found]
        return (names, None, [1 - hit.score for _, hit in found]) if return_dists else (names, None)

    def _find(self, query: Query, k: int | None) -> list[tuple[str, Hit]]:
        """Samples of the current view with their hits, best first."""
        seen = set(self.current_sample_ids)
        names = {number: name for name, number in self._numbers.items() if name in seen}
        every = self._library.shelf.page(limit=1).total
        hits = self._library.search(query, k=max(1, every))
        found = [(names[hit.id], hit) for hit in hits if hit.id in names]
        return found if k is None else found[:k]

    @classmethod
    def _from_dict(
        cls, d: Any, samples: Any, config: LibrarySimilarityConfig, brain_key: str
    ) -> LibrarySimilarityIndex:
        return cls(samples, config, brain_key, backend=None)


def _detections(hit: Hit) -> list[Any]:
    """The place of a hit as FiftyOne has it, in shares of the picture; none for the whole."""
    if hit.place is None:
        return []
    x, y, w, h = hit.place
    box = [x / hit.width, y / hit.height, w / hit.width, h / hit.height]
    return [fo.Detection(label="found", bounding_box=box, confidence=hit.score)]
