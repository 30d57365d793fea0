"""What the store keeps, what it refuses, and what happens to it when things go wrong."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from needlepoint.errors import (
    LibraryBusy,
    LibraryError,
    LibraryIncompatible,
    LibraryMissing,
    UsageError,
)
from needlepoint.picture import Facts
from needlepoint.store.base import FileRecord, Space, VectorRow
from needlepoint.store.schema import DATABASE, SCHEMA_VERSION
from needlepoint.store.sqlite import SqliteStore
from store_kit import entry, filled, probe, space, unit, vectors

FACTS = Facts(
    4000,
    3000,
    "JPEG",
    "2021-07-04T18:30:00",
    "Pixel 6",
    "Pixel 6 back camera 6.81mm f/1.85",
    52.52,
    13.405,
    ("beach", "čekání"),
    4,
)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    with SqliteStore.open(tmp_path / "library", create=True) as opened:
        yield opened


def test_what_was_written_is_read_back(store: SqliteStore) -> None:
    rng = np.random.default_rng(0)
    made = store.ensure_space(space("i8"))
    root = store.add_root("/pictures")
    row = vectors(rng, made.id, 32, 3)
    (number,) = store.upsert([entry(root, "a/b/c.jpg", (row,), facts=FACTS)])
    file, facts = store.facts([number, 999])[number]
    assert facts == FACTS
    assert (file.path, file.root, file.size) == ("a/b/c.jpg", root, 1000)
    assert store.files(root) == {"a/b/c.jpg": (number, 1000, file.mtime_ns, file.digest)}
    assert list(store.scan()) == [(number, file, facts)]
    kept = store.fetch_vectors([number], made.id)[number]
    np.testing.assert_array_equal(kept.boxes, row.boxes)
    np.testing.assert_allclose(kept.regions, row.regions, atol=0.01)
    np.testing.assert_allclose(kept.whole, row.whole, atol=0.001)
    assert store.states([number]) == {number: "present"}


def test_derived_columns_can_be_filtered(store: SqliteStore) -> None:
    root = store.add_root("/pictures")
    first, second = store.upsert(
        [entry(root, "a/b/c.jpg", facts=FACTS), entry(root, "d.png", facts=Facts(9, 9, "PNG"))]
    )
    for where, values in [
        ("year = ? AND month = 7 AND day = 4", [2021]),
        ("date = '2021-07-04'", []),
        ("folder = 'a/b' AND name = 'c.jpg' AND path = 'a/b/c.jpg'", []),
        ("camera LIKE ?", ["%pixel%"]),
        ("orientation = 'landscape'", []),
        ("EXISTS (SELECT 1 FROM json_each(keywords) WHERE value = ?)", ["čekání"]),
        ("np_haversine(lat, lon, 52.5, 13.4) < 5", []),
    ]:
        assert store.query_facts(where, values).tolist() == [first], where
    assert store.query_facts("year IS NULL AND orientation = 'square'", []).tolist() == [second]
    assert store.query_facts("1", []).tolist() == [first, second]


def test_berlin_is_as_far_from_paris_as_it_is(store: SqliteStore) -> None:
    with store._reading() as db:
        (km,) = db.execute("SELECT np_haversine(52.52, 13.405, 48.8566, 2.3522)").fetchone()
        (unknown,) = db.execute("SELECT np_haversine(NULL, 13.4, 48.9, 2.4)").fetchone()
    assert km == pytest.approx(877.5, abs=1)
    assert unknown is None


def test_names_that_are_not_utf8_are_kept_to_the_byte(store: SqliteStore) -> None:
    raw = b"caf\xe9/\xff.jpg"
    root = store.add_root("/pictures")
    (number,) = store.upsert([entry(root, os.fsdecode(raw))])
    assert os.fsencode(store.facts([number])[number][0].path) == raw
    assert [os.fsencode(path) for path in store.files(root)] == [raw]
    assert store.query_facts("name LIKE '%.jpg'", []).tolist() == [number]
    store.skip(root, os.fsdecode(raw), 1, 2, "unreadable")
    assert [os.fsencode(row["path"]) for row in store.skipped()] == [raw]


def test_large_pictures_keep_their_boxes_to_the_pixel(store: SqliteStore) -> None:
    made, root = store.ensure_space(space()), store.add_root("/pictures")
    rng = np.random.default_rng(0)
    boxes = np.float32([[65000, 0, 535, 60000], [0.4, 0.6, 10.2, 3.3]])
    beyond = np.float32([[90_000, 10, 500, 500], [1, 2, 3, 4]])
    rows = [VectorRow(made.id, unit(rng, 32), unit(rng, 2, 32), some) for some in (boxes, beyond)]
    ids = store.upsert([entry(root, f"{i}.tif", (row,)) for i, row in enumerate(rows)])
    kept = store.fetch_vectors(ids, made.id)
    np.testing.assert_allclose(kept[ids[0]].boxes, boxes, atol=1)
    np.testing.assert_array_equal(kept[ids[1]].boxes, beyond)


def test_the_same_path_keeps_its_id_and_deleted_ids_never_return(store: SqliteStore) -> None:
    root = store.add_root("/pictures")
    (first,) = store.upsert([entry(root, "a.jpg")])
    assert store.upsert([entry(root, "a.jpg", digest=b"other")]) == [first]
    assert store.delete([first]) == 1
    assert store.delete([first]) == 0
    (again,) = store.upsert([entry(root, "a.jpg")])
    assert again > first
    assert store.facts([first]) == {}


def test_changed_content_drops_what_other_spaces_knew_and_equal_content_does_not(
    store: SqliteStore,
) -> None:
    rng = np.random.default_rng(0)
    root = store.add_root("/pictures")
    one, two = store.ensure_space(space()), store.ensure_space(space(name="words"))
    (number,) = store.upsert([entry(root, "a.jpg", (vectors(rng, one.id, 32, 2),))])
    store.put_blob(number, "map", b"old")
    store.upsert([entry(root, "a.jpg", (vectors(rng, two.id, 32, 2),))])
    assert number in store.fetch_vectors([number], one.id)
    assert store.get_blob(number, "map") == b"old"
    store.upsert([entry(root, "a.jpg", (vectors(rng, two.id, 32, 2),), digest=b"new")])
    assert store.fetch_vectors([number], one.id) == {}
    assert number in store.fetch_vectors([number], two.id)
    assert store.get_blob(number, "map") is None


def test_copies_find_the_vectors_of_their_original(store: SqliteStore) -> None:
    rng = np.random.default_rng(0)
    made, root = store.ensure_space(space()), store.add_root("/pictures")
    store.upsert([entry(root, "a.jpg", (vectors(rng, made.id, 32, 2),), digest=b"same")])
    row = store.vectors_by_digest(b"same", made.id)
    one, two = store.upsert(
        [entry(root, "b.jpg", (row,), digest=b"same"), entry(root, "c.jpg", (row,), digest=b"same")]
    )
    assert one != two
    kept = store.fetch_vectors([one, two], made.id)
    assert kept[one].regions.tobytes() == row.regions.tobytes() == kept[two].regions.tobytes()
    assert store.vectors_by_digest(b"none", made.id) is None
    assert store.vectors_by_digest(b"", made.id) is None


def test_moving_keeps_vectors_and_two_files_may_change_places(store: SqliteStore) -> None:
    rng = np.random.default_rng(0)
    made, root = store.ensure_space(space()), store.add_root("/pictures")
    rows = [vectors(rng, made.id, 32, 1) for _ in range(2)]
    a, b = store.upsert([entry(root, "a", (rows[0],)), entry(root, "b", (rows[1],))])
    store.move(a, FileRecord(root, "b", 1, 2, b"a"))
    assert store.states([b]) == {b: "gone"}
    store.move(b, FileRecord(root, "a", 1, 2, b"b"))
    assert {path: row[0] for path, row in store.files(root).items()} == {"b": a, "a": b}
    assert store.states([a, b]) == {a: "present", b: "present"}
    for number, row in ((a, rows[0]), (b, rows[1])):
        assert store.search([probe(made.id, row.whole)], 1).ids.tolist() == [number]
    with pytest.raises(UsageError, match="999"):
        store.move(999, FileRecord(root, "x", 1, 2))


def test_gone_is_not_found_offline_is(store: SqliteStore) -> None:
    made, ids = filled(store, 6)
    question = probe(made.id, unit(np.random.default_rng(1), 32))
    assert store.mark_missing(ids[:2]) == 2
    assert store.mark_missing(ids[:2]) == 0
    assert sorted(store.search([question], 9).ids.tolist()) == ids[2:]
    assert store.query_facts("1", []).tolist() == ids[2:]
    assert len(store.files(1)) == 6
    store.set_root_online(1, False)
    assert store.states(ids) == {n: "gone" if n in ids[:2] else "offline" for n in ids}
    assert sorted(store.search([question], 9).ids.tolist()) == ids[2:]
    assert store.stats()["offline"] == 4
    assert store.mark_present(ids) == 2
    assert sorted(store.search([question], 9).ids.tolist()) == ids


def test_purging_removes_the_gone_and_nothing_else(store: SqliteStore) -> None:
    made, ids = filled(store, 6)
    store.put_blob(ids[0], "map", b"x")
    store.mark_missing(ids[:2])
    told = store.gc(dry_run=True)
    assert (told["pictures"], told["vectors"], told["blobs"]) == (2, 2, 1)
    assert store.stats()["gone"] == 2
    assert store.gc(vacuum=True)["pictures"] == 2
    assert store.gc() == {"pictures": 0, "vectors": 0, "blobs": 0, "bytes": 0}
    assert store.stats()["spaces"][0]["pictures"] == 4
    question = probe(made.id, unit(np.random.default_rng(1), 32))
    assert sorted(store.search([question], 9).ids.tolist()) == ids[2:]


def test_a_space_made_with_other_parts_is_refused_by_name(store: SqliteStore) -> None:
    made = store.ensure_space(space())
    assert store.ensure_space(space()) == made
    assert store.ensure_space(space(recipe="none")).id != made.id
    other = Space("look", "test", "0" * 16, 32, "b4", "dense:3", {})
    with pytest.raises(LibraryIncompatible, match="fingerprint"):
        store.ensure_space(other)
    with pytest.raises(LibraryIncompatible, match="dim 32, offered 64"):
        store.ensure_space(space(dim=64))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda row: VectorRow(1, row.whole[:5], row.regions, row.boxes), "shape"),
        (lambda row: VectorRow(1, row.whole * 2, row.regions, row.boxes), "unit length"),
        (lambda row: VectorRow(1, row.whole * np.nan, row.regions, row.boxes), "unit length"),
        (lambda row: VectorRow(1, row.whole, row.regions, row.boxes[:1]), "boxes"),
        (lambda row: VectorRow(1, row.whole, row.regions, row.boxes * np.inf), "finite"),
        (lambda row: VectorRow(7, row.whole, row.regions, row.boxes), "space"),
    ],
)
def test_vectors_that_do_not_fit_spoil_no_batch(store: SqliteStore, change, word: str) -> None:
    made, root = store.ensure_space(space()), store.add_root("/pictures")
    row = vectors(np.random.default_rng(0), made.id, 32, 2)
    with pytest.raises(UsageError, match=word):
        store.upsert([entry(root, "good.jpg", (row,)), entry(root, "bad.jpg", (change(row),))])
    assert store.files(root) == {}


def test_questions_that_cannot_be_asked_are_refused(store: SqliteStore) -> None:
    made, _ = filled(store, 3)
    good = unit(np.random.default_rng(0), 32)
    for probes, more, word in [
        ([], {}, "at least one"),
        ([probe(made.id, good[:3])], {}, "shape"),
        ([probe(made.id, good * 3)], {}, "unit length"),
        ([probe(made.id, good * np.nan)], {}, "unit length"),
        ([probe(9, good)], {}, "space"),
        ([probe(made.id, good)], {"mode": "quick"}, "mode"),
        ([probe(made.id, good, weight=0.0)], {}, "weights"),
    ]:
        with pytest.raises(UsageError, match=word):
            store.search(probes, 3, **more)
    with pytest.raises(UsageError, match="k must be"):
        store.search([probe(made.id, good)], 0)


def test_an_empty_library_finds_nothing(store: SqliteStore) -> None:
    made = store.ensure_space(space())
    for mode in ("auto", "exact", "compressed"):
        hits = store.search([probe(made.id, unit(np.random.default_rng(0), 32))], 5, mode=mode)
        assert len(hits.ids) == len(hits.score) == len(hits.boxes) == 0
    assert (
        store.search(
            [probe(made.id, unit(np.random.default_rng(0), 32))], 5, within=np.empty(0, np.int64)
        ).ids.tolist()
        == []
    )


def test_equal_pictures_come_by_id(store: SqliteStore) -> None:
    made, root = store.ensure_space(space()), store.add_root("/pictures")
    row = vectors(np.random.default_rng(0), made.id, 32, 3)
    ids = store.upsert([entry(root, f"{i}.jpg", (row,), digest=b"x") for i in range(300)])
    hits = store.search([probe(made.id, row.regions[2])], 7)
    assert hits.ids.tolist() == ids[:7]
    assert len(set(hits.score.tolist())) == 1
    np.testing.assert_array_equal(hits.boxes, np.tile(row.boxes[2], (7, 1)))


def test_jobs_and_settings(store: SqliteStore) -> None:
    assert store.unfinished_job("index") is None
    first = store.begin_job("index", 84_725, {"model": "builtin"})
    told = store.unfinished_job("index")
    assert (told["id"], told["total"], told["detail"]) == (first, 84_725, {"model": "builtin"})
    assert store.unfinished_job("export") is None
    store.finish_job(first)
    assert store.unfinished_job("index") is None
    store.set_meta("seq", "mine")
    assert store.get_meta("seq") == "mine"
    assert store.get_meta("none") is None


def test_skipped_files_are_listed_until_they_can_be_read(store: SqliteStore) -> None:
    root = store.add_root("/pictures")
    for path in ("b.jpg", "a.jpg", "c.jpg"):
        store.skip(root, path, 10, 20, "truncated")
    store.skip(root, "b.jpg", 11, 21, "zero bytes")
    told = [(row["path"], row["size"], row["reason"]) for row in store.skipped()]
    assert told == [
        ("a.jpg", 10, "truncated"),
        ("b.jpg", 11, "zero bytes"),
        ("c.jpg", 10, "truncated"),
    ]
    store.upsert([entry(root, "b.jpg")])
    store.forget_skipped(root, ["c.jpg"])
    assert [row["path"] for row in store.skipped()] == ["a.jpg"]
    assert store.stats()["skipped"] == 1


# -- when things go wrong


def test_no_library_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissing, match="index"):
        SqliteStore.open(tmp_path / "none")
    (tmp_path / DATABASE).write_bytes(b"this is no database at all" * 300)
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(LibraryError, match="damaged"):
        SqliteStore.open(tmp_path)
    with pytest.raises(LibraryError, match="damaged"):
        SqliteStore.open(tmp_path, create=True)
    assert (tmp_path / DATABASE).read_bytes() == before


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / DATABASE)
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.close()
    with pytest.raises(LibraryError, match="not a needlepoint library"):
        SqliteStore.open(tmp_path, create=True)


def test_a_newer_schema_asks_for_an_upgrade(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path, create=True).close()
    raw = sqlite3.connect(tmp_path / DATABASE)
    raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 6}")
    raw.close()
    with pytest.raises(LibraryIncompatible, match=rf"schema {SCHEMA_VERSION + 6}.*upgrade"):
        SqliteStore.open(tmp_path)


def test_damaged_pages_are_an_error_and_the_file_stays(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        made, _ = filled(store, 400, dim=64, regions=8)
    path = tmp_path / DATABASE
    data = bytearray(path.read_bytes())
    for place in range(64 * 1024, len(data), 2048):
        data[place : place + 300] = bytes(300)
    path.write_bytes(data)
    with SqliteStore.open(tmp_path) as store:
        assert store.check() != []
        with pytest.raises(LibraryError, match="damaged"):
            store.search([probe(made.id, unit(np.random.default_rng(0), 64))], 5)
    assert path.read_bytes() == bytes(data)


def test_a_full_disk_loses_only_the_batch_in_hand(store: SqliteStore) -> None:
    made, ids = filled(store, 20)
    with store._reading() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + 20}")
    rng = np.random.default_rng(0)

    def batch(number: int) -> list[int]:
        rows = [(vectors(rng, made.id, 32, 3),) for _ in range(10)]
        return store.upsert([entry(1, f"{number}-{i}.jpg", row) for i, row in enumerate(rows)])

    acknowledged = list(ids)
    with pytest.raises(LibraryError, match=r"no room left.*kept"):  # noqa: PT012
        for turn in range(1000):
            acknowledged += batch(turn)
    assert len(acknowledged) > 20
    assert sorted(row[0] for row in store.files(1).values()) == acknowledged
    assert store.check() == []
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert len(store.upsert([entry(1, "after.jpg")])) == 1


READ_ONLY = """
import os, sys
from needlepoint.errors import LibraryError
from needlepoint.store.base import Probe
from needlepoint.store.sqlite import SqliteStore
import numpy as np
if os.getuid() == 0:
    os.setuid(65534)
