"""The LlamaIndex retriever, as LlamaIndex drives it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.schema import ImageNode, QueryBundle

from needlepoint import Library
from needlepoint.adapters.llama_index import PictureRetriever
from needlepoint.errors import UsageError


def test_nodes_are_the_hits(library: Library) -> None:
    nodes = PictureRetriever(library, k=3).retrieve("cat")
    found = library.search("cat", k=3)
    assert all(isinstance(one.node, ImageNode) for one in nodes)
    assert [one.node.metadata for one in nodes] == found.to_dicts()
    assert [one.score for one in nodes] == [hit.score for hit in found]
    assert [one.node.image_path for one in nodes] == [hit.path for hit in found]
    assert nodes[0].node.text == "pet, indoors"
    assert Path(nodes[0].node.resolve_image()).is_file()


def test_a_picture_words_and_both(library: Library, pictures: Path) -> None:
    retriever = PictureRetriever(library, k=7)
    path = str(pictures / "desk-00.jpg")
    by_picture = retriever.retrieve(QueryBundle("", image_path=path))
    assert by_picture[0].node.image_path == path
    both = retriever.retrieve(QueryBundle("cat", image_path=path))
    same = library.search(f"cat + {path}", k=7)
    assert [one.node.metadata for one in both] == same.to_dicts()
    with pytest.raises(UsageError, match="empty"):
        retriever.retrieve(QueryBundle(""))


def test_filter_cutoff_and_async(library: Library) -> None:
    desks = PictureRetriever(library, where="name ~ 'desk'").retrieve("cat")
    assert {Path(one.node.image_path).stem for one in desks} == {"desk-00", "desk-01"}
    retriever = PictureRetriever(library, only_matching=True)
    nodes = retriever.retrieve("cat")
    assert nodes
    assert all(one.node.metadata["match"] for one in nodes)
    assert [one.node.id_ for one in asyncio.run(retriever.aretrieve("cat"))] == [
        one.node.id_ for one in nodes
    ]
