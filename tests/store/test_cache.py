"""The cache is a convenience: wrong, old, cut or missing, the answers are those of the database."""

from __future__ import annotations

import errno
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from needlepoint.store import asked, find, view
from needlepoint.store.base import StoreHits
from needlepoint.store.cache import NewCache, open_cache
from needlepoint.store.schema import DATABASE
from needlepoint.store.sqlite import SqliteStore
from store_kit import entry, filled, probe, unit, vectors

QUESTIONS = unit(np.random.default_rng(42), 6, 64)


def answers(folder: Path, mode: str = "auto") -> list[tuple[list[int], bytes]]:
    with SqliteStore.open(folder) as store:
        return [told(store.search([probe(1, q)], 10, mode=mode)) for q in QUESTIONS]


def told(hits: StoreHits) -> tuple[list[int], bytes]:
    return hits.ids.tolist(), hits.score.tobytes()


@pytest.fixture(params=["codes", "bits"])
def library(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if request.param == "bits":
        monkeypatch.setattr(view, "CODES_UP_TO", 100)
    with SqliteStore.open(tmp_path, create=True) as store:
        filled(store, 900, dim=64, regions=4)
        store.optimize()
    return tmp_path


def cache_of(folder: Path) -> Path:
    (path,) = (folder / "cache").glob("*.bin")
    return path


def test_a_cache_is_used_and_changes_nothing(library: Path) -> None:
    kept = cache_of(library).stat().st_mtime_ns
    first = answers(library)
    assert cache_of(library).stat().st_mtime_ns == kept
    shutil.rmtree(library / "cache")
    assert answers(library) == first
    assert answers(library, "exact") == answers(library, "exact")


@pytest.mark.parametrize(
    "harm",
    ["empty", "cut", "longer", "header", "ids", "text", "folder", "other library"],
)
def test_a_harmed_cache_heals(library: Path, harm: str) -> None:
    before = answers(library)
    path = cache_of(library)
    data = bytearray(path.read_bytes())
    if harm == "empty":
        path.write_bytes(b"")
    elif harm == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif harm == "longer":
        path.write_bytes(data + b"x")
    elif harm == "header":
        data[60] ^= 255
        path.write_bytes(data)
    elif harm == "ids":
        at = data.index(np.arange(1, 9, dtype="<i8").tobytes())
        data[at] ^= 255
        path.write_bytes(data)
    elif harm == "text":
        path.write_text("hello")
    elif harm == "folder":
        path.unlink()
        path.mkdir()
    else:
        facts, arrays = open_cache(path, {})
        shapes = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
        made = NewCache(path, facts | {"library": "another"}, shapes, [])
        made.finish()
    assert answers(library) == before
    if harm != "folder":
        assert open_cache(cache_of(library), {}) is not None


def test_codes_that_were_changed_are_noticed(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        filled(store, 900, dim=64, regions=4)
        store.optimize()
    before = answers(tmp_path)
    path = cache_of(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert answers(tmp_path) == before


def test_no_room_for_a_cache_is_no_reason_not_to_answer(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(library)
    cache_of(library).unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("needlepoint.store.cache._reserve", full)
    assert answers(library) == before
    assert list((library / "cache").iterdir()) == []


def test_a_cache_newer_than_a_restored_database_is_not_believed(library: Path) -> None:
    old = library / "old"
    with SqliteStore.open(library) as store:
        store.snapshot(old)
        made = store.spaces()[0]
        rng = np.random.default_rng(5)
        rows = [(vectors(rng, made.id, 64, 4),) for _ in range(300)]
        store.upsert([entry(1, f"new-{i}.jpg", row) for i, row in enumerate(rows)])
        store.optimize()
    shutil.copy(old / DATABASE, library / DATABASE)
    expected = answers(old)
    assert answers(library) == expected
    with SqliteStore.open(library) as store:  # other pictures, as many transactions as before
        for number in range(4):
            rows = [(vectors(rng, made.id, 64, 4),)]
            store.upsert([entry(1, f"else-{number}.jpg", row) for row in rows])
        newest = store.fetch_vectors([901], made.id)[901].whole
        assert store.search([probe(made.id, newest)], 1).ids.tolist() == [901]


def test_what_is_written_after_the_cache_is_found_and_what_is_removed_is_not(
    library: Path,
) -> None:
    rng = np.random.default_rng(3)
    with SqliteStore.open(library) as store, SqliteStore.open(library) as reader:
        made = store.spaces()[0]
        first = vectors(rng, made.id, 64, 4)
        assert reader.search([probe(made.id, first.whole)], 1).score[0] < 0.9
        (number,) = store.upsert([entry(1, "00007.jpg", (first,), digest=b"changed")])
        assert number == 8
        for asked in (store, reader):
            hits = asked.search([probe(made.id, first.whole)], 1)
            assert hits.ids.tolist() == [8]
            assert hits.score[0] > 0.99
        store.delete([8])
        for asked in (store, reader):
            assert 8 not in asked.search([probe(made.id, first.whole)], 900).ids.tolist()
        store.gc()
        store.optimize()
        assert 8 not in reader.search([probe(made.id, first.whole)], 900).ids.tolist()
    assert 8 not in [number for ids, _ in answers(library) for number in ids]


def test_compressed_answers_say_so_and_are_good(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        made, _ = filled(store, 3000, dim=64, regions=4)
        keep = pytest.MonkeyPatch()
        with keep.context() as patch:
            patch.setattr(view, "CODES_UP_TO", 100)
            patch.setattr(find, "_REFINED", 600)
            patch.setattr(find, "_FIRST", 32)
            same = 0
            rng = np.random.default_rng(8)
            for _ in range(30):
                region = store.fetch_vectors([int(rng.integers(1, 3000))], made.id).popitem()[1]
                question = region.regions[0] + 0.07 * rng.standard_normal(64)
                question = (question / np.linalg.norm(question)).astype(np.float32)
                quick = store.search([probe(made.id, question)], 10)
                exact = store.search([probe(made.id, question)], 10, mode="exact")
                assert (quick.mode, quick.exact) == ("compressed", False)
                assert (exact.mode, exact.exact, exact.scanned) == ("exact", True, 15_000)
                assert quick.ids[0] == exact.ids[0]
                assert quick.score[0] == exact.score[0]
                same += len(set(quick.ids.tolist()) & set(exact.ids.tolist()))
            # 64 bits and neighbours that are hardly nearer than the rest: as hard as it gets
            assert same / 300 > 0.9
            some = np.arange(1, 200, dtype=np.int64)
            few = store.search([probe(made.id, question)], 10, within=some)
            assert (few.mode, few.exact) == ("exact", True)
            assert set(few.ids.tolist()) <= set(some.tolist())
            quick = store.search([probe(made.id, question)], 10, within=some, mode="compressed")
            assert quick.ids.tolist() == few.ids.tolist()
            assert quick.mode == "compressed"


def test_compressed_lists_begin_with_shorter_ones(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        made, _ = filled(store, 2500, dim=64, regions=4)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(view, "CODES_UP_TO", 100)
            patch.setattr(find, "_REFINED", 40)  # so few that much is missed
            patch.setattr(find, "_FIRST", 10)
            patch.setattr(find, "_RUNG", 4)
            patch.setattr(asked, "_DOUBT", 0.0)
            missed = 0
            for question in QUESTIONS:
                lists = [
                    store.search([probe(made.id, question)], k).ids.tolist()
                    for k in (1, 3, 4, 5, 16, 17, 70, 300)
                ]
                for short, long in itertools.pairwise(lists):
                    assert long[: len(short)] == short
                exact = store.search([probe(made.id, question)], 300, mode="exact")
                missed += len(set(exact.ids.tolist()) - set(lists[-1]))
            assert missed > 0, "nothing was hard here"


@pytest.mark.parametrize("bits", [True, False])
def test_a_cache_file_written_over_while_it_is_mapped_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: bool
) -> None:
    monkeypatch.setattr(view, "_FILE_FROM", 1)
    if bits:
        monkeypatch.setattr(view, "CODES_UP_TO", -1)
    with SqliteStore.open(tmp_path, create=True) as store:
        made, _ = filled(store, 300, dim=64, regions=4)
        store.optimize()
        asked_with = [probe(made.id, unit(np.random.default_rng(3), 64))]
        before = store.search(asked_with, 20)
        (path,) = (tmp_path / "cache").glob("space-*.bin")
        with path.open("r+b") as file:
            file.write(np.random.default_rng(4).bytes(6000))
        assert store.search(asked_with, 20).ids.tolist() == before.ids.tolist()
    with SqliteStore.open(tmp_path) as store:
        assert store.search(asked_with, 20).ids.tolist() == before.ids.tolist()