with SqliteStore.open(sys.argv[1]) as store:
    print(store.writable, len(store.search([Probe(1, np.eye(32, dtype=np.float32)[0])], 5).ids))
    try:
        store.add_root("/more")
    except LibraryError as error:
        print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="folders have no read-only mode there")
def test_a_read_only_folder_can_be_searched_and_says_why_it_cannot_be_written(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "library"
    with SqliteStore.open(folder, create=True) as store:
        filled(store, 1000)
    for parent in folder.parents:  # another user must be able to get there
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o011)
    (folder / "writer.lock").unlink()
    folder.chmod(0o555)
    (folder / DATABASE).chmod(0o444)
    before = sorted(os.listdir(folder))
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(folder)], capture_output=True, text=True
    )
    folder.chmod(0o755)
    assert done.stdout.splitlines()[:1] == ["False 5"], done.stderr
    assert "read-only" in done.stdout
    assert sorted(os.listdir(folder)) == before


def test_reading_was_asked_for_and_writing_is_refused(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        filled(store, 5)
    with SqliteStore.open(tmp_path, read_only=True) as store:
        assert len(store.query_facts("1", [])) == 5
        with pytest.raises(LibraryError, match="reading only"):
            store.delete([1])


def test_two_writers_in_one_process_are_two_as_well(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as one, SqliteStore.open(tmp_path) as two:
        with one.writing():
            one.add_root("/a")
            with pytest.raises(LibraryBusy, match=str(os.getpid())):
                two.add_root("/b")
        two.add_root("/b")
        assert len(one.roots()) == 2


def test_a_snapshot_is_the_library_of_one_moment(store: SqliteStore, tmp_path: Path) -> None:
    made, _ = filled(store, 50)
    question = [probe(made.id, unit(np.random.default_rng(1), 32))]
    before = store.search(question, 10)
    dest = store.snapshot(tmp_path / "copy")
    store.delete(before.ids.tolist())
    with SqliteStore.open(dest) as copy:
        after = copy.search(question, 10)
        assert copy.check() == []
    assert before.ids.tolist() == after.ids.tolist()
    assert before.score.tobytes() == after.score.tobytes()
    with pytest.raises(LibraryError, match="already"):
        store.snapshot(dest)
    assert [path.name for path in dest.iterdir() if path.suffix == ".part"] == []
