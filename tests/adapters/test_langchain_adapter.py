"""The LangChain retriever, as LangChain drives it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda

from needlepoint import Library
from needlepoint.adapters.langchain import PictureRetriever
from needlepoint.errors import UsageError


def test_documents_are_the_hits(library: Library) -> None:
    documents = PictureRetriever(library=library, k=3).invoke("cat")
    found = library.search("cat", k=3)
    assert all(isinstance(document, Document) for document in documents)
    assert [document.metadata for document in documents] == found.to_dicts()
    assert [document.id for document in documents] == [str(hit.id) for hit in found]
    assert documents[0].page_content == "pet, indoors"
    assert documents[1].page_content == found[1].path


def test_the_one_language_and_its_errors(library: Library, pictures: Path) -> None:
    retriever = PictureRetriever(library=library, k=7, where="name ~ 'desk'")
    asked = f"{pictures / 'desk-00.jpg'}#xywh=100,100,80,80 - cat"
    names = {Path(one.metadata["path"]).name for one in retriever.invoke(asked)}
    assert names == {"desk-00.jpg", "desk-01.jpg"}
    with pytest.raises(UsageError, match="must follow here"):
        retriever.invoke("cat +")


def test_what_does_not_match_may_be_left_out(library: Library) -> None:
    every = PictureRetriever(library=library, k=7).invoke("cat")
    some = PictureRetriever(library=library, k=7, only_matching=True).invoke("cat")
    matching = [one for one in every if one.metadata["match"]]
    assert some == matching
    assert len(matching) < len(every)


def test_async_batch_and_chain(library: Library) -> None:
    retriever = PictureRetriever(library=library, k=2)
    plain = retriever.invoke("cat")
    assert asyncio.run(retriever.ainvoke("cat")) == plain
    assert retriever.batch(["cat", "desk"])[0] == plain
    chain = retriever | RunnableLambda(lambda documents: documents[0].metadata["box"])
    assert chain.invoke("cat") == plain[0].metadata["box"]
