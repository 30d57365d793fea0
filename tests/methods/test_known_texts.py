"""Texts that come back: encoded once, kept per encoder, safe from a damaged file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from needlepoint.methods import known_texts
from needlepoint.methods.known_texts import known_vectors, list_vectors
from sight_kit import DIM, Reader, bag, sight


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    known_texts._held.clear()
    known_texts._lists.clear()


def test_a_text_is_read_once_and_rows_come_in_order() -> None:
    reader = Reader()
    view = sight(reader=reader)
    found = known_vectors(["b", "a", "b"], view)
    assert np.array_equal(found, np.stack([bag(text) for text in "bab"]))
    assert np.array_equal(known_vectors(["a", "c"], view), np.stack([bag("a"), bag("c")]))
    assert reader.read == ["b", "a", "c"]
    assert known_vectors([], view).shape == (0, DIM)


def test_encoders_do_not_share() -> None:
    for reader in (Reader(name="one"), Reader(name="two")):
        known_vectors(["a"], sight(reader=reader))
        list_vectors(["a"], sight(reader=reader))
        assert reader.read == ["a", "a"]


def test_what_was_unused_for_longest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_texts, "MOST", 2)
    reader = Reader()
    view = sight(reader=reader)
    for text in ("a", "b", "a", "c", "a", "b"):
        known_vectors([text], view)
    assert reader.read == ["a", "b", "c", "b"]
    assert len(known_vectors(list("abcd"), view)) == 4


def test_a_list_is_kept_on_disk(tmp_path: Path) -> None:
    reader = Reader()
    view = sight(reader=reader)
    first = list_vectors(["a", "b"], view)
    known_texts._lists.clear()
    assert np.array_equal(list_vectors(["a", "b"], view), first)
    assert np.array_equal(list_vectors(["a", "b"], view), first)
    assert reader.read == ["a", "b"]
    list_vectors(["ab"], view)
    assert reader.read == ["a", "b", "ab"]
    assert len(list((tmp_path / "needlepoint" / "words").iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"not numbers", None])
def test_a_damaged_file_is_made_again(damage: bytes | None, tmp_path: Path) -> None:
    reader = Reader()
    view = sight(reader=reader)
    first = list_vectors(["a", "b"], view)
    (file,) = (tmp_path / "needlepoint" / "words").iterdir()
    if damage is None:
        np.save(file, first[:1])  # of another list
    else:
        file.write_bytes(damage)
    known_texts._lists.clear()
    assert np.array_equal(list_vectors(["a", "b"], view), first)
    assert reader.read == ["a", "b", "a", "b"]
    assert np.array_equal(np.load(file), first)


def test_a_place_that_cannot_be_written_only_stops_the_keeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert np.array_equal(list_vectors(["a"], sight()), bag("a")[None])
