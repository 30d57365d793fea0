"""Promises of the store that a user would notice if they were broken."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from needlepoint.search.fusion import WHOLE
from needlepoint.store.base import Entry
from needlepoint.store.sqlite import SqliteStore
from store_kit import entry, filled, probe, space, unit, vectors


def searchable(folder: Path, entries: list[Entry], batch: int) -> dict[str, tuple[bytes, bytes]]:
    """Vectors and scores by path, after writing in batches of some size."""
    with SqliteStore.open(folder, create=True) as store:
        made = store.ensure_space(space(dim=48))
        store.add_root("/pictures")
        for start in range(0, len(entries), batch):
            store.upsert(entries[start : start + batch])
            if batch == 7:
                store.search([probe(made.id, unit(np.random.default_rng(0), 48))], 3)
        names = {row[0]: path for path, row in store.files(1).items()}
        kept = store.fetch_vectors(list(names), made.id)
        hits = store.search([probe(made.id, unit(np.random.default_rng(1), 48))], 1000)
        scores = dict(zip(hits.ids.tolist(), hits.score, strict=True))
        return {
            path: (kept[number].regions.tobytes(), scores[number].tobytes())
            for number, path in names.items()
        }


def test_nothing_depends_on_batch_or_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    entries = [entry(1, f"{i}.jpg", (vectors(rng, 1, 48, i % 5),)) for i in range(60)]
    once = searchable(tmp_path / "a", entries, 60)
    assert searchable(tmp_path / "b", entries, 7) == once
    assert searchable(tmp_path / "c", entries[::-1], 1) == once


def test_threads_take_turns_and_get_the_same_answers(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        made, _ = filled(store, 300)
        questions = unit(np.random.default_rng(2), 40, 32)
        expected = [store.search([probe(made.id, q)], 5).ids.tolist() for q in questions]
        got: list[list[int]] = [[] for _ in questions]
        writing = threading.Event()

        def ask(start: int) -> None:
            for i in range(start, len(questions), 4):
                got[i] = store.search([probe(made.id, questions[i])], 5).ids.tolist()

        def write() -> None:
            while not writing.is_set():
                store.set_meta("note", "x")

        threads = [threading.Thread(target=ask, args=(start,)) for start in range(4)]
        writer = threading.Thread(target=write)
        for thread in (writer, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        writing.set()
        writer.join()
        assert got == expected


def test_a_picture_without_vectors_in_one_space_is_left_out_not_taken_as_zero(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(4)
    with SqliteStore.open(tmp_path, create=True) as store:
        look, words = store.ensure_space(space()), store.ensure_space(space(name="words"))
        root = store.add_root("/pictures")
        both = (vectors(rng, look.id, 32, 2), vectors(rng, words.id, 32, 2))
        first, second = store.upsert([entry(root, "a", both), entry(root, "b", both[:1])])
        asked = [probe(look.id, unit(rng, 32)), probe(words.id, -both[1].whole, weight=2.0)]
        assert store.search(asked, 5).ids.tolist() == [first]
        assert sorted(store.search(asked[:1], 5).ids.tolist()) == [first, second]


def test_the_heaviest_question_says_where(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    with SqliteStore.open(tmp_path, create=True) as store:
        made, root = store.ensure_space(space()), store.add_root("/pictures")
        row = vectors(rng, made.id, 32, 4)
        store.upsert([entry(root, "a", (row,))])
        for heavy in (0, 1):
            weights = [3.0 if i == heavy else 1.0 for i in range(2)]
            asked = [probe(made.id, row.regions[i + 1], weight=weights[i]) for i in range(2)]
            box = store.search(asked, 1).boxes[0]
            np.testing.assert_array_equal(box, row.boxes[heavy + 1])
        away = [probe(made.id, row.regions[0], weight=-9.0), probe(made.id, row.regions[3])]
        np.testing.assert_array_equal(store.search(away, 1).boxes[0], row.boxes[3])
        whole = store.search([probe(made.id, row.regions[2], fusion=WHOLE)], 1)
        assert np.isnan(whole.boxes).all()


def test_no_file_of_the_user_is_touched(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.jpg").write_bytes(b"mine")
    before = (pictures / "a.jpg").stat()
    with SqliteStore.open(tmp_path / "library", create=True) as store:
        root = store.add_root(pictures)
        ids = store.upsert([entry(root, "a.jpg")])
        store.mark_missing(ids)
        store.gc(vacuum=True)
        store.delete(ids)
    after = (pictures / "a.jpg").stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    assert [path.name for path in pictures.iterdir()] == ["a.jpg"]
