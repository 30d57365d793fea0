"""A library that is deleted, moved away or replaced while it is open."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from needlepoint.errors import LibraryBusy, LibraryMissing
from needlepoint.store.sqlite import SqliteStore
from store_kit import filled, probe


def make(folder: Path, count: int) -> Path:
    with SqliteStore.open(folder, create=True) as store:
        filled(store, count)
    return folder


def count(store: SqliteStore) -> int:
    """Pictures that a search finds, by the vectors that are held."""
    (space,) = store.spaces()
    return len(store.search([probe(space.id, np.eye(1, 32)[0])], 1000).ids)


def test_what_was_deleted_is_not_answered_from(tmp_path: Path) -> None:
    with SqliteStore.open(make(tmp_path / "library", 20)) as store:
        store.attend()
        shutil.rmtree(tmp_path / "library")
        with pytest.raises(LibraryMissing, match="is gone"):
            store.attend()


@pytest.mark.parametrize("read_only", [False, True])
def test_what_stands_in_its_place_is_taken_up(tmp_path: Path, read_only: bool) -> None:
    folder, other = make(tmp_path / "library", 20), make(tmp_path / "other", 30)
    with SqliteStore.open(folder, read_only=read_only) as store:
        assert count(store) == 20
        folder.rename(tmp_path / "away")
        other.rename(folder)
        store.attend()
        assert count(store) == 30
        assert store.writable is not read_only


def test_what_comes_back_is_as_it_was(tmp_path: Path) -> None:
    folder = make(tmp_path / "library", 20)
    with SqliteStore.open(folder) as store:
        folder.rename(tmp_path / "away")
        with pytest.raises(LibraryMissing):
            store.attend()
        (tmp_path / "away").rename(folder)
        store.attend()
        assert count(store) == 20


def test_the_old_library_takes_nothing_of_the_new_one_with_it(tmp_path: Path) -> None:
    folder = make(tmp_path / "library", 20)
    store = SqliteStore.open(folder)
    shutil.rmtree(folder)
    make(folder, 30)
    with SqliteStore.open(folder) as writer:
        writer.set_meta("kept", "yes")  # in the log beside the database, not yet in it
        store.attend()
        store.close()
        with sqlite3.connect(folder / "library.sqlite3") as db:
            told = db.execute("SELECT value FROM meta WHERE key = 'user.kept'").fetchone()
        assert told == ("yes",)


def test_nothing_is_taken_up_while_the_old_one_is_written(tmp_path: Path) -> None:
    folder = make(tmp_path / "library", 20)
    with SqliteStore.open(folder) as store:
        with store.writing():
            shutil.rmtree(folder)
            make(folder, 30)
            with pytest.raises(LibraryBusy, match="replaced"):
                store.attend()
        store.attend()
        assert count(store) == 30
