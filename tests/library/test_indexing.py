"""Indexing: only what changed is read, nothing acknowledged is lost, no file is touched."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from library_kit import flat, save, tree

from needlepoint.errors import LibraryBusy, LibraryIncompatible, UsageError
from needlepoint.library import indexing

MODEL = "onnx:/fake"


def counts(report) -> tuple[int, ...]:
    names = ("added", "updated", "moved", "unchanged", "missing", "copied")
    return tuple(getattr(report, name) for name in names)


def ids(library) -> dict[str, int]:
    """File name of each picture that can be found, and its id."""
    found = library.search("anything", k=1000, model=MODEL)
    return {os.path.basename(hit.path): hit.id for hit in found}


def vectors(library, space=1):
    store = library._store
    return store.fetch_vectors(store.described(space).tolist(), space)


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        flat(tmp_path / "p" / f"{number}.png", number)
    flat(tmp_path / "p" / "sub" / "6.png", 6)
    return tmp_path / "p"


@pytest.fixture
def library(open_library, fake, folder):
    library = open_library()
    report = library.index(folder, model=MODEL)
    assert counts(report) == (7, 0, 0, 0, 0, 0)
    return library


def test_what_has_not_changed_is_not_read(library, folder, fake, decodes):
    assert fake.seen == 7
    assert counts(library.index(folder)) == (0, 0, 0, 7, 0, 0)
    assert (fake.seen, decodes) == (7, [])


def test_only_the_new_one_is_read(library, folder, decodes):
    new = flat(folder / "new.png", 99)
    assert counts(library.index(folder)) == (1, 0, 0, 7, 0, 0)
    assert decodes == [str(new)]


def test_a_changed_file_is_read_again_and_keeps_its_id(library, folder, decodes):
    before, old = ids(library), vectors(library)
    changed = flat(folder / "3.png", 333, (60, 44))
    assert counts(library.index(folder)) == (0, 1, 0, 6, 0, 0)
    assert decodes == [str(changed)]
    assert ids(library) == before
    number = before["3.png"]
    assert np.abs(vectors(library)[number].whole - old[number].whole).max() > 0.1
    assert (library.picture(number)["width"], library.picture(number)["height"]) == (60, 44)


def test_a_touched_file_is_not_read_as_a_picture(library, folder, decodes):
    os.utime(folder / "3.png", ns=(1, 1))
    assert counts(library.index(folder)) == (0, 0, 0, 7, 0, 0)
    assert decodes == []


def test_moved_and_renamed_files_keep_id_and_vectors_without_decoding(library, folder, decodes):
    before, old = ids(library), vectors(library)
    (folder / "elsewhere").mkdir()
    (folder / "0.png").rename(folder / "elsewhere" / "zero.png")
    (folder / "sub").rename(folder / "other")
    assert counts(library.index(folder)) == (0, 0, 2, 5, 0, 0)
    assert decodes == []
    after = ids(library)
    assert after["zero.png"] == before["0.png"]
    assert after["6.png"] == before["6.png"]
    assert library.picture(after["6.png"])["path"] == str(folder / "other" / "6.png")
    new = vectors(library)
    assert set(new) == set(old)
    for number, row in old.items():
        np.testing.assert_array_equal(row.whole, new[number].whole)


def test_files_that_change_places_keep_their_ids(library, folder, decodes):
    flat(folder / "1.png", 1, (44, 33))  # another size, so that nobody can mistake them
    library.index(folder)
    before = ids(library)
    decodes.clear()
    (folder / "1.png").rename(folder / "t")
    (folder / "2.png").rename(folder / "1.png")
    (folder / "t").rename(folder / "2.png")
    for name in ("1.png", "2.png"):
        os.utime(folder / name)
    assert counts(library.index(folder))[2] == 2
    after = ids(library)
    assert (after["1.png"], after["2.png"]) == (before["2.png"], before["1.png"])
    assert decodes == []


def test_a_deletion_is_noticed_once_and_forgiven_when_the_file_comes_back(
    library, folder, tmp_path, decodes
):
    before = ids(library)
    shutil.move(folder / "2.png", tmp_path / "kept.png")
    assert counts(library.index(folder)) == (0, 0, 0, 6, 1, 0)
    assert "2.png" not in ids(library)
    assert library.picture(before["2.png"])["state"] == "gone"
    assert counts(library.index(folder)) == (0, 0, 0, 6, 0, 0)
    shutil.move(tmp_path / "kept.png", folder / "2.png")
    library.index(folder)
    assert ids(library) == before
    assert decodes == []


def test_a_copy_gets_the_vectors_without_encoding(library, folder, fake):
    shutil.copyfile(folder / "4.png", folder / "copy.png")
    assert counts(library.index(folder)) == (1, 0, 0, 7, 0, 1)
    assert fake.seen == 7
    known, rows = ids(library), vectors(library)
    assert known["copy.png"] != known["4.png"]
    np.testing.assert_array_equal(rows[known["copy.png"]].whole, rows[known["4.png"]].whole)


def test_a_copy_whose_original_changes_in_the_same_run_still_gets_its_own(
    library, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(indexing, "BATCH", 1)
    other = tmp_path / "q"
    other.mkdir()
    shutil.copyfile(folder / "4.png", other / "copy.png")
    old = vectors(library)[ids(library)["4.png"]]
    flat(folder / "4.png", 444, (50, 50))
    library.index([folder, other])
    rows = vectors(library)
    np.testing.assert_array_equal(rows[ids(library)["copy.png"]].whole, old.whole)
    assert set(rows) == set(ids(library).values())


# -- roots


def test_an_unplugged_root_is_kept_and_welcomed_back(library, folder, tmp_path, decodes):
    before = ids(library)
    folder.rename(tmp_path / "unplugged")
    warned = []
    report = library.index(folder, warn=warned.append)
    assert report.offline_roots == [str(folder)]
    assert report.missing == 0
    assert len(warned) == 1
    assert "7 pictures are kept" in warned[0]
    assert ids(library) == before
    assert library.info()["roots"] == [{"path": str(folder), "online": False}]
    folder.mkdir()  # an empty mount point is not a deletion
    assert library.index(folder).offline_roots == [str(folder)]
    assert ids(library) == before
    folder.rmdir()
    (tmp_path / "unplugged").rename(folder)
    assert counts(library.index(folder)) == (0, 0, 0, 7, 0, 0)
    assert library.info()["roots"][0]["online"]
    assert decodes == []


def test_a_root_emptied_by_hand_is_a_deletion(library, folder):
    for file in folder.rglob("*.png"):
        file.unlink()
    assert library.index(folder).missing == 7
    assert ids(library) == {}


def test_a_part_of_a_known_root_is_only_a_part(library, folder, decodes):
    flat(folder / "sub" / "7.png", 7)
    flat(folder / "8.png", 8)
    (folder / "1.png").unlink()
    assert counts(library.index(folder / "sub")) == (1, 0, 0, 1, 0, 0)
    assert [os.path.basename(path) for path in decodes] == ["7.png"]
    assert len(library.info()["roots"]) == 1
    assert "1.png" in ids(library)
    assert counts(library.index(folder)) == (1, 0, 0, 7, 1, 0)


def test_one_file_may_be_the_source(open_library, fake, folder):
    library = open_library()
    assert counts(library.index(folder / "2.png", model=MODEL)) == (1, 0, 0, 0, 0, 0)
    assert set(ids(library)) == {"2.png"}
    assert counts(library.index(folder / "3.png"))[:1] == (1,)
    assert set(ids(library)) == {"2.png", "3.png"}
    assert counts(library.index(folder)) == (5, 0, 0, 2, 0, 0)
    assert len(library.info()["roots"]) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_folder_and_its_part_given_together_are_one(open_library, fake, folder, order):
    library = open_library()
    report = library.index([folder, folder / "sub", folder / "sub" / "6.png"][::order], model=MODEL)
    assert counts(report) == (7, 0, 0, 0, 0, 0)
    assert fake.seen == 7
    assert len(library.info()["roots"]) == 1
    flat(folder / "sub" / "x.png", 77)
    assert counts(library.index([folder, folder / "sub"])) == (1, 0, 0, 7, 0, 0)


def test_a_root_inside_another_owns_its_files(open_library, fake, folder):
    library = open_library()
    assert counts(library.index(folder / "sub", model=MODEL))[0] == 1
    assert counts(library.index(folder)) == (6, 0, 0, 1, 0, 0)
    assert len(ids(library)) == 7
    assert len(library.info()["roots"]) == 2
    flat(folder / "sub" / "x.png", 77)
    assert counts(library.index(folder / "sub")) == (1, 0, 0, 1, 0, 0)
    flat(folder / "sub" / "deep" / "y.png", 78)
    assert counts(library.index(folder / "sub" / "deep")) == (1, 0, 0, 0, 0, 0)
    assert counts(library.index(folder)) == (0, 0, 0, 9, 0, 0)


def test_a_source_that_does_not_exist_is_named(library, tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        library.index(tmp_path / "nowhere")


# -- broken pictures


def test_a_broken_picture_costs_one_warning_and_is_remembered(library, folder, decodes):
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    (folder / "empty.png").write_bytes(b"")
    warned = []
    report = library.index(folder, warn=warned.append)
    assert counts(report) == (0, 0, 0, 7, 0, 0)
    assert [os.path.basename(path) for path, _ in report.skipped] == ["bad.jpg", "empty.png"]
    assert len(warned) == 2
    listed = library.skipped()
    assert [(e["path"], e["reason"]) for e in listed] == report.skipped
    assert all(reason for _, reason in report.skipped)
    decodes.clear()
    warned.clear()
    again = library.index(folder, warn=warned.append)
    assert again.skipped == report.skipped
    assert (warned, decodes) == ([], [])
    flat(folder / "bad.jpg", 5)
    fixed = library.index(folder)
    assert fixed.added == 1
    assert [os.path.basename(e["path"]) for e in library.skipped()] == ["empty.png"]
    (folder / "empty.png").unlink()
    assert library.index(folder).skipped == []
    assert library.skipped() == []


def test_a_good_picture_that_breaks_is_not_found_until_it_is_whole_again(library, folder):
    before = ids(library)
    (folder / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    for _ in range(3):
        assert len(library.index(folder).skipped) == 1
        assert "5.png" not in ids(library)
    flat(folder / "5.png", 555)
    library.index(folder)
    assert ids(library) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_told_and_forgotten_when_it_is_gone(library, folder):
    os.mkfifo(folder / "pipe.jpg")
    assert [os.path.basename(p) for p, _ in library.index(folder).skipped] == ["pipe.jpg"]
    assert len(library.skipped()) == 1
    library.index(folder / "sub")  # says nothing of what lies elsewhere
    assert len(library.skipped()) == 1
    (folder / "pipe.jpg").unlink()
    flat(folder / "pipe.jpg", 1000)
    assert library.index(folder).added == 1
    assert library.skipped() == []


def test_a_folder_that_could_not_be_read_is_forgotten_when_it_can(library, folder, monkeypatch):
    true = os.scandir

    def refused(path="."):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return true(path)

    monkeypatch.setattr(os, "scandir", refused)
    report = library.index(folder)
    assert [os.path.basename(path) for path, _ in report.skipped] == ["sub"]
    assert report.missing == 0  # nobody knows what has become of its pictures
    assert "6.png" in ids(library)
    monkeypatch.setattr(os, "scandir", true)
    library.index(folder)
    assert library.skipped() == []
    assert "6.png" in ids(library)


# -- dry runs, resuming, policies


def test_a_dry_run_writes_nothing(library, folder, tmp_path, fake, decodes):
    flat(folder / "new.png", 99)
    (folder / "1.png").unlink()
    (folder / "0.png").rename(folder / "zero.png")
    (folder / "bad.jpg").write_bytes(b"no")
    before = tree(tmp_path / "library"), ids(library), library.info()
    report = library.index(folder, dry_run=True)
    assert counts(report)[2:5] == (1, 5, 1)
    assert report.planned == 2  # the new one, and the one that will turn out to be broken
    assert report.dry_run
    assert (tree(tmp_path / "library"), ids(library), library.info()) == before
    assert decodes == []


def test_a_dry_run_of_a_new_library_counts_all_and_of_a_full_one_none(
    open_library, library, folder, fake
):
    assert open_library("other").index(folder, model=MODEL, dry_run=True).planned == 7
    assert library.index(folder, dry_run=True).planned == 0


def test_a_run_that_breaks_off_is_resumed_where_it_stood(
    open_library, fake, folder, monkeypatch, decodes
):
    monkeypatch.setattr(indexing, "BATCH", 2)
    library = open_library()
    told = []

    def stop_after_four(step) -> None:
        told.append(step)
        if step.done >= 4:
            raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError, match="pulled the plug"):
        library.index(folder, model=MODEL, progress=stop_after_four, workers=1)
    kept = set(ids(library))
    assert len(kept) >= 4
    assert library.info()["unfinished"]["total"] == 7
    decodes.clear()
    steps = []
    report = library.index(folder, model=MODEL, progress=steps.append)
    assert report.resumed_from == len(kept)
    assert report.added == 7 - len(kept)
    assert len(decodes) == 7 - len(kept)
    assert {step.resumed for step in steps if step.stage == "indexing"} == {len(kept)}
    assert steps[-1].done == steps[-1].total == 7
    assert library.info()["unfinished"] is None
    assert library.index(folder).resumed_from == 0


def test_progress_tells_only_of_what_is_written(open_library, fake, folder, monkeypatch):
    monkeypatch.setattr(indexing, "BATCH", 2)
    library = open_library()

    def check(step) -> None:
        if step.stage == "indexing" and step.done:
            assert len(ids(library)) >= step.done

    library.index(folder, model=MODEL, progress=check)


def test_the_policy_is_recorded_and_another_is_refused(open_library, fake, folder):
    library = open_library()
    library.index(folder, model=MODEL, regions="windows:4")
    assert library.models()[0]["recipe"] == "windows:4"
    assert counts(library.index(folder, regions="windows:4")) == (0, 0, 0, 7, 0, 0)
    with pytest.raises(LibraryIncompatible, match=r"windows:9.*windows:4.*--library") as told:
        library.index(folder, regions="windows:9")
    assert told.value.exit_code == 3
    flat(folder / "new.png", 99)
    assert library.index(folder).added == 1  # without the option: as before
    with pytest.raises(UsageError, match="no map of cells"):
        open_library("other").index(folder, model=MODEL, regions="dense")


def test_the_model_used_last_is_used_again(library, folder, fakes):
    library.index(folder, model="onnx:/second")
    assert {m["address"] for m in library.models()} == {MODEL, "onnx:/second"}
    flat(folder / "new.png", 99)
    library.index(folder)
    assert (fakes[MODEL].seen, fakes["onnx:/second"].seen) == (7, 8)
    assert library.index(folder, model=MODEL).updated == 1  # what this one has not seen
    assert fakes[MODEL].seen == 8


# -- order, neighbours, files


@pytest.mark.parametrize("workers", [1, 3])
def test_vectors_do_not_depend_on_order_batch_neighbours_or_workers(
    open_library, folder, library, fake, workers
):
    base = {library.picture(n)["path"]: row.whole for n, row in vectors(library).items()}
    other = open_library("other")
    for file in sorted(folder.rglob("*.png"), reverse=True)[:3]:
        other.index(file, model=MODEL, workers=workers)
    other.index(folder, workers=workers)
    rows = {other.picture(n)["path"]: row.whole for n, row in vectors(other).items()}
    assert set(rows) == set(base)
    for path, row in base.items():
        np.testing.assert_array_equal(row, rows[path])


def test_ids_follow_the_order_of_paths_however_many_work(open_library, folder, fake):
    found = []
    for workers in (1, 4):
        library = open_library(f"w{workers}")
        library.index(folder, model=MODEL, workers=workers)
        found.append(ids(library))
    assert found[0] == found[1]


def test_no_file_of_the_user_is_ever_written(open_library, tmp_path, fake):
    folder = tmp_path / "mine"
    save(folder / "a.jpg", "photo-cat")
    flat(folder / "b.png", 1)
    (folder / "bad.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("mine")
    before, times = tree(folder), os.stat(folder).st_mtime_ns
    library = open_library()
    library.index(folder, model=MODEL)
    library.search(folder / "a.jpg", model=MODEL)
    library.similar(1)
    library.index(folder)
    library.gc()
    library.snapshot(tmp_path / "copy")
    library.close()
    assert tree(folder) == before
    assert os.stat(folder).st_mtime_ns == times


def test_a_second_writer_is_refused(library, folder, open_library):
    other = open_library()
    with library._store.writing(), pytest.raises(LibraryBusy, match="process"):
        other.index(folder)
