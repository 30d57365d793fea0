"""Needlepoint as a retriever of LangChain: questions in, one document a picture out."""

from __future__ import annotations

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field, InstanceOf

from needlepoint.adapters.words import words_of
from needlepoint.library import Library


class PictureRetriever(BaseRetriever):  # type: ignore[misc]
    """Retrieves pictures of a library by a question in the one language.

    A document's ``page_content`` is what is known of the picture in words: its keywords, or else
    its path. ``metadata`` is the hit as ``Hit.to_dict`` gives it, ``box`` and ``match`` included,
    and ``id`` is the picture's.

    Example:
        >>> from needlepoint import Library
        >>> library = Library.open("holiday.library")  # doctest: +SKIP
        >>> PictureRetriever(library=library, k=5).invoke("red bicycle")  # doctest: +SKIP
    """

    library: InstanceOf[Library] = Field(exclude=True)
    k: int = 10
    where: str | None = None
    only_matching: bool = False
    """Leave out what lies below the calibrated cut-off."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        found = self.library.search(
            query, k=self.k, where=self.where, min_score="auto" if self.only_matching else None
        )
        return [
            Document(words_of(self.library, hit), id=str(hit.id), metadata=hit.to_dict())
            for hit in found
        ]
