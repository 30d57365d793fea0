"""Needlepoint as a retriever of LlamaIndex: questions in, one image node a picture out."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import ImageNode, NodeWithScore, QueryBundle

from needlepoint.adapters.words import words_of
from needlepoint.library import Library
from needlepoint.query import Part, Query


class PictureRetriever(BaseRetriever):  # type: ignore[misc]
    """Retrieves pictures of a library by a question in the one language, or by a picture's path.

    A node's ``text`` is what is known of the picture in words: its keywords, or else its path.
    ``metadata`` is the hit as ``Hit.to_dict`` gives it, ``box`` and ``match`` included.

    Args:
        library: an open library.
        k: how many.
        where: filter over facts, applied before the search.
        only_matching: leave out what lies below the calibrated cut-off.
        options: those of LlamaIndex's base class.

    Example:
        >>> from needlepoint import Library
        >>> library = Library.open("holiday.library")  # doctest: +SKIP
        >>> PictureRetriever(library, k=5).retrieve("red bicycle")  # doctest: +SKIP
    """

    def __init__(
        self,
        library: Library,
        *,
        k: int = 10,
        where: str | None = None,
        only_matching: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._library, self._k, self._where = library, k, where
        self._least: Literal["auto"] | None = "auto" if only_matching else None

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        parts: tuple[Part, ...] = ()
        if query_bundle.query_str.strip():
            parts += Query.parse(query_bundle.query_str).parts
        if query_bundle.image_path:
            parts += (Part("picture", query_bundle.image_path),)
        found = self._library.search(
            Query(parts), k=self._k, where=self._where, min_score=self._least
        )
        return [
            NodeWithScore(
                node=ImageNode(
                    id_=str(hit.id),
                    text=words_of(self._library, hit),
                    image_path=hit.path,
                    metadata=hit.to_dict(),
                ),
                score=hit.score,
            )
            for hit in found
        ]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)
