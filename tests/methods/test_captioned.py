"""Captions: how a file names pictures, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from needlepoint.errors import UsageError
from needlepoint.methods.captioned import Captions, read_captions
from needlepoint.picture import Picture
from needlepoint.query import Part
from sight_kit import sight


@pytest.mark.parametrize("name", ["gallery/part/2.jpg", "part/2.jpg", "2.jpg", "2"])
def test_the_end_of_a_path_or_its_bare_name(name: str) -> None:
    captions = Captions({name: ["a duck", "a bird"]}, 3, None)
    assert captions.of([1, 2], sight()) == [[], ["a duck", "a bird"]]
    assert captions.of_part(Part("item", "2"), sight()) == ["a duck", "a bird"]


def test_the_longest_end_is_meant() -> None:
    captions = Captions({"2.jpg": ["any"], "part/2.jpg": ["this"]}, 3, None)
    assert captions.of([2], sight()) == [["this"]]
    assert captions.of_part(Part("picture", "./elsewhere/2.jpg"), sight()) == ["any"]


def test_a_file_comes_before_the_library() -> None:
    view = sight(captions=[f"own {n}" for n in range(12)])
    assert Captions({"1": ["told"]}, 3, None).of([1, 2], view) == [["told"], ["own 2"]]


def test_a_piece_is_not_said_by_what_is_said_of_the_whole() -> None:
    class Talker:
        name = "piece talker"

        def caption(self, pictures: list[Picture], prompts: list[str]) -> list[str]:
            return [f"{picture.pixels.shape[0]} high" for picture in pictures]

    view = sight(captions=["whole"] * 12)
    piece = Part("item", "2", box=(0.0, 0.0, 5.0, 6.0))
    assert Captions({"2": ["whole"]}, 3, None).of_part(piece, view) == []
    view.pixels_of = lambda part: np.zeros((6, 5, 3), np.uint8)  # type: ignore[method-assign]
    assert Captions({"2": ["whole"]}, 3, Talker()).of_part(piece, view) == ["6 high"]


def test_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"a/b.jpg": ["a duck ", " "], "c.jpg": "a car"}', "utf-8")
    assert read_captions(str(path), "x") == {"a/b.jpg": ["a duck"], "c.jpg": ["a car"]}


@pytest.mark.parametrize("text", ["", "[]", '{"a": 3}', '{"a": [3]}', "\xff"])
def test_files_that_are_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(text, "latin-1")
    with pytest.raises(UsageError, match="method x: captions"):
        read_captions(str(path), "x")
    with pytest.raises(UsageError, match="cannot be read"):
        read_captions(str(tmp_path / "none.json"), "x")
