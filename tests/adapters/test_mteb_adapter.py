"""A library as mteb's search model, on small real tasks, against our own metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mteb")

import mteb
from datasets import Dataset, Image
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import SearchProtocol
from PIL import Image as Pillow

from needlepoint import Library, Query
from needlepoint.adapters.mteb import LibrarySearch
from needlepoint.bench.metrics import average_precision, ndcg, recall_at_k
from needlepoint.errors import UsageError
from needlepoint.query import Part

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
CORPUS = ("photo-cat", "photo-coffee", "photo-rocket", "photo-dogs", "desk-00", "toys-08")
WORDS = ("a cat", "a rocket", "two dogs", "a cup of coffee")


def metadata(name: str, category: str, modalities: list[str]) -> TaskMetadata:
    return TaskMetadata(
        name=name,
        type="Any2AnyRetrieval",
        category=category,
        modalities=modalities,
        main_score="ndcg_at_10",
        description="Pieces of the samples, for tests.",
        reference="https://example.org",
        dataset={"path": "samples", "revision": "1"},
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        date=("2022-01-01", "2022-01-01"),
        domains=[],
        task_subtypes=[],
        license="cc-by-4.0",
        annotations_creators="derived",
        dialect=[],
        sample_creation="found",
        bibtex_citation="",
    )


def opened(name: str) -> Any:
    with Pillow.open(SAMPLES / "pictures" / f"{name}.jpg") as image:
        return image.convert("RGB").resize((480, 360))


class Samples(AbsTaskRetrieval):
    """What all tasks of the samples share; ``rows`` gives the queries."""

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:
        corpus = Dataset.from_dict(
            {"id": list(CORPUS), "image": [opened(name) for name in CORPUS]}
        ).cast_column("image", Image())
        queries = Dataset.from_dict(self.rows())
        if "image" in queries.column_names:
            queries = queries.cast_column("image", Image())
        relevant = {f"q{i}": wanted for i, wanted in enumerate(self.wanted())}
        self.dataset = {
            "default": {
                "test": {
                    "corpus": corpus,
                    "queries": queries,
                    "relevant_docs": relevant,
                    "top_ranked": None,
                }
            }
        }
        self.data_loaded = True


class PieceToPicture(Samples):
    metadata = metadata("SamplePieces", "i2i", ["image"])

    def rows(self) -> dict[str, list[Any]]:
        pieces = [opened(name).crop((120, 90, 280, 220)) for name in CORPUS]
        return {"id": [f"q{i}" for i in range(len(CORPUS))], "image": pieces}

    def wanted(self) -> list[dict[str, int]]:
        return [{name: 1, "toys-08": 1} for name in CORPUS]


class WordsToPicture(Samples):
    metadata = metadata("SampleWords", "t2i", ["text", "image"])

    def rows(self) -> dict[str, list[Any]]:
        return {"id": [f"q{i}" for i in range(len(WORDS))], "text": list(WORDS)}

    def wanted(self) -> list[dict[str, int]]:
        names = ("photo-cat", "photo-rocket", "photo-dogs", "photo-coffee")
        return [{name: 1} for name in names]


class PictureAndWordsToPicture(Samples):
    metadata = metadata("SampleBoth", "it2i", ["text", "image"])

    def rows(self) -> dict[str, list[Any]]:
        pictures = [opened("desk-00") for _ in WORDS]
        return {**WordsToPicture.rows(self), "image": pictures}  # type: ignore[arg-type]

    def wanted(self) -> list[dict[str, int]]:
        return [{"photo-cat": 1, "desk-00": 1} for _ in WORDS]


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibrarySearch]:
    made = LibrarySearch(folder=tmp_path_factory.mktemp("mteb"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """The same pictures, indexed without mteb."""
    base = tmp_path_factory.mktemp("ours")
    (base / "pictures").mkdir()
    for name in CORPUS:
        opened(name).save(base / "pictures" / f"{name}.png")
    with Library.open(base / "library", create=True) as made:
        made.index(base / "pictures")
        yield made


def asked(row: dict[str, Any]) -> Query:
    words = (Part("text", row["text"]),) if "text" in row else ()
    return Query((*words, *(Query.coerce(row["image"]).parts if "image" in row else ())))


@pytest.mark.parametrize("kind", [PieceToPicture, WordsToPicture, PictureAndWordsToPicture])
def test_mteb_scores_are_ours(
    kind: type[Samples], searcher: LibrarySearch, library: Library, tmp_path: Path
) -> None:
    assert isinstance(searcher, SearchProtocol)
    task = kind()
    cache = mteb.ResultCache(cache_path=tmp_path)
    told = mteb.evaluate(searcher, task, cache=cache, show_progress_bar=False)
    scores = told.task_results[0].scores["test"][0]
    task.load_data()
    split = task.dataset["default"]["test"]
    ours: dict[str, list[float]] = {}
    for row in split["queries"]:
        found = [Path(hit.path).stem for hit in library.search(asked(row), k=len(CORPUS))]
        wanted = {name for name, gain in split["relevant_docs"][row["id"]].items() if gain}
        for k in (1, 3, 5):
            ours.setdefault(f"recall_at_{k}", []).append(recall_at_k(found, wanted, k))
            ours.setdefault(f"ndcg_at_{k}", []).append(ndcg(found, dict.fromkeys(wanted, 1), k))
        ours.setdefault("map_at_10", []).append(average_precision(found, wanted))
    for name, values in ours.items():
        assert scores[name] == pytest.approx(sum(values) / len(values), abs=1e-5), name
    assert 0 < scores["ndcg_at_3"] <= 1
    written = json.loads(next(tmp_path.rglob(f"{task.metadata.name}.json")).read_text())
    assert written["scores"]["test"][0]["ndcg_at_10"] == scores["ndcg_at_10"]


def test_who_it_is(searcher: LibrarySearch) -> None:
    meta = searcher.mteb_model_meta
    assert (meta.name, meta.modalities) == ("needlepoint/builtin", ["image", "text"])
    other = LibrarySearch("open_clip:ViT-B-32/x", method="lare").mteb_model_meta.name
    assert other == "needlepoint/open_clip_ViT-B-32_x-lare"


def test_only_ranked_before(searcher: LibrarySearch) -> None:
    task = WordsToPicture()
    task.load_data()
    split = task.dataset["default"]["test"]
    searcher.index(split["corpus"])
    every = searcher.search(split["queries"], top_k=6)
    among = {name: ["photo-dogs", "desk-00"] for name in every}
    some = searcher.search(split["queries"], top_k=6, top_ranked=among)
    for name, scores in some.items():
        assert set(scores) == {"photo-dogs", "desk-00"}
        assert scores == {one: every[name][one] for one in scores}
    assert [len(one) for one in searcher.search(split["queries"], top_k=2).values()] == [2] * 4


def test_what_it_cannot_do(tmp_path: Path) -> None:
    made = LibrarySearch(folder=tmp_path)
    words = Dataset.from_dict({"id": ["a"], "text": ["b"]})
    with pytest.raises(UsageError, match="no column `image`"):
        made.index(words)
    with pytest.raises(UsageError, match="`index` before `search`"):
        made.search(words, top_k=1)


def test_what_it_made_goes_and_nothing_else(tmp_path: Path) -> None:
    mine = tmp_path / "pictures" / "mine.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    made = LibrarySearch(folder=tmp_path)
    task = WordsToPicture()
    task.load_data()
    made.index(task.dataset["default"]["test"]["corpus"])
    assert len(list(tmp_path.iterdir())) == 2
    made.close()
    made.close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
