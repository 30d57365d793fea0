"""A Q-Former's library: K vectors a picture, asked with words and with a picture and a change."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tiny import pictures

from needlepoint.encoders.address import open_encoder
from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.library import Library

pytestmark = pytest.mark.torch

COUNT = 7


@pytest.fixture(scope="module")
def model(tiny):
    return f"hf:{tiny('hf_blip2')}"


@pytest.fixture(scope="module")
def encoder(model):
    return open_encoder(model)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("pictures")
    for number, pixels in enumerate(pictures(COUNT, seed=3)):
        Image.fromarray(pixels).save(made / f"{number}.png")
    return made


@pytest.fixture(scope="module")
def library(model, folder, tmp_path_factory):
    with Library.open(tmp_path_factory.mktemp("library"), create=True) as made:
        assert made.index(folder, model=model, method="sprc").skipped == []
        yield made


@pytest.fixture(scope="module")
def tokens(encoder, library):
    """What is kept, from the store: by picture, K vectors."""
    (space,) = library._store.spaces()
    assert space.recipe == "qformer"
    return library._store.fetch_vectors(range(1, COUNT + 1), space.id)


def _shown(folder, number):
    """The picture of an id: files are indexed in the order of their names, from 1."""
    return np.asarray(Image.open(folder / f"{number - 1}.png"))


def test_every_route_shares_what_one_of_them_kept(library, tokens, encoder, folder):
    assert {m["recipe"]: m["pictures"] for m in library.models()} == {"qformer": COUNT}
    shown = _shown(folder, 3)
    np.testing.assert_allclose(tokens[3].regions, encoder.token_vectors([shown])[0], atol=0.01)
    np.testing.assert_allclose(tokens[3].whole, encoder.encode_image(shown), atol=0.01)
    height, width = shown.shape[:2]
    assert tokens[3].boxes.tolist() == [[0, 0, width, height]] * encoder.net.queries


@pytest.mark.parametrize("how", ["sprc", "qure"])
def test_a_change_is_scored_by_the_best_of_the_queries(library, tokens, encoder, folder, how):
    shown = _shown(folder, 2)
    (question,) = encoder.composed_vectors([shown], ["a red dog"], how)
    found = library.search("@2", change="a red dog", method=how, k=99)
    assert len(found) == COUNT - 1  # what is to change is no answer
    expected = {n: float((row.regions @ question).max()) for n, row in tokens.items() if n != 2}
    assert [hit.id for hit in found] == sorted(expected, key=lambda n: -expected[n])
    assert [hit.score for hit in found] == pytest.approx(
        sorted(expected.values(), reverse=True), abs=1e-4
    )
    assert found.told == (("learnt with", "nothing: BLIP-2 as released"),)


def test_words_are_scored_so_too_and_the_mean_has_no_say(library, tokens, encoder):
    (question,) = encoder.text_features(["a cat at night"]).vector
    for method, kept in (("qformer", "regions"), ("whole", "whole")):
        found = library.search("a cat at night", method=method, k=99)
        scores = {n: float(np.max(getattr(row, kept) @ question)) for n, row in tokens.items()}
        assert [hit.id for hit in found] == sorted(scores, key=lambda n: -scores[n])


def test_two_references_weigh_together(library, tokens, encoder, folder):
    each = encoder.composed_vectors([_shown(folder, n) for n in (1, 5)], ["one car"] * 2, "sprc")
    mean = each.sum(0) / np.linalg.norm(each.sum(0))
    scores = {n: float((row.regions @ mean).max()) for n, row in tokens.items() if n not in (1, 5)}
    found = library.search("@1 + @5", change="one car", method="sprc", k=99)
    assert [hit.id for hit in found] == sorted(scores, key=lambda n: -scores[n])


def test_other_models_and_other_vectors_are_refused(library, tiny, folder, tmp_path):
    with pytest.raises(LibraryIncompatible, match="needs vectors of windows"):
        library.search("a cat", method="windows")
    with Library.open(tmp_path, create=True) as other:
        with pytest.raises(UsageError, match="needs queries of the encoder"):
            other.index(folder, model=f"hf:{tiny('hf_clip')}", method="sprc")
        other.index(folder, model=f"hf:{tiny('hf_clip')}", regions="none")
        with pytest.raises(LibraryIncompatible):
            other.search("@1", change="in red", method="sprc")
