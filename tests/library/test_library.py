"""The whole of a library: opening, telling about itself, cleaning, copying."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from library_kit import NAMES, flat, save, tree

from needlepoint import __version__
from needlepoint.errors import LibraryError, LibraryMissing, UsageError
from needlepoint.library import Library, default_library_path

MODEL = "onnx:/fake"


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        flat(tmp_path / "p" / f"{number}.png", number)
    return tmp_path / "p"


@pytest.fixture
def library(open_library, fake, folder):
    library = open_library()
    library.index(folder, model=MODEL)
    return library


def test_a_library_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(LibraryMissing) as told:
        Library.open(tmp_path / "none")
    assert "none" in str(told.value)
    assert not (tmp_path / "none").exists()
    with pytest.raises(LibraryError):
        Library.open(tmp_path / "none", read_only=True)


def test_the_place_of_the_library_may_be_named_outside(monkeypatch, tmp_path):
    monkeypatch.setenv("NEEDLEPOINT_LIBRARY", str(tmp_path / "named"))
    assert default_library_path() == tmp_path / "named"
    with Library.open(create=True) as library:
        assert library.path == tmp_path / "named"
    monkeypatch.delenv("NEEDLEPOINT_LIBRARY")
    assert default_library_path().parts[-2:] == ("needlepoint", "library")


def test_what_is_kept_is_there_for_the_next_one_who_opens_it(library, folder):
    before = [(h.id, h.score, h.path) for h in library.search("x")]
    library.close()
    with Library.open(library.path) as again:
        assert [(h.id, h.score, h.path) for h in again.search("x")] == before
    with Library.open(library.path, read_only=True) as again:
        assert [(h.id, h.score, h.path) for h in again.search("x")] == before


def test_info_counts_what_is_there(library, folder):
    (folder / "bad.jpg").write_bytes(b"no")
    (folder / "0.png").unlink()
    library.index(folder)
    told = library.info()
    assert told["version"] == __version__
    assert (told["pictures"], told["gone"], told["skipped"], told["offline"]) == (3, 1, 1, 0)
    assert told["roots"] == [{"path": str(folder), "online": True}]
    assert told["unfinished"] is None
    assert told["bytes"]["database"] > 0
    (model,) = told["models"]
    assert model["address"] == MODEL
    assert model["recipe"] == "none"
    assert model["used_for"] == ["words", "pictures"]
    assert model["spaces"] == [{"name": "joint", "dim": 48, "codec": "f16"}]
    json.dumps(told)


def test_the_manifest_tells_what_made_the_library(library, folder):
    manifest = json.loads((library.path / "manifest.json").read_text())
    assert manifest["version"] == __version__
    assert manifest["pictures"] == 4
    assert manifest["models"][0]["fingerprint"]
    assert manifest["written"].endswith("+00:00")
    assert not list(library.path.glob("*.part"))
    (library.path / "manifest.json").write_text("nonsense")  # never read back
    with Library.open(library.path) as again:
        assert len(again.search("x")) == 4


def test_one_picture_tells_its_facts(library, folder):
    told = library.picture(1)
    assert told["path"] == str(folder / "0.png")
    assert (told["width"], told["height"], told["state"]) == (40, 30, "present")
    assert told["format"].lower() == "png"
    with pytest.raises(UsageError, match="@77"):
        library.picture(77)


def test_gc_removes_what_is_gone_and_nothing_else(library, folder):
    (folder / "0.png").unlink()
    library.index(folder)
    files = tree(folder)
    assert library.gc(dry_run=True)["pictures"] == 1
    assert library.info()["gone"] == 1
    assert library.gc()["pictures"] == 1
    assert library.gc()["pictures"] == 0
    assert library.info()["gone"] == 0
    assert len(library.search("x")) == 3
    assert tree(folder) == files
    flat(folder / "0.png", 0)
    library.index(folder)
    assert {h.id for h in library.search("x")} == {2, 3, 4, 5}  # an id is never used twice


def test_an_offline_root_survives_gc(library, folder, tmp_path):
    folder.rename(tmp_path / "away")
    library.index(folder)
    library.gc()
    assert len(library.search("x")) == 4


def test_a_snapshot_is_a_library_of_its_own(library, folder, tmp_path):
    copy = library.snapshot(tmp_path / "copy")
    flat(folder / "new.png", 9)
    library.index(folder)
    with Library.open(copy, read_only=True) as old:
        assert len(old.search("x")) == 4
        assert [h.id for h in old.search("x")] == [
            h.id for h in library.search("x", k=9) if not h.path.endswith("new.png")
        ]
    assert (copy / "manifest.json").is_file()
    with pytest.raises(LibraryError, match="choose another"):
        library.snapshot(copy)


def test_watching_follows_the_folder_until_told_to_stop(library, folder):
    stop, reports = threading.Event(), []
    thread = threading.Thread(
        target=lambda: library.watch([str(folder)], stop=stop, report=reports.append)
    )
    thread.start()
    try:
        until = time.monotonic() + 30
        written = 0.0
        while sum(r.added for r in list(reports)) == 0 and time.monotonic() < until:
            # The first look is over: from here on changes are followed. One may come too early.
            if reports and time.monotonic() - written > 5:
                written = time.monotonic()
                flat(folder / f"{written}.png", int(written))
            time.sleep(0.1)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert reports[0].unchanged == 4
    assert sum(r.added for r in reports) >= 1


# -- the built-in encoder's vectors


def test_vectors_do_not_depend_on_what_else_is_indexed(pictures, indexed, open_library):
    """Dense vectors of two pictures alone, last first, by other workers: bit for bit."""
    other = open_library()
    for name, workers in (("yard-01", 2), ("desk-00", 1)):
        other.index(pictures / f"{name}.jpg", workers=workers)

    def rows(library):
        store = library._store
        return {
            (space.name, Path(library.picture(number)["path"]).stem): row
            for space in store.spaces()
            for number, row in store.fetch_vectors(
                store.described(space.id).tolist(), space.id
            ).items()
        }

    base, few = rows(indexed), rows(other)
    assert len(base) == 2 * len(NAMES)
    assert len(few) == 4
    for key, row in few.items():
        np.testing.assert_array_equal(row.whole, base[key].whole)
        np.testing.assert_array_equal(row.regions, base[key].regions)
        np.testing.assert_array_equal(row.boxes, base[key].boxes)


@pytest.mark.parametrize(
    ("regions", "recipe", "boxes"),
    [("none", "none", False), ("windows:4", "windows:4", True), ("dense:3", "dense:3@1x", True)],
)
def test_other_policies_are_kept_and_searched(open_library, tmp_path, regions, recipe, boxes):
    for name in ("photo-cat", "photo-coffee"):
        save(tmp_path / "p" / f"{name}.jpg", name, (200, 150))
    library = open_library()
    library.index(tmp_path / "p", regions=regions)
    assert library.models()[0]["recipe"] == recipe
    results = library.search("a cat")
    assert results[0].path.endswith("photo-cat.jpg")
    assert any(hit.box is not None for hit in results) == boxes
    expected = {"none": "whole"}.get(regions, regions.partition(":")[0])
    assert results[0].source["method"] == expected
