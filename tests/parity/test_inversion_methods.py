"""OTI and OVI as methods, over a small model: composed questions and search within one kind."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tiny import pictures

from needlepoint.encoders import inversion
from needlepoint.encoders.address import open_encoder
from needlepoint.encoders.inversion import Inversion, invert_pictures, invert_texts, see_patches
from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.library import Library
from needlepoint.methods.card import find_method
from needlepoint.methods.composed.ovi import nearest_texts
from needlepoint.methods.inverted import forget
from needlepoint.methods.nearest_words import nearest_tokens
from sight_kit import answer, change, composer, sight

pytestmark = pytest.mark.torch

NEAR = 1e-5


@pytest.fixture
def encoder(tiny):
    forget()
    return open_encoder(f"hf:{tiny('hf_clip')}")


@pytest.fixture
def view(encoder):
    return sight(encoder.encode_image(pictures(5)), reader=encoder)


def vector(method, asked, view):
    (probe,) = answer(method, asked, view).probes
    np.testing.assert_allclose(np.linalg.norm(probe.vector), 1, atol=1e-6)
    return probe.vector


def test_oti_puts_the_inverted_picture_into_the_sentence(encoder, view):
    rows = view.wholes([2, 4], 0)
    words = invert_pictures(encoder, rows, Inversion(steps=9))
    found = answer("oti:steps=9", change("red", 2), view)
    wanted = encoder.inject(["a photo of {} that red"], words[0])
    np.testing.assert_allclose(found.probes[0].vector, wanted[0], atol=NEAR)
    told = dict(found.told)
    assert told["sentence"] == "a photo of {} that red"
    ((word, cosine), *_) = nearest_tokens(encoder, words[0])[0]
    assert told["nearest words"].startswith(f"{word} {cosine:.2f}")
    both = vector("oti:steps=9,template=domain", change("red", 2, 4), view)
    wanted = encoder.inject(["a red of {} and {}"], words[:, 0][None])
    np.testing.assert_allclose(both, wanted[0], atol=NEAR)


def test_oti_takes_several_words_and_prompts(encoder, view):
    how = Inversion(steps=5, words=2, ema=0.5, templates=("a {}", "a dog, {}"), text_noise_std=0.1)
    words = invert_pictures(encoder, view.wholes([1], 0), how)
    found = vector(
        "oti:steps=5,words=2,ema=0.5,prompt=a {}|a dog,, {},noise=0.1", change("x", 1), view
    )
    np.testing.assert_allclose(
        found, encoder.inject(["a photo of {} {} that x"], words)[0], atol=NEAR
    )


def test_oti_without_a_change_searches_pictures_with_a_picture(view):
    """The text tower comes near to the picture itself, so that it is found first."""
    asked = [change("", place) for place in range(5)]
    for place, found in enumerate(composer("oti:steps=80").compose(asked, view)):
        assert view.search(found.probes, 1)[0].tolist() == [place]


def test_asking_again_with_another_change_inverts_nothing(encoder, view, monkeypatch):
    method = composer("oti:steps=5")
    first = method.compose([change("red", 0)], view)[0]
    monkeypatch.setattr(inversion, "invert_pictures", None)
    again = composer("oti:steps=5").compose([change("red", 0), change("blue", 0)], view)
    np.testing.assert_allclose(again[0].probes[0].vector, first.probes[0].vector, atol=NEAR)
    assert np.abs(again[1].probes[0].vector - first.probes[0].vector).max() > 1e-3
    with pytest.raises(TypeError):  # more steps are another inversion
        composer("oti:steps=6").compose([change("red", 0)], view)


def test_questions_together_are_answered_as_alone(view):
    asked = [change("red", 0), change("", 3), change("blue", 1, 2), change("", 3, 4)]
    for name in ("oti:steps=5", "ovi:steps=3"):
        together = composer(name).compose(asked, view)
        forget()
        for one, found in zip(asked, together, strict=True):
            alone = vector(name, one, view)
            np.testing.assert_allclose(found.probes[0].vector, alone, atol=1e-4)


def test_ovi_pictures_the_words(encoder, view):
    text = encoder.encode_text(["a red dog"])
    patches = invert_texts(encoder, text, Inversion(steps=7, words=4))
    seen = see_patches(encoder, patches)
    asks = find_method("ovi").asks
    found = asks(encoder, ["a red dog"], "steps=7,patches=4", [])
    np.testing.assert_allclose(found.vectors, seen, atol=NEAR)
    assert found.second is None
    name = "ovi:steps=7,patches=4"
    picture = view.wholes([3], 0)
    for alpha in (0.0, 0.25, 1.0):
        mixed = (1 - alpha) * picture + alpha * seen
        wanted = mixed / np.linalg.norm(mixed)
        found = vector(f"{name},alpha={alpha}", change("a red dog", 3), view)
        np.testing.assert_allclose(found, wanted[0], atol=NEAR)
    np.testing.assert_allclose(vector(name, change("", 3), view), picture[0], atol=NEAR)


def test_ovi_finds_a_text_among_texts(encoder):
    texts = ["two cats", "a red dog", "x", "a small yellow duck"]
    for place, text in enumerate(texts):
        ((first, cosine), *rest) = nearest_texts(encoder, text, texts, k=3, options="steps=30")
        assert (first, len(rest)) == (place, 2)
        assert cosine >= rest[0][1] >= rest[1][1]
    assert nearest_texts(encoder, "x", []) == []
    twice = nearest_texts(encoder, "x", ["x", "two cats", "x"], k=9, options="steps=30")
    assert [place for place, _ in twice] == [0, 2, 1]  # ties in order, no more than there are


def test_both_answer_in_a_library(tiny, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, pixels in enumerate(pictures(4)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    with Library.open(tmp_path / "library", create=True) as library:
        library.index(folder, model=f"hf:{tiny('hf_clip')}", regions="none")
        alike = library.search("@2", method="oti:steps=60", k=9)
        assert (alike[0].id, len(alike)) == (2, 4)
        assert dict(alike.told)["sentence"] == "a photo of {}"
        changed = library.search("@2 -> in red", method="oti:steps=60", k=9)
        assert [label for label, _ in changed.told] == ["sentence", "nearest words"]
        assert 2 not in [hit.id for hit in changed]
        words = library.search("a red dog", method="ovi:steps=9", k=9)
        plain = library.search("a red dog", k=9)
        assert [hit.score for hit in words] != [hit.score for hit in plain]
        both = library.search("@2 -> a red dog", method="ovi:steps=9", k=9)
        assert dict(both.told)["words, pictured"] == "weight 0.5"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("oti:steps=0", "steps is 0. Allowed: 1 and more"),
        ("oti:words=-1", "words is -1"),
        ("oti:ema=1", "ema is 1.0"),
        ("oti:rate=-1", "rate is -1.0. Allowed: 0 to 10"),
        ("oti:prompt=a photo", r"prompt is 'a photo'. Allowed: a sentence with \{\}"),
        ("oti:template=a {}", "template is"),
        ("ovi:patches=0", "patches is 0"),
        ("ovi:alpha=1.5", "alpha is 1.5. Allowed: 0 to 1"),
        ("ovi:words=2", "option 'words=2' is not known"),
    ],
)
def test_refusals_say_what_is_allowed(method, message):
    with pytest.raises(UsageError, match=message):
        composer(method)


def test_encoders_without_an_opening_are_refused():
    blind = sight()
    with pytest.raises(LibraryIncompatible, match=r"`method` is oti, .* with `inject`"):
        answer("oti", change("red", 0), blind)
    with pytest.raises(LibraryIncompatible, match=r"`method` is ovi, .* `inject` and `tokens`"):
        answer("ovi", change("red", 0), blind)
