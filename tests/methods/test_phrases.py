"""Names of things and sentences about them."""

from __future__ import annotations

import numpy as np
import pytest

from needlepoint.errors import UsageError
from needlepoint.methods.phrases import (
    PHRASES,
    fixed_phrases,
    nearest_names,
    read_phrases,
    with_slot,
)


class Told:
    def __init__(self, vector):
        self.vector = vector


class FakeEncoder:
    """The vector of a text tells which of three things it names."""

    THINGS = ("ball", "dog", "tree")

    def text_features(self, texts):
        rows = [[float(thing in text) for thing in self.THINGS] for text in texts]
        return Told(np.array(rows, np.float32))


def test_a_phrase_without_its_name_is_rejected_and_counted(tmp_path):
    path = tmp_path / "phrases.tsv"
    path.write_text(
        "red ball\ta photo of a red ball that rolls\n"
        "red ball\tA Red Ball on grass\n"
        "red ball\ta photo of a red thing\n"
        "\n"
        "dog\ta hotdog in the sun\n"
        "cat\ta cat, a cat\n"
    )
    found = read_phrases(path)
    assert found.names == ("red ball", "cat")
    assert found.sentences == (
        ("a photo of a {} that rolls", "A {} on grass"),
        ("a {}, a cat",),
    )
    assert found.rejected == 2
    assert found.of([1, 0])[:2] == [
        ("a {}, a cat", "cat"),
        ("a photo of a {} that rolls", "red ball"),
    ]


def test_a_file_that_holds_none_is_told(tmp_path):
    path = tmp_path / "phrases.tsv"
    with pytest.raises(UsageError, match="cannot be read"):
        read_phrases(path)
    path.write_text("a dog that runs\n")
    with pytest.raises(UsageError, match=":1 must be NAME, a tab and a sentence"):
        read_phrases(path)
    path.write_text("dog\ta cat that runs\n")
    with pytest.raises(UsageError, match="holds no sentence"):
        read_phrases(path)


@pytest.mark.parametrize("name", ["", "ball", "a photo of balls and"])
def test_a_name_is_found_as_whole_words(name):
    assert with_slot("a photo of balls", name) is None


def test_names_nearest_to_pictures_come_best_first():
    vectors = np.array([[0.1, 0.9, 0.4], [0.7, 0.0, 0.7]], np.float32)
    near = nearest_names(FakeEncoder(), vectors, ["tree", "dog", "ball"], 2)
    assert near.tolist() == [[1, 0], [0, 2]]  # equal cosines in the order of the names
    assert nearest_names(FakeEncoder(), vectors, ["tree"], 9).shape == (2, 1)
    with pytest.raises(UsageError, match="--concepts FILE"):
        nearest_names(FakeEncoder(), vectors, [], 2)


def test_a_draw_gives_a_sentence_of_the_name():
    phrases = fixed_phrases(["ball", "dog"])
    drawn = np.random.default_rng(0)
    found = {phrases.draw(1, drawn) for _ in range(200)}
    assert found == {(text, "dog") for text in PHRASES}
