"""The FiftyOne backend inside FiftyOne: needs the package and a MongoDB server it can reach.

``tools/with_fiftyone_server.py`` brings the server.
"""

# ruff: noqa: E402

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if "FIFTYONE_DATABASE_URI" not in os.environ:  # without a server the package cannot be imported
    pytest.skip("FIFTYONE_DATABASE_URI names no MongoDB server", allow_module_level=True)
fo = pytest.importorskip("fiftyone", reason="fiftyone is not installed")

import fiftyone.brain as fob
import numpy as np
from fiftyone.brain.similarity import Similarity, SimilarityConfig, SimilarityIndex

from needlepoint import Library
from needlepoint.adapters.fiftyone import (
    LibrarySimilarity,
    LibrarySimilarityConfig,
    LibrarySimilarityIndex,
)
from needlepoint.errors import UsageError


@pytest.fixture(scope="module")
def dataset(pictures: Path) -> Iterator[Any]:
    made = fo.Dataset(f"needlepoint-test-{uuid.uuid4().hex}")
    made.add_samples([fo.Sample(filepath=str(path)) for path in sorted(pictures.glob("*.jpg"))])
    yield made
    made.delete()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fiftyone") / "library"


@pytest.fixture(scope="module")
def index(dataset: Any, folder: Path) -> Any:
    return fob.compute_similarity(
        dataset,
        backend=LibrarySimilarityConfig,
        library=str(folder),
        embeddings=False,
        brain_key="places",
    )


def names(view: Any) -> list[str]:
    return [Path(path).stem for path in view.values("filepath")]


def test_it_is_a_backend(index: Any, dataset: Any) -> None:
    assert isinstance(index, LibrarySimilarityIndex)
    for own, theirs in (
        (LibrarySimilarityConfig, SimilarityConfig),
        (LibrarySimilarity, Similarity),
        (LibrarySimilarityIndex, SimilarityIndex),
    ):
        assert issubclass(own, theirs)
    assert index.config.method == "needlepoint"
    assert index.supports_prompts
    assert index.total_index_size == index.index_size == len(dataset) == 7
    assert index.missing_size is None


def test_views_are_in_the_order_of_the_library(index: Any, dataset: Any, folder: Path) -> None:
    with Library.open(folder, read_only=True) as library:
        found = [Path(hit.path).stem for hit in library.search("cat - desk", k=7)]
    assert names(index.sort_by_similarity("cat - desk")) == found
    assert names(dataset.sort_by_similarity("cat - desk", k=3, brain_key="places")) == found[:3]


def test_samples_and_pieces_are_questions(index: Any, dataset: Any, pictures: Path) -> None:
    desk = next(sample for sample in dataset if sample.filename == "desk-00.jpg")
    by_sample = dataset.sort_by_similarity(desk.id, brain_key="places")
    assert names(by_sample)[0] == "desk-00"
    piece = f'img:"{pictures / "desk-00.jpg"}"#xywh=100,100,80,80'
    assert names(index.sort_by_similarity(piece, k=1)) == ["desk-00"]
    both = index.sort_by_similarity([desk.id, "cat"], aggregation="mean")
    assert len(both) == 7


def test_distances_rise(index: Any, dataset: Any) -> None:
    view = index.sort_by_similarity("cat", dist_field="far")
    far = view.values("far")
    assert far == sorted(far)
    assert names(view)[0] == "photo-cat"
    dataset.delete_sample_field("far")


def test_a_view_limits_what_is_found(index: Any, dataset: Any) -> None:
    desks = dataset.match(fo.ViewField("filepath").contains_str("desk"))
    assert set(names(desks.sort_by_similarity("cat", brain_key="places"))) == {"desk-00", "desk-01"}
    with index.use_view(desks):
        assert index.index_size == 2
        assert len(index.sort_by_similarity("cat", k=7)) == 2
    assert index.index_size == 7


def test_places_are_marked(index: Any, dataset: Any) -> None:
    view = index.mark("cat", "where", k=4)
    assert names(view) == names(index.sort_by_similarity("cat", k=4))
    boxes = [one for sample in view for one in sample["where"].detections]
    assert boxes
    for box in boxes:
        x, y, w, h = box.bounding_box
        assert 0 <= x <= x + w <= 1
        assert 0 <= y <= y + h <= 1
    assert dataset.count("where.detections") == len(boxes)
    dataset.delete_sample_field("where")


def test_it_is_loaded_again(index: Any, dataset: Any) -> None:
    before = names(index.sort_by_similarity("cat"))
    dataset.clear_cache()
    again = fo.load_dataset(dataset.name).load_brain_results("places", cache=False)
    assert again is not index
    assert names(again.sort_by_similarity("cat")) == before


def test_samples_added_later(index: Any, dataset: Any, tmp_path: Path, pictures: Path) -> None:
    from PIL import Image

    target = tmp_path / "new.png"
    Image.open(pictures / "photo-cat.jpg").transpose(Image.Transpose.ROTATE_90).save(target)
    (name,) = dataset.add_samples([fo.Sample(filepath=str(target))])
    index.reload()
    assert (index.total_index_size, len(dataset)) == (7, 8)
    index.add_to_index(None, [name])
    assert index.total_index_size == 8
    assert names(index.sort_by_similarity(name, k=1)) == ["new"]
    dataset.delete_samples([name])
    index.reload()
    assert index.total_index_size == 7


def test_what_it_refuses(index: Any, dataset: Any, folder: Path) -> None:
    for query in (np.ones(4), [1.0, 2.0], [], "cat +", "0" * 24):
        with pytest.raises((UsageError, ValueError)):
            index.sort_by_similarity(query)
    with pytest.raises(ValueError, match="reverse"):
        index.sort_by_similarity("cat", reverse=True)
    with pytest.raises(UsageError, match="own vectors"):
        index.add_to_index(np.ones((1, 4)), ["x"])
    with pytest.raises(UsageError, match="follows the files"):
        index.remove_from_index(["x"])
    with pytest.raises(UsageError, match="many vectors"):
        index.get_embeddings()
    with pytest.raises(UsageError, match="`library`"):
        LibrarySimilarityConfig()
    with pytest.raises(UsageError, match="`patches_field`"):
        LibrarySimilarityConfig(library=str(folder), patches_field="x")


def test_deleting_the_run_leaves_the_library(pictures: Path, folder: Path, index: Any) -> None:
    other = fo.Dataset(f"needlepoint-test-{uuid.uuid4().hex}")
    other.add_samples([fo.Sample(filepath=str(pictures / "photo-cat.jpg"))])
    fob.compute_similarity(
        other,
        backend=LibrarySimilarityConfig,
        library=str(folder),
        embeddings=False,
        brain_key="mine",
    )
    assert names(other.sort_by_similarity("dog", brain_key="mine")) == ["photo-cat"]
    other.delete_brain_run("mine")
    other.delete()
    with Library.open(folder, read_only=True) as library:
        assert library.info()["pictures"] >= 7
