"""Encoders are compared with those a library was made with, and chosen as told."""

from __future__ import annotations

import pytest
from library_kit import Fake, flat

from needlepoint.errors import LibraryIncompatible
from needlepoint.library import Library
from needlepoint.library.roster import Roster

MODEL = "onnx:/fake"


@pytest.fixture
def made(open_library, fake, tmp_path):
    """The folder of a library made by ``onnx:/fake``, closed again."""
    flat(tmp_path / "p" / "a.png", 1)
    library = open_library()
    library.index(tmp_path / "p", model=MODEL)
    library.close()
    return library.path


def test_another_version_of_an_encoder_is_refused_naming_what_differs(made, fakes, tmp_path):
    fakes[MODEL] = Fake(MODEL, weights="2")
    with Library.open(made) as library:
        with pytest.raises(LibraryIncompatible) as told:
            library.search("a cat")
        for word in (MODEL, "weights_hash", "'1'", "'2'", "new library"):
            assert word in str(told.value)
        assert told.value.exit_code == 3
        flat(tmp_path / "p" / "b.png", 2)
        with pytest.raises(LibraryIncompatible, match="fingerprint"):
            library.index(tmp_path / "p")
        assert library.info()["pictures"] == 1  # nothing was written


def test_what_says_nothing_of_the_numbers_may_differ(made, fakes):
    from dataclasses import replace

    renamed = Fake(MODEL)
    renamed.card = replace(renamed.card, title="another title", limits="none", size_mb=3.0)
    fakes[MODEL] = renamed
    with Library.open(made) as library:
        assert len(library.search("a cat")) == 1


def test_an_encoder_is_loaded_once_and_only_when_it_is_asked(made, monkeypatch):
    opened = []

    def counting(address, **_):
        opened.append(address)
        return Fake(address)

    monkeypatch.setattr("needlepoint.library.roster.open_encoder", counting)
    with Library.open(made) as library:
        library.info()
        library.models()
        assert opened == []
        library.search("a cat")
        library.search("@1 - a dog")
        assert opened == [MODEL]


def test_a_choice_is_kept_for_the_next_process(made, fakes, tmp_path):
    with Library.open(made) as library:
        library.index(tmp_path / "p", model="onnx:/other")
        assert library.search("x")[0].source["model"] == "onnx:/other"  # the newest
        library.use(MODEL, "text")
    with Library.open(made) as library:
        assert library.search("x")[0].source["model"] == MODEL
        assert Roster(library._store).choice("image").encoder == "onnx:/other"
